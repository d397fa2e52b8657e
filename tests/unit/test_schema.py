import subprocess
import sys
from itertools import pairwise

from scraper.b3.cotahist.layout import COTAHIST_COLUMNS, FIELDS, RECORD_LENGTH
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS

GLUE_COMMENT_LIMIT = 255

COTAHIST_TYPES = {
    "codbdi": "string",
    "codneg": "string",
    "tpmerc": "string",
    "nomres": "string",
    "especi": "string",
    "prazot": "string",
    "modref": "string",
    "preabe": "decimal(13,2)",
    "premax": "decimal(13,2)",
    "premin": "decimal(13,2)",
    "premed": "decimal(13,2)",
    "preult": "decimal(13,2)",
    "preofc": "decimal(13,2)",
    "preofv": "decimal(13,2)",
    "totneg": "bigint",
    "quatot": "bigint",
    "voltot": "decimal(18,2)",
    "preexe": "decimal(13,2)",
    "indopc": "string",
    "datven": "date",
    "fatcot": "bigint",
    "ptoexe": "decimal(13,6)",
    "codisi": "string",
    "dismes": "bigint",
}


def test_the_fields_cover_every_character_of_the_record_once() -> None:
    assert FIELDS[0].first == 1
    assert all(before.last + 1 == after.first for before, after in pairwise(FIELDS))
    assert FIELDS[-1].last == RECORD_LENGTH


def test_the_quote_columns_are_b3s_fields_in_their_order_with_exact_types() -> None:
    types = [(column.name, column.glue_type) for column in COTAHIST_COLUMNS]
    assert types == list(COTAHIST_TYPES.items())


def test_a_number_of_any_field_fits_its_type() -> None:
    for field in FIELDS:
        if field.kind == "integer":
            assert 10**field.width - 1 <= 2**63 - 1
        if field.kind == "decimal":
            assert field.glue_type == f"decimal({field.width},{field.decimals})"


def test_the_catalog_accepts_every_comment() -> None:
    for column in COTAHIST_COLUMNS + PORTFOLIO_COLUMNS:
        assert 0 < len(column.comment) <= GLUE_COMMENT_LIMIT
        assert column.comment.isprintable()


def test_the_schema_can_be_imported_without_the_readers_libraries() -> None:
    program = (
        "import sys, scraper.b3.cotahist.layout, scraper.b3.index_portfolio.layout; "
        "print({'numpy', 'pandas', 'pyarrow', 'requests'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""The raw bucket's keys, types and lineage, against a real S3 API."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from decimal import Decimal

import botocore.exceptions
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import scraper.raw.bucket
from sandbox.b3.formats import Quote, encode_session
from scraper.b3.cotahist.reader import read_text
from scraper.b3.index_portfolio.reader import read_portfolio
from scraper.b3.oddities import Oddity, TrailerCount
from scraper.raw.bucket import Lineage, RawBucket
from tests.fixtures.both_ends import Bucket, Shelves

SESSION = date(2024, 11, 8)
DAILY = "raw/cotahist/trade_date=2024-11-08/daily.parquet"
BACKFILL = "raw/cotahist/trade_date=2024-11-08/backfill.parquet"
ADDRESS = "https://b3.example/COTAHIST_D08112024.ZIP"
LINEAGE = Lineage(ADDRESS, "ab" * 32)


def quotes(*given: Quote) -> pd.DataFrame:
    return read_text(encode_session(SESSION, given or [Quote()]), session=SESSION, source="test")


def parquet(bucket: Bucket, key: str) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(bucket.content(key)))


def of(names: str, kind: pa.DataType) -> dict[str, pa.DataType]:
    return dict.fromkeys(names.split(), kind)


def test_a_session_is_parquet_under_its_day_with_the_types_of_the_raw_table(bucket: Bucket) -> None:
    given = quotes(
        Quote(codneg="ZZAA3", preult=Decimal("10.20"), voltot=Decimal("9999999999999999.99")),
        Quote(codneg="ZZAAL12", tpmerc="070", datven=date(2024, 12, 20), ptoexe=Decimal("0.000001")),
    )
    assert RawBucket(bucket.name).write_session(given, session=SESSION, lineage=LINEAGE) == DAILY
    file = parquet(bucket, DAILY)
    group = file.metadata.row_group(0)
    # In the one way that every reader has
    assert {group.column(column).compression for column in range(group.num_columns)} == {"SNAPPY"}
    table = file.read()
    expected = {
        **of("codbdi codneg tpmerc nomres especi prazot modref indopc codisi", pa.string()),
        **of("preabe premax premin premed preult preofc preofv preexe", pa.decimal128(13, 2)),
        **of("totneg quatot fatcot dismes", pa.int64()),
        "voltot": pa.decimal128(18, 2),
        "ptoexe": pa.decimal128(13, 6),
        "datven": pa.date32(),
    }
    assert {field.name: field.type for field in table.schema} == expected
    assert table.select(["codneg", "preult", "voltot", "datven", "ptoexe"]).to_pylist() == [
        {
            "codneg": "ZZAA3",
            "preult": Decimal("10.20"),
            "voltot": Decimal("9999999999999999.99"),
            "datven": None,
            "ptoexe": Decimal("0.000000"),
        },
        {
            "codneg": "ZZAAL12",
            "preult": Decimal("10.20"),
            "voltot": Decimal("10100.00"),
            "datven": date(2024, 12, 20),
            "ptoexe": Decimal("0.000001"),
        },
    ]


def test_a_portfolio_is_parquet_under_its_own_date_and_index(bucket: Bucket) -> None:
    shelves = Shelves()
    shelves.put_portfolio(date(2024, 7, 16), "ZZAA3", "ZZBB4")
    portfolio = read_portfolio(shelves.pages["IBOV"], index="IBOV", source="test")
    key = RawBucket(bucket.name).write_portfolio(
        portfolio.frame, index="IBOV", portfolio_date=portfolio.portfolio_date, lineage=LINEAGE
    )
    assert key == "raw/index_portfolio/portfolio_date=2024-07-16/IBOV.parquet"
    table = parquet(bucket, key).read()
    assert {field.name: field.type for field in table.schema} == {
        **of("index_code ticker asset share_class sector", pa.string()),
        **of("weight sector_weight", pa.decimal128(9, 3)),
        "theoretical_quantity": pa.int64(),
        "reductor": pa.decimal128(24, 8),
    }
    assert table["weight"].to_pylist() == [Decimal("90.000"), Decimal("10.000")]


def test_lineage_with_the_count_and_what_is_odd_is_in_the_object_and_in_the_file(bucket: Bucket) -> None:
    oddities = (
        Oddity("NOMRES", "bytes of Windows-1252, kept as text", 2, 5, ascii("A\x92")),
        Oddity("end of the file", "blank lines after the trailer", 1, None, ascii("\n")),
    )
    lineage = replace(LINEAGE, trailer_count=TrailerCount.QUOTES, oddities=oddities)
    RawBucket(bucket.name).write_session(quotes(), session=SESSION, lineage=lineage)
    metadata = bucket.metadata(DAILY)
    plain = {"source": LINEAGE.source, "source-sha256": LINEAGE.sha256, "reader-version": "2"}
    assert LINEAGE.metadata() == plain
    assert metadata == plain | {
        "trailer-count": "quotes",
        "oddities": (
            r"NOMRES: bytes of Windows-1252, kept as text (2, first in record 5: 'A\x92'); "
            r"end of the file: blank lines after the trailer (1: '\n')"
        ),
    }
    footer = parquet(bucket, DAILY).schema_arrow.metadata or {}
    assert {name.decode(): value.decode() for name, value in footer.items()} == metadata


def test_the_metadata_of_any_number_of_oddities_is_what_s3_takes(bucket: Bucket) -> None:
    oddities = tuple(Oddity(f"field {number}", "é" * 40, 1, None, "x") for number in range(200))
    RawBucket(bucket.name).write_session(
        quotes(), session=SESSION, lineage=replace(LINEAGE, oddities=oddities)
    )
    assert sum(len(name) + len(value) for name, value in bucket.metadata(DAILY).items()) < 2048


def test_the_same_quotes_give_the_same_bytes(bucket: Bucket) -> None:
    raw = RawBucket(bucket.name)
    contents = set()
    for _ in range(2):
        raw.write_session(quotes(Quote(), Quote(codneg="ZZBB4")), session=SESSION, lineage=LINEAGE)
        contents.add(bucket.content(DAILY))
    assert len(bucket.versions()) == 2
    assert len(contents) == 1


def test_a_session_is_found_by_its_content_and_by_how_it_was_read(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = RawBucket(bucket.name)
    assert raw.find_session(SESSION, LINEAGE) is None
    raw.write_session(quotes(), session=SESSION, lineage=LINEAGE)
    assert raw.find_session(SESSION, LINEAGE) == DAILY
    assert raw.find_session(SESSION, replace(LINEAGE, source="https://mirror.example/x.ZIP")) == DAILY
    assert raw.find_session(SESSION, replace(LINEAGE, sha256="cd" * 32)) is None
    assert raw.find_session(date(2024, 11, 7), LINEAGE) is None
    monkeypatch.setattr(scraper.raw.bucket, "READER_VERSION", "next")
    assert raw.find_session(SESSION, LINEAGE) is None


def test_a_portfolio_is_found_by_its_content(bucket: Bucket) -> None:
    raw = RawBucket(bucket.name)
    shelves = Shelves()
    shelves.put_portfolio(SESSION, "ZZAA3")
    frame = read_portfolio(shelves.pages["IBOV"], index="IBOV", source="test").frame
    key = raw.write_portfolio(frame, index="IBOV", portfolio_date=SESSION, lineage=LINEAGE)
    assert raw.find_portfolio("IBOV", SESSION, LINEAGE) == key
    assert raw.find_portfolio("IBOV", SESSION, replace(LINEAGE, sha256="cd" * 32)) is None
    assert raw.find_portfolio("IBO", SESSION, LINEAGE) is None


def test_a_backfilled_session_of_the_same_content_is_found(bucket: Bucket) -> None:
    bucket.s3.put_object(Bucket=bucket.name, Key=BACKFILL, Body=b"x", Metadata=LINEAGE.metadata())
    assert RawBucket(bucket.name).find_session(SESSION, LINEAGE) == BACKFILL


def test_writing_a_backfilled_session_leaves_one_file_in_its_partition(bucket: Bucket) -> None:
    bucket.put(BACKFILL)
    bucket.put("raw/cotahist/trade_date=2024-11-07/backfill.parquet")
    RawBucket(bucket.name).write_session(quotes(), session=SESSION, lineage=LINEAGE)
    assert bucket.keys() == ["raw/cotahist/trade_date=2024-11-07/backfill.parquet", DAILY]


def test_a_partition_with_both_files_counts_as_missing_until_it_is_written(bucket: Bucket) -> None:
    raw = RawBucket(bucket.name)
    raw.write_session(quotes(), session=SESSION, lineage=LINEAGE)
    bucket.put(BACKFILL)
    assert raw.sessions_present([SESSION]) == set()
    assert raw.find_session(SESSION, LINEAGE) is None
    raw.write_session(quotes(), session=SESSION, lineage=LINEAGE)
    assert raw.sessions_present([SESSION]) == {SESSION}
    assert raw.find_session(SESSION, LINEAGE) == DAILY


def test_the_sessions_present_are_those_with_quotes(bucket: Bucket) -> None:
    for key in (
        "raw/cotahist/trade_date=2024-10-31/daily.parquet",
        "raw/cotahist/trade_date=2024-11-04/daily.parquet",
        "raw/cotahist/trade_date=2024-11-05/backfill.parquet",
        "raw/cotahist/trade_date=2024-11-06/notes.txt",
        "raw/cotahist/trade_date=2024-11-07/daily.parquet.part",
        "raw/index_portfolio/portfolio_date=2024-11-08/IBOV.parquet",
    ):
        bucket.put(key)
    week = [date(2024, 11, day) for day in (4, 5, 6, 7, 8)]
    assert RawBucket(bucket.name).sessions_present(week) == {date(2024, 11, 4), date(2024, 11, 5)}


def test_refused_bytes_are_kept_as_they_were_with_the_reason(bucket: Bucket) -> None:
    reason = "COTAHIST_D08112024.ZIP, record 3, field NOMRES: found 'PETROBRÁS\n', expected “printable”"
    key = RawBucket(bucket.name).quarantine(
        [b"bad"], source="cotahist", day=SESSION, extension="zip", address=ADDRESS, reason=reason
    )
    # As `printf bad | sha256sum` says
    sha256 = "2f05d4b689d270cafb02285f35f44866f7dc8a2d368a3f9d1124373eeab31fb1"
    assert key == f"quarantine/cotahist/2024-11-08/{sha256}.zip"
    assert bucket.content(key) == b"bad"
    stored = bucket.metadata(key)["reason"]
    assert stored.isascii()
    assert bucket.metadata(key)["source"] == ADDRESS
    assert stored.encode().decode("unicode_escape") == reason


def test_a_reason_longer_than_s3_takes_is_cut(bucket: Bucket) -> None:
    key = RawBucket(bucket.name).quarantine(
        [b"bad"], source="cotahist", day=SESSION, extension="zip", address="é" * 3000, reason="é" * 3000
    )
    assert 500 < len(bucket.metadata(key)["reason"]) <= 1024


def test_the_same_refused_bytes_are_kept_once(bucket: Bucket) -> None:
    raw = RawBucket(bucket.name)
    keys = {
        raw.quarantine(
            [b"bad"], source="cotahist", day=SESSION, extension="zip", address=ADDRESS, reason=reason
        )
        for reason in ("first", "second")
    }
    raw.quarantine(
        [b"worse"], source="cotahist", day=SESSION, extension="zip", address=ADDRESS, reason="third"
    )
    assert len(keys) == 1
    assert len(bucket.versions()) == 2
    assert bucket.metadata(keys.pop())["reason"] == "first"


PAGES = [b'{\n "page": 1\n}', b'{"page": 2}', b'\n{"page":\n3}\n']


def test_the_pages_of_a_refused_portfolio_are_read_back_as_they_were_though_they_have_line_ends(
    bucket: Bucket,
) -> None:
    raw = RawBucket(bucket.name)
    key = raw.quarantine(
        PAGES, source="index_portfolio", day=SESSION, extension="json", address=ADDRESS, reason="odd"
    )
    (refused,) = raw.quarantined("index_portfolio", "2024-11-08")
    assert (refused.key, refused.address, refused.lengths) == (key, ADDRESS, (14, 11, 13))
    assert raw.read_quarantined(refused) == PAGES


def test_what_version_1_put_into_quarantine_is_read_by_where_its_json_ends(bucket: Bucket) -> None:
    """It joined the pages by line ends, and had the address in the reason alone."""
    address = "https://b3.example/GetPortfolioDay/eyJpbmRleCI6IklCT1YifQ=="
    raw = RawBucket(bucket.name)
    for pages in (PAGES[:2], [b'{"page": 1}'], [b'{"page": 1}', b"<html>\n"]):
        bucket.s3.put_object(
            Bucket=bucket.name,
            Key="quarantine/index_portfolio/2024-11-08/ab.json",
            Body=b"\n".join(pages),
            Metadata={"reason": f"{address}, record 1, field results.cod: found 5, expected a text"},
        )
        (refused,) = raw.quarantined("index_portfolio", "2024-11-08")
        assert (refused.address, raw.read_quarantined(refused)) == (address, pages)


def test_what_was_put_into_quarantine_by_hand_has_its_own_address(bucket: Bucket) -> None:
    bucket.put("quarantine/cotahist/2024-11-08/ab.zip", b"a\nb")
    raw = RawBucket(bucket.name)
    (refused,) = raw.quarantined("cotahist", "2024-11-08")
    assert refused.address == f"s3://{bucket.name}/quarantine/cotahist/2024-11-08/ab.zip"
    assert raw.read_quarantined(refused) == [b"a\nb"]


def test_the_days_in_quarantine_are_those_of_the_range_and_no_year(bucket: Bucket) -> None:
    for filed in ("2024-11-06", "2024-11-07", "2024-12-30", "2025", "2025-01-02", "2025-01-03"):
        bucket.put(f"quarantine/cotahist/{filed}/ab.zip")
    days = RawBucket(bucket.name).quarantined_days("cotahist", date(2024, 11, 7), date(2025, 1, 2))
    assert days == [date(2024, 11, 7), date(2024, 12, 30), date(2025, 1, 2)]


def test_a_frame_without_the_tables_columns_in_their_order_is_not_written(bucket: Bucket) -> None:
    frame = quotes()
    for wrong in (frame.drop(columns="codisi"), frame[frame.columns[::-1]]):
        with pytest.raises(ValueError, match=r"daily\.parquet: columns \[.*\], expected \["):
            RawBucket(bucket.name).write_session(wrong, session=SESSION, lineage=LINEAGE)
    assert bucket.keys() == []


def test_a_bucket_that_does_not_exist_is_an_error(bucket: Bucket) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchBucket"):
        RawBucket(f"{bucket.name}-not").sessions_present([SESSION])

"""The layout of COTAHIST, written once: the fields of its records, and the columns of the raw tables of it.

The reader derives its Arrow types from here and the stack its Glue tables, so this module imports nothing
beyond the standard library. Source: B3, "Layout do arquivo: Cotações históricas" (COTAHIST).
"""

from dataclasses import dataclass
from typing import Literal

from scraper.b3.columns import Column

Kind = Literal["text", "code", "integer", "decimal", "date"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a fixed-width COTAHIST record.

    Attributes:
        name: B3's name in lower case.
        first: Position of its first character, counted from 1.
        last: Position of its last character, inclusive.
        kind: "text" is Latin-1, right-padded with blanks (`records` says what odd bytes become);
            "code" is digits that are a label and stay text; "integer" and "decimal" are digits, left-padded
            with zeros; "date" is YYYYMMDD.
        meaning: What it says.
        decimals: How many of the digits are implied decimals.
        unit: Unit of the value, empty where it has none.
    """

    name: str
    first: int
    last: int
    kind: Kind
    meaning: str
    decimals: int = 0
    unit: str = ""

    @property
    def width(self) -> int:
        """Number of characters."""
        return self.last - self.first + 1

    @property
    def glue_type(self) -> str:
        """The type of its column in the Glue Data Catalog. Any value that fits the field fits the type."""
        match self.kind:
            case "text" | "code":
                return "string"
            case "integer":
                return "bigint"
            case "decimal":
                return f"decimal({self.width},{self.decimals})"
            case "date":
                return "date"


FIRST_YEAR = 1986
"""The first year of which B3 has a file."""

RECORD_LENGTH = 245
"""Characters of a record, which are as many bytes of Latin-1, without its line end."""

CASH_MARKET = "010"
"""TPMERC."""
FUND = "12"
"""CODBDI of real-estate funds."""

_MARKETS = (
    "Market: 010 cash, 012 and 013 exercise of calls and puts, 017 auction, 020 odd lot, 030 forward, "
    "050 and 060 futures, 070 calls, 080 puts, and others"
)
_EARLIER = "before 1994-07-04 thousands of cruzeiros reais"
_MONEY, _PRICE = f"BRL; {_EARLIER}", f"BRL per FATCOT units; {_EARLIER}"

FIELDS = (
    Field("tipreg", 1, 2, "code", "Record type: 01"),
    Field("data", 3, 10, "date", "Trading session"),
    Field("codbdi", 11, 12, "text", "Bulletin code: 02 round lot, 96 odd lot, and others"),
    Field("codneg", 13, 24, "text", "Ticker"),
    Field("tpmerc", 25, 27, "code", _MARKETS),
    Field("nomres", 28, 39, "text", "Short name of the company"),
    Field("especi", 40, 49, "text", "Share class, rights and listing segment"),
    Field("prazot", 50, 52, "text", "Forward term; empty in the cash market", unit="days"),
    Field("modref", 53, 56, "text", "Label of the reference currency; prices are not to be converted by it"),
    Field("preabe", 57, 69, "decimal", "Opening price", 2, _PRICE),
    Field("premax", 70, 82, "decimal", "Highest price", 2, _PRICE),
    Field("premin", 83, 95, "decimal", "Lowest price", 2, _PRICE),
    Field("premed", 96, 108, "decimal", "Average price", 2, _PRICE),
    Field("preult", 109, 121, "decimal", "Last price", 2, _PRICE),
    Field("preofc", 122, 134, "decimal", "Best bid, 0 if none", 2, _PRICE),
    Field("preofv", 135, 147, "decimal", "Best ask, 0 if none", 2, _PRICE),
    Field(
        "totneg",
        148,
        152,
        "integer",
        "Number of trades modulo 100,000: B3 writes the last five digits",
        unit="trades",
    ),
    Field("quatot", 153, 170, "integer", "Quantity traded", unit="shares or contracts"),
    Field("voltot", 171, 188, "decimal", "Financial volume", 2, _MONEY),
    Field("preexe", 189, 201, "decimal", "Strike of an option, 0 if none", 2, _MONEY),
    Field("indopc", 202, 202, "code", "Index by which the strike is corrected, 0 if none"),
    Field("datven", 203, 210, "date", "Expiry of an option, null if none (99991231) or no day"),
    Field("fatcot", 211, 217, "integer", "Quotation factor: a price is for so many units", unit="shares"),
    Field("ptoexe", 218, 230, "decimal", "Strike of an option that is referenced in points", 6, "points"),
    Field("codisi", 231, 242, "text", "ISIN, a derivative's underlying's; before 1995 an internal code"),
    Field("dismes", 243, 245, "integer", "Distribution number of the paper"),
)
"""A quote (record type 01), in the order of the record, every character covered once."""


def _column(field: Field) -> Column:
    unit = f" [{field.unit}]" if field.unit else ""
    return Column(field.name, field.glue_type, field.meaning + unit)


COTAHIST_COLUMNS = tuple(_column(field) for field in FIELDS if field.name not in {"tipreg", "data"})
"""Raw table `cotahist`, partitioned by `trade_date`, which is DATA. TIPREG is always 01 and is not stored.

Only `datven` is ever null; a text field that is blank is the empty string.
"""

FILE_COLUMN = Column("file", "string", "Which of B3's files of the session has the line: daily or annual")

REVISION_COLUMNS = (*COTAHIST_COLUMNS, FILE_COLUMN)
"""Raw table `cotahist_revisions`, partitioned by `trade_date`: the lines that only one of the files has."""

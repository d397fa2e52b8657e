"""The columns of the refined tables, and those of the raw ones that the refinement reads."""

from __future__ import annotations

from typing import NamedTuple

Types = list[tuple[str, str]]  # names and Glue types of columns, in order


INDEX = "IBOV"
"""The first index of the settings, if they are not told otherwise: the one whose weights the rows have."""


class Field(NamedTuple):
    """A column of the refined table: its name, its type (spelled alike in Glue and Spark), its comment."""

    name: str
    type: str
    comment: str


COLUMNS = (
    Field("isin", "string", "ISIN of the stock; null where B3 gives none"),
    Field("company", "string", "Short name of the company"),
    Field("share_class", "string", "Share class, rights and listing segment"),
    Field(
        "open",
        "decimal(18,6)",
        "First price in the cash market [BRL per unit; see currency]; null without a cash line",
    ),
    Field("high", "decimal(18,6)", "Highest price in the cash market [BRL per unit; see currency]"),
    Field("low", "decimal(18,6)", "Lowest price in the cash market [BRL per unit; see currency]"),
    Field("close", "decimal(18,6)", "Last price in the cash market [BRL per unit; see currency]"),
    Field("average_price", "decimal(18,6)", "Average price in the cash market [BRL per unit; see currency]"),
    Field(
        "best_bid",
        "decimal(18,6)",
        "Best bid at the close of the cash market [BRL per unit; see currency]; null if none",
    ),
    Field(
        "best_ask",
        "decimal(18,6)",
        "Best ask at the close of the cash market [BRL per unit; see currency]; null if none",
    ),
    Field(
        "trades",
        "bigint",
        "Number of trades, every market; null where a line's volume contradicts its count, of which B3 gives "
        "the last five digits",
    ),
    Field("quantity", "bigint", "Quantity traded, every market [shares or contracts]"),
    Field("volume", "decimal(24,2)", "Financial volume, every market [BRL; see currency]"),
    Field("cash_volume", "decimal(24,2)", "Volume in the cash market [BRL; see currency]"),
    Field("odd_lot_volume", "decimal(24,2)", "Volume in the odd-lot market [BRL; see currency]"),
    Field("forward_volume", "decimal(24,2)", "Volume of forwards [BRL; see currency]"),
    Field("call_volume", "decimal(24,2)", "Premiums paid for calls [BRL; see currency]"),
    Field("put_volume", "decimal(24,2)", "Premiums paid for puts [BRL; see currency]"),
    Field(
        "other_volume",
        "decimal(24,2)",
        "Volume in every other market, such as exercises and auctions [BRL; see currency]",
    ),
    Field("option_series", "int", "Number of option series (calls and puts) that traded"),
    Field("put_call_ratio", "double", "put_volume / call_volume; null without calls"),
    Field("next_expiry", "date", "Earliest expiry among the option series that traded"),
    Field("days_to_expiry", "int", "Days from trade_date to next_expiry"),
    Field("lines", "int", "Number of raw lines behind this row"),
    Field("index_weight", "decimal(9,3)", f"Weight in the {INDEX} [percent]; null outside the index"),
    Field("sector", "string", f"Economic sector, as in the {INDEX}'s portfolio; null outside the index"),
    Field("portfolio_date", "date", f"Date of the {INDEX} portfolio consulted: the newest up to trade_date"),
    Field("portfolio_age_days", "int", "Days from portfolio_date to trade_date"),
    Field(
        "security_type",
        "string",
        "Kind of paper: share, unit, right (subscription rights, receipts, bonuses), fund, etf, bdr, index, "
        "or other",
    ),
    Field("bulletin_code", "string", "B3's bulletin code of the line that names the row"),
    Field(
        "currency",
        "string",
        "Of prices and volumes: BRL; before 1994-07-04 CRR thousand, thousands of cruzeiros reais",
    ),
    Field(
        "distribution_number",
        "int",
        "B3's distribution number of the cash line (DISMES): rises with each distribution, on the ex-date; "
        "null without a cash line",
    ),
)
PARTITION_KEYS = (
    Field("trade_date", "date", "Trading session"),
    Field(
        "ticker",
        "string",
        "Ticker; a stock without a cash line goes by its odd lot's name, another line's, or its options'",
    ),
)
# The same rows a second time, for queries that span sessions: one file a session, the ticker a column
COMPACT_COLUMNS = (PARTITION_KEYS[1], *COLUMNS)
COMPACT_KEYS = PARTITION_KEYS[:1]
COMPACT_SUFFIX = "_compact"  # of the table's name
# The members of every index that is taken: refinement.members makes one file a session
MEMBER_COLUMNS = (
    Field("index_code", "string", "Code of the index, such as IBOV"),
    Field("ticker", "string", "Ticker of the member"),
    Field("isin", "string", "Its ISIN; null where it did not trade in the session"),
    Field("weight", "decimal(9,3)", "Weight in the index on portfolio_date [percent]"),
    Field("sector", "string", "Economic sector, as in the portfolio"),
    Field("portfolio_date", "date", "Date of the portfolio: the newest up to trade_date"),
    Field("portfolio_age_days", "int", "Days from portfolio_date to trade_date"),
)
MEMBER_KEYS = PARTITION_KEYS[:1]
# What corporate actions do to prices: refinement.adjustment makes both tables, of one file each
EVENT_COLUMNS = (
    Field("isin", "string", "ISIN of the paper"),
    Field("ticker", "string", "Its ticker on the ex-date, or the last one known"),
    Field(
        "ex_date",
        "date",
        "First session without the right; null while the lake has none",
    ),
    Field(
        "kind",
        "string",
        "dividend, interest (on equity, JCP), income (of funds), other_cash, subscription, split, "
        "reverse_split, bonus, spin_off, other, nominal_update, or unknown: a rise of the distribution "
        "number for which B3 states no event",
    ),
    Field("label", "string", "B3's word for it; null of unknown"),
    Field("ratio", "decimal(24,11)", "Shares after for one before; null where it leaves their number alone"),
    Field(
        "amount",
        "decimal(24,11)",
        "Gross amount per share, or of a subscription what the right was worth [BRL]; null of others",
    ),
    Field(
        "close_before",
        "decimal(18,6)",
        "Close of the last session with the right, or of the paper's last before that [BRL per unit]",
    ),
    Field(
        "split_factor",
        "double",
        "What it multiplies former prices by, of shares alone; null if unknown",
    ),
    Field(
        "total_return_factor",
        "double",
        "What it multiplies former prices by, for the number of shares and the distribution; null if unknown",
    ),
    Field("last_date_prior", "date", "Last session with the right, as B3 states it; null without an event"),
    Field("payment_date", "date", "When it is paid; null if not known"),
    Field(
        "status",
        "string",
        "proven (sized, and the distribution number rose), unsized, unexplained (a rise, no event), "
        "unconfirmed (an event, no rise) or contradicted (by the paper's own price)",
    ),
    Field("reason", "string", "Why it is not proven, in words; null if it is"),
)
FACTOR_COLUMNS = (
    Field("isin", "string", "ISIN of the paper"),
    Field("first_session", "date", "First session of the span"),
    Field("last_session", "date", "Last session of the span; spans do not overlap, and cover each session"),
    Field(
        "split_factor",
        "double",
        "What a price of the span is multiplied by to be in shares of the paper's newest session; null where "
        "that is not provable",
    ),
    Field(
        "total_return_factor",
        "double",
        "The same, with distributions reinvested; null where that is not provable",
    ),
    Field(
        "split_base",
        "date",
        "The newest session to which ratios lead unbroken: spans of one base can be compared, whatever broke "
        "the series since; null where not even the span's own sessions can be",
    ),
    Field(
        "split_base_factor",
        "double",
        "What a price of the span is multiplied by to be in split_base's shares",
    ),
    Field("total_return_base", "date", "As split_base, of ratios and distributions"),
    Field(
        "total_return_base_factor",
        "double",
        "As split_base_factor, with distributions reinvested; to total_return_base",
    ),
    Field("reason", "string", "Why one of the first two is null, in words: what lies next after the span"),
)
_NOT_PROVABLE = "null where that is not provable, as adjustment_reason says"
# What the view has behind the columns of the compact table
ADJUSTED_COLUMNS = (
    *(
        Field(
            f"{name}_adjusted",
            "double",
            f"{name} in shares of the paper's newest session [BRL]; {_NOT_PROVABLE}",
        )
        for name in ("open", "high", "low", "close", "average_price")
    ),
    Field("quantity_adjusted", "double", f"quantity in shares of the newest session; {_NOT_PROVABLE}"),
    Field(
        "close_total_return",
        "double",
        f"close_adjusted, with distributions reinvested [BRL]; {_NOT_PROVABLE}",
    ),
    Field("adjustment_reason", "string", "Why one of them is null, in words"),
)
# The columns of the raw tables that the job reads, with the types that it relies on
QUOTE_COLUMNS = {
    "codbdi": "string",
    "codneg": "string",
    "tpmerc": "string",
    "nomres": "string",
    "especi": "string",
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
    "datven": "date",
    "fatcot": "bigint",
    "codisi": "string",
    "dismes": "bigint",
}
ACTION_COLUMNS = {
    "issuer": "string",
    "call": "string",
    "category": "string",
    "isin": "string",
    "asset_issued": "string",
    "type_stock": "string",
    "label": "string",
    "last_date_prior": "date",
    "payment_date": "date",
    "rate": "decimal(24,11)",
    "quoted_per_shares": "bigint",
    "factor": "decimal(24,11)",
    "percentage": "decimal(24,11)",
    "price_unit": "decimal(24,11)",
    "occurrence": "int",
    "first_seen": "date",
    "last_seen": "date",
}
PORTFOLIO_COLUMNS = {
    "index_code": "string",
    "ticker": "string",
    "sector": "string",
    "weight": "decimal(9,3)",
}


def of_index(columns: tuple[Field, ...], index: str) -> tuple[Field, ...]:
    """Columns whose comments name the index that the rows have weights of, in place of `INDEX`."""
    return tuple(field._replace(comment=field.comment.replace(INDEX, index)) for field in columns)

"""What script and graph calculate alike, as Spark SQL: of raw lines, of a stock's first line, of its sums.

This module imports nothing of Spark: the stack reads it for the visual mode's nodes.
"""

from __future__ import annotations

from lake.currency import BRL, CRR_THOUSAND, FIRST_IN_BRL

CASH, ODD_LOT, FORWARD, CALL, PUT = "010", "020", "030", "070", "080"
MARKETS = {"cash": CASH, "odd_lot": ODD_LOT, "forward": FORWARD, "call": CALL, "put": PUT}
"""TPMERC of the markets whose volumes are columns of their own, by the columns' names less `_volume`."""
OPTIONS = (CALL, PUT)
NAMED_BY_SERIES = (*OPTIONS, "012", "013")
"""Options and their exercises."""
IS_CASH = f"tpmerc = '{CASH}'"
IS_OPTION = f"tpmerc IN {OPTIONS}"
ISIN = "NULLIF(TRIM(codisi), '')"

DISTRIBUTION_NUMBER = f"CASE WHEN {IS_CASH} THEN dismes END"

RANK = f"""CASE
  WHEN {IS_CASH} THEN 0
  WHEN tpmerc = '{ODD_LOT}' THEN 1
  WHEN tpmerc IN {NAMED_BY_SERIES} THEN 3
  ELSE 2
END"""
"""Which of a stock's lines names it: the least."""

# What stands behind a ticker's digits in markets other than options: a letter, or BL. A ticker may end in B
NAME = f"""CASE
  WHEN {IS_CASH} THEN codneg
  WHEN tpmerc = '{ODD_LOT}' THEN REGEXP_REPLACE(codneg, 'F$', '')
  WHEN tpmerc IN {NAMED_BY_SERIES} THEN RTRIM(SUBSTRING(codneg, 1, 4))
  ELSE REGEXP_REPLACE(codneg, '(?<=[0-9]B?)(BL|[A-Z])$', '')
END"""
"""What a line calls its stock: of the cash market as it is, of others less the market's suffix, of options
the four letters that all classes of a company have in common."""

CURRENCY = f"CASE WHEN trade_date < DATE '{FIRST_IN_BRL}' THEN '{CRR_THOUSAND}' ELSE '{BRL}' END"

# In double: a quotient of two decimals this wide would keep too few of its digits
PUT_CALL_RATIO = (
    "CASE WHEN call_volume <> 0 THEN CAST(put_volume AS DOUBLE) / CAST(call_volume AS DOUBLE) END"
)


def price(field: str) -> str:
    """A price of the cash line, for one unit.

    Division by a bigint keeps 23 decimals, so that a cast to 6 is the only rounding (half up).
    """
    return f"CASE WHEN {IS_CASH} THEN {field} / NULLIF(fatcot, 0) END"


def quotation(field: str) -> str:
    """As `price`; B3 writes 0 where there was no bid or no ask."""
    return f"CASE WHEN {IS_CASH} AND {field} <> 0 THEN {field} / NULLIF(fatcot, 0) END"


def volume(market: str) -> str:
    """The volume of a line if it is of a market, one of `MARKETS` or `other`; else 0."""
    if market == "other":
        return f"CASE WHEN tpmerc NOT IN {tuple(MARKETS.values())} THEN voltot ELSE 0 END"
    return f"CASE WHEN tpmerc = '{MARKETS[market]}' THEN voltot ELSE 0 END"


def class_number(share_class: str) -> str:
    """The number of a class, which tells classes of a company apart whose options alone traded."""
    return f"""CASE REGEXP_EXTRACT({share_class}, '^[A-Z]+', 0)
  WHEN 'ON' THEN '3'
  WHEN 'PN' THEN '4'
  WHEN 'PNA' THEN '5'
  WHEN 'PNB' THEN '6'
  WHEN 'PNC' THEN '7'
  WHEN 'PND' THEN '8'
  WHEN 'UNT' THEN '11'
  ELSE ''
END"""


def security_type(bulletin_code: str, share_class: str, company: str, isin: str) -> str:
    """What kind of paper a line is of, from CODBDI, ESPECI, NOMRES and CODISI.

    ESPECI decides where it can. Of every fund it says CI: those under CODBDI 14, or with options or forwards,
    are ETFs, but for the funds of infrastructure and tax incentives that B3 has under 14 too, which their
    names tell.
    """

    def is_of(classes: str) -> str:
        return f"{share_class} RLIKE '^({classes})(?![A-Z0-9])'"

    return f"""CASE
  WHEN {bulletin_code} IN ('10', '22') OR {is_of("DIR|BNS|REC")} OR {share_class} RLIKE ' REC( |$)'
    THEN 'right'
  WHEN {bulletin_code} IN ('34', '35', '36') OR {is_of("BDR|DR[A-Z0-9]")} THEN 'bdr'
  WHEN {is_of("IBO")} OR {isin} RLIKE '^BR....IND' THEN 'index'
  WHEN {is_of("UNT|CDA")} THEN 'unit'
  WHEN {is_of("O[NPER]|P[NPER][A-HRV]?")} THEN 'share'
  WHEN {is_of("CI[A-Z]?")} AND {bulletin_code} IN ('14', '38', '42', '62', '78', '82')
    AND NOT {company} RLIKE
      '(^| )(FI(I|A|C|M|P|RF|DC|NOR|NAM|SET|AGRO)?|FDC|FUNDES)( |$)|(^| )INFRA'
    THEN 'etf'
  WHEN {is_of("CI[A-Z]?|FIDC")} THEN 'fund'
  ELSE 'other'
END"""


PEERS = 50
"""Lines with the largest volumes of a session's shares and units in a market: they tell what a trade's usual
size is."""


def is_judged(kind: str) -> str:
    """Whether a line's number of trades can be judged: cash or odd lots, of shares or units."""
    return f"(tpmerc IN ('{CASH}', '{ODD_LOT}') AND {kind} IN ('share', 'unit'))"


def is_doubtful(is_judged: str, usual_size: str) -> str:
    """Whether a line's volume contradicts its number of trades, of which B3 writes the last five digits.

    It does where a trade would be more than five times as large as usual, and with 100,000 trades more at
    least three quarters as large; and wherever there is a volume and no trade. A trade is of one unit or
    more.

    Args:
        is_judged: Whether there may be a verdict.
        usual_size: The median of the peers' sizes; null where they are fewer.
    """
    return f"""(totneg = 0 AND voltot <> 0) OR COALESCE(
  {is_judged}
    AND CAST(voltot AS DOUBLE) > {usual_size} * 5 * totneg
    AND CAST(voltot AS DOUBLE) >= {usual_size} * 0.75D * (totneg + 100000)
    AND quatot >= totneg + 100000,
  FALSE
)"""

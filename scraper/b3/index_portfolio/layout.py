"""The layout of an index portfolio, written once: the columns of its raw table, after B3's JSON.

The reader derives its Arrow types from here and the stack its Glue table, so this module imports nothing
beyond the standard library.
"""

from scraper.b3.columns import Column

PORTFOLIO_COLUMNS = (
    Column("index_code", "string", "Code of the index, such as IBOV"),
    Column("ticker", "string", "Ticker of the constituent (cod)"),
    Column("asset", "string", "Short name of the company (asset)"),
    Column("share_class", "string", "Share class, rights and listing segment (type)"),
    Column("sector", "string", "Economic sector and subsector (segment); null where B3 gives none"),
    Column("weight", "decimal(9,3)", "Weight in the index [percent] (part)"),
    Column("sector_weight", "decimal(9,3)", "Weight of the sector [percent] (partAcum); null without sector"),
    Column("theoretical_quantity", "bigint", "Quantity in the theoretical portfolio [shares] (theoricalQty)"),
    Column("reductor", "decimal(24,8)", "Divisor of the index, the same in every row; null if none"),
)
"""Raw table `index_portfolio`, partitioned by `portfolio_date`; in brackets B3's own names."""

"""The layout of an index's levels, written once: the columns of their raw table, after B3's JSON.

The reader derives its Arrow types from here and the stack its Glue table, so this module imports nothing
beyond the standard library.
"""

from scraper.b3.columns import Column

FIRST_YEAR = 1968
"""The first year that B3 has levels of, those of the IBOV."""

NEW_BASE = "new base: not to be held against the session before"
"""What `note` says of a level that lies further from the one before it than a day's move can take it."""

LEVEL_COLUMNS = (
    Column("index_code", "string", "Code of the index, such as IBOV"),
    Column("trade_date", "date", "Trading session"),
    Column("level", "decimal(18,2)", "Close of the session [points], as B3 published it then"),
    Column(
        "note", "string", "Why it is not to be held against the level before, as after a new base; else null"
    ),
)
"""Raw table `index_level`, an object an index and year. B3's rows are days of the month, of a level a
month.

B3 divided the IBOV by ten, or by a hundred, several times up to 1997, and currencies changed. Its levels are
as they were published, so that a return across such a day is none: `note` has `NEW_BASE` there.
"""

"""Names in a deployed stack that several parts look for, so that they need not load the CDK."""

RESERVED = "Reserved"
"""What the ids of a bucket policy's statements begin with that say who may write (`stacks.storage`)."""


def adjustment_tables(refined_table: str) -> tuple[str, str, str]:
    """Names of the tables of events and of factors, and of the view of adjusted prices.

    Args:
        refined_table: Name of the refined table, such as `bovespa_daily`.
    """
    stem = refined_table.removesuffix("_daily")
    return f"{stem}_events", f"{stem}_factors", f"{refined_table}_adjusted"


def members_table(refined_table: str) -> str:
    """Name of the table of the members of indices.

    Args:
        refined_table: Name of the refined table, such as `bovespa_daily`.
    """
    return f"{refined_table.removesuffix('_daily')}_index_members"

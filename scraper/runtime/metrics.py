"""What the metrics of the scraper are called.

CloudWatch does not charge for the first ten custom metrics of an account; each further one costs more in a
month than all that the functions do. Their one dimension is the stack, so that two do not mix.
"""

from __future__ import annotations

from enum import StrEnum

NAMESPACE = "BovespaPipeline"
DIMENSION = "service"
"""Its value is the stack's name (`POWERTOOLS_SERVICE_NAME`)."""


class Metric(StrEnum):
    """The name of a metric."""

    SESSIONS_MISSING = "SessionsMissing"
    """Sessions of the calendar, up to D-1, that the raw bucket lacks after a run, unless B3 said that there
    was none."""
    SESSIONS_INGESTED = "SessionsIngested"
    """Sessions that a run wrote, corrections of B3's included."""
    ROWS_INGESTED = "RowsIngested"
    """Quotes in them."""
    VOLUME_INGESTED = "VolumeIngested"
    """Their financial volume [BRL]. A metric is a float: to look at, not to reckon with."""
    FILES_QUARANTINED = "FilesQuarantined"
    """Files that a reader refused."""
    FILES_FAILED = "FilesFailed"
    """Files that could not be fetched, read or written, B3's refusals included."""
    ACTIONS_FAILED = "CorporateActionsFailed"
    """Issuers whose corporate actions could not be asked for, or whose answers were refused."""
    ODD_VALUES_KEPT = "OddValuesKept"
    """Values of what was written that a reader kept as null or as text although they are odd."""
    NEWS_IN_FILES = "NewsInFiles"
    """What the canary found new in B3's files (see `scraper.daily.canary`)."""

"""What the scraper raises when B3's bytes, or B3 itself, are not what was expected, and advice on errors."""

_POLICY_REFUSES = "explicit deny in a resource-based policy"
_ONLY_OPERATORS = (
    "The policy of the raw bucket lets nobody write it but the pipeline and its operators. Add the role or "
    "user that you are (`aws sts get-caller-identity`) to the setting `operators` and deploy, or have the "
    "deployed functions do it: `backfill --via lambda`, or invoke the scraper's"
)


class ScraperError(Exception):
    """Anything that this package raises on purpose."""


class InvalidData(ScraperError, ValueError):  # noqa: N818 - named after the download outcome that it becomes
    """Bytes of B3 that a reader refuses: nothing of them has been used.

    Attributes:
        source: The file or address that the bytes came from.
        record: Number of the offending record, the first being 1; None if it is not about one record.
        field: Name of the offending field in B3's own layout; None if it is not about one field.
        found: What was there.
        expected: What should have been there.
    """

    def __init__(
        self,
        *,
        source: str,
        found: str,
        expected: str,
        record: int | None = None,
        field: str | None = None,
        advice: str = "Download it again; if it comes the same, B3 published it so: keep it and ask B3.",
    ) -> None:
        self.source = source
        self.record = record
        self.field = field
        self.found = found
        self.expected = expected
        where = [source]
        if record is not None:
            where.append(f"record {record}")
        if field is not None:
            where.append(f"field {field}")
        super().__init__(f"{', '.join(where)}: found {found}, expected {expected}. {advice}")


def message_of(error: Exception) -> str:
    """What an error says, and what to do if it is the raw bucket's policy that refuses."""
    return f"{error}. {_ONLY_OPERATORS}" if _POLICY_REFUSES in str(error) else str(error)

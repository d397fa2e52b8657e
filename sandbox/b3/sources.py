"""What a simulated B3 serves: recorded files of B3's own."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

from sandbox.b3.server import Document, PortfolioRequest

_QUOTE_FILE = re.compile(r"COTAHIST_[ADM]\d{4,8}\.ZIP")


class RecordedFolder:
    """Serves files of B3's, byte for byte, from a folder that has the paths of B3's addresses.

    Quotes are `InstDados/SerHist/COTAHIST_*.ZIP`. Portfolios are
    `indexProxy/GetPortfolioDay_{index}_segment{1|2}_{DD-MM-YY}.json`, of which B3 would serve only one on a
    day: here it is the newest dated on or before `session`, and where there is none the oldest.

    Args:
        folder: The folder.
        session: The session that is asked for.

    Raises:
        ValueError: the folder has no quote file.
    """

    def __init__(self, folder: Path, session: date) -> None:
        self._quotes = folder / "InstDados" / "SerHist"
        self._portfolios = folder / "indexProxy"
        self._session = session
        if not any(self._quotes.glob("COTAHIST_*.ZIP")):
            raise ValueError(
                f"no COTAHIST_*.ZIP in {self._quotes}; put B3's files there, under their own names"
            )

    def quotes(self, name: str) -> Document | None:
        """The recorded ZIP of that name."""
        path = self._quotes / name
        if not _QUOTE_FILE.fullmatch(name) or not path.is_file():
            return None
        return Document(
            body=path.read_bytes(),
            content_type="application/x-zip-compressed",
            last_modified=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        )

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        """The recorded portfolio; recorded answers have one page."""
        name = re.compile(
            rf"GetPortfolioDay_{re.escape(request.index)}_segment{request.segment}_(\d\d-\d\d-\d\d)\.json"
        )
        recorded = {
            datetime.strptime(match[1], "%d-%m-%y").date(): path  # noqa: DTZ007  a date has no time zone
            for path in self._portfolios.glob("GetPortfolioDay_*.json")
            if (match := name.fullmatch(path.name))
        }
        if not recorded or request.page_number > 1:
            return None
        newest = max((day for day in recorded if day <= self._session), default=min(recorded))
        return Document(body=recorded[newest].read_bytes(), content_type="application/json; charset=utf-8")

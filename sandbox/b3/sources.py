"""What a B3 server serves: sessions of the simulated market, or recorded files of B3's own."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from sandbox.b3.formats import (
    daily_member_name,
    daily_zip_name,
    encode_portfolio,
    encode_session,
    zip_file,
)
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import Document, PortfolioRequest
from sandbox.b3.years import annual_zip_name, write_year

_ZIP = partial(Document, content_type="application/x-zip-compressed")
_JSON = partial(Document, content_type="application/json; charset=utf-8")

_QUOTE_FILE = re.compile(r"COTAHIST_[ADM]\d{4,8}\.ZIP")


class SimulatedSource:
    """Serves sessions of a simulated market, by day and by year, and the portfolio of its index.

    A file is generated when it is first asked for. The ZIP of a year has the sessions that there are of it;
    it is kept on disk, in a temporary folder that goes with the source.

    Args:
        sessions: The sessions that there are; any other date is answered as a day without trading.
        market: The market.
        portfolio_as_of: Date of the portfolio. By default the first session, so that every session served has
            a portfolio dated on or before it.

    Attributes:
        portfolio_as_of: The same. B3 serves no portfolio but the present one, so whoever plays through time
            moves it along; the index is made anew on the first session of January, May and September.

    Raises:
        ValueError: there is no session.
    """

    def __init__(
        self, sessions: Iterable[date], market: SimulatedMarket, *, portfolio_as_of: date | None = None
    ) -> None:
        self._market = market
        self._sessions = {daily_zip_name(session): session for session in sessions}
        if not self._sessions:
            raise ValueError("a simulated B3 needs at least one session to serve")
        self.portfolio_as_of = portfolio_as_of or min(self._sessions.values())
        self._years = {annual_zip_name(session.year): session.year for session in self._sessions.values()}
        self._served: dict[date, Document] = {}
        self._generating = Lock()  # the server's threads share one market

    def quotes(self, name: str) -> Document | None:
        """The ZIP of a session or of a year."""
        with self._generating:
            if name in self._sessions:
                return self._session(self._sessions[name])
            return self._year(self._years[name]) if name in self._years else None

    def _session(self, session: date) -> Document:
        if session not in self._served:
            text = encode_session(session, self._market.session(session))
            body = zip_file(text, daily_member_name(session))
            self._served[session] = _ZIP(body=body, last_modified=_published(session))
        return self._served[session]

    @cached_property
    def _annual_files(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix="simulated-b3-")

    def _year(self, year: int) -> Document:
        sessions = sorted(session for session in self._sessions.values() if session.year == year)
        path = Path(self._annual_files.name) / annual_zip_name(year)
        if not path.exists():
            quotes = ((session, self._market.columns(session)) for session in sessions)
            write_year(path, quotes, year=year, generated=sessions[-1])
        return _ZIP(body=path.read_bytes(), last_modified=_published(sessions[-1]))

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        """A page of the IBOV's portfolio; there is no other index."""
        if request.index != "IBOV":
            return None
        as_of = self.portfolio_as_of
        with self._generating:
            rows = self._market.portfolio(as_of)
        pages = encode_portfolio(
            as_of,
            rows,
            segment=request.segment,
            page_size=request.page_size,
            reductor=self._market.reductor,
        )
        if request.page_number > len(pages):
            return None
        return _JSON(body=json.dumps(pages[request.page_number - 1], ensure_ascii=False).encode())


def _published(session: date) -> datetime:
    """B3 publishes on the evening of the session, the year's file too."""
    return datetime.combine(session, time(23, 30), UTC)


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
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return _ZIP(body=path.read_bytes(), last_modified=modified)

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
        return _JSON(body=recorded[newest].read_bytes())

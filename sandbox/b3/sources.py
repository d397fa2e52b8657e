"""What a B3 server serves: sessions of the simulated market, or recorded files of B3's own."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from sandbox.b3.columns import Columns
from sandbox.b3.formats import (
    IssuerActions,
    daily_member_name,
    daily_zip_name,
    encode_cash_history,
    encode_levels,
    encode_portfolio,
    encode_session,
    encode_supplement,
    zip_file,
)
from sandbox.b3.index import INDICES
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import (
    CashHistoryRequest,
    Document,
    LevelsRequest,
    PortfolioRequest,
    SupplementRequest,
)
from sandbox.b3.years import annual_zip_name, write_year

_ZIP = partial(Document, content_type="application/x-zip-compressed")
_JSON = partial(Document, content_type="application/json; charset=utf-8")

_QUOTE_FILE = re.compile(r"COTAHIST_[ADM]\d{4,8}\.ZIP", re.IGNORECASE)
PORTFOLIO_SEGMENT = "2"
"""The segment of a portfolio that the scraper asks for: the one with sectors."""
_PORTFOLIO_FILE = "GetPortfolioDay_{index}_segment{segment}_DD-MM-YY.json"
_LEVELS_FILE = "GetPortfolioDay_{index}_{year}"


class SimulatedSource:
    """Serves a simulated market: sessions by day and by year, its indices, corporate actions.

    A file is generated when it is first asked for. The ZIP of a year has the sessions that there are of it;
    it is kept on disk, in a temporary folder that goes with the source.

    Args:
        sessions: The sessions that there are; any other date is answered as a day without trading.
        market: The market.

    Attributes:
        portfolio_as_of: Date of the portfolio: the first session, so that every session served has a
            portfolio dated on or before it. B3 serves no portfolio but the present one, so whoever plays
            through time moves it along; the index is made anew on the first session of January, May and
            September.
        actions_as_of: The day as of which corporate actions and levels are known: the last session.

    Raises:
        ValueError: there is no session.
    """

    def __init__(self, sessions: Iterable[date], market: SimulatedMarket) -> None:
        self._market = market
        self._sessions = {daily_zip_name(session): session for session in sessions}
        if not self._sessions:
            raise ValueError("a simulated B3 needs at least one session to serve")
        self.portfolio_as_of = min(self._sessions.values())
        self.actions_as_of = max(self._sessions.values())
        self._years = {annual_zip_name(session.year): session.year for session in self._sessions.values()}
        self._served: dict[date, Document] = {}
        self._generating = Lock()  # the server's threads share one market
        self._writing = Lock()  # and a year's file, whose sessions leave the market to others in between

    def quotes(self, name: str) -> Document | None:
        """The ZIP of a session or of a year."""
        if name in self._sessions:
            with self._generating:
                return self._session(self._sessions[name])
        if name not in self._years:
            return None
        with self._writing:
            return self._year(self._years[name])

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
            quotes = ((session, self._columns(session)) for session in sessions)
            write_year(path, quotes, year=year, generated=sessions[-1], level=1)
        return _ZIP(body=path.read_bytes(), last_modified=_published(sessions[-1]))

    def _columns(self, session: date) -> Columns:
        with self._generating:
            return self._market.columns(session)

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        """A page of the portfolio of one of `INDICES`."""
        if request.index not in INDICES:
            return None
        as_of = self.portfolio_as_of
        with self._generating:
            rows = self._market.portfolio(as_of, request.index)
            reductor = self._market.reductor_of(request.index)
        pages = encode_portfolio(
            as_of,
            rows,
            segment=request.segment,
            page_size=request.page_size,
            reductor=reductor,
        )
        if request.page_number > len(pages):
            return None
        return _JSON(body=json.dumps(pages[request.page_number - 1], ensure_ascii=False).encode())

    def levels(self, request: LevelsRequest) -> Document | None:
        """The levels of one of `INDICES`, of the sessions that there are in a year, if any."""
        days = [
            day for day in self._sessions.values() if day.year == request.year and day <= self.actions_as_of
        ]
        if request.index not in INDICES:
            return None
        with self._generating:
            levels = {day: self._market.level(day, request.index) for day in days}
        return _JSON(body=json.dumps(encode_levels(levels)).encode())

    def supplement(self, request: SupplementRequest) -> Document | None:
        """What B3 knows of an issuer of the market; of one that has left it, nothing."""
        actions = self._actions(request.issuer)
        if actions is None or not actions.is_listed or actions.is_fund != request.is_fund:
            return None
        return _JSON(body=json.dumps(encode_supplement(actions), ensure_ascii=False).encode())

    def cash_history(self, request: CashHistoryRequest) -> Document | None:
        """A page of what a company has paid; without rows where B3 does not know the name."""
        issuer = self._market.issuer_of(request.trading_name)
        actions = None if issuer is None else self._actions(issuer)
        page = encode_cash_history(
            actions.history if actions else (),
            page_number=request.page_number,
            page_size=request.page_size,
        )
        return _JSON(body=json.dumps(page, ensure_ascii=False).encode())

    def _actions(self, issuer: str) -> IssuerActions | None:
        with self._generating:
            return self._market.corporate_actions(issuer, self.actions_as_of)


def _published(session: date) -> datetime:
    """B3 publishes on the evening of the session, the year's file too."""
    return datetime.combine(session, time(23, 30), UTC)


def quote_files(folder: Path) -> dict[str, Path]:
    """The quote files of a folder by B3's own names: those of `InstDados/SerHist/`, then its own.

    Names count in either case, as downloads end up as `.zip`, too.
    """
    places = (folder, folder / "InstDados" / "SerHist")
    files = (path for place in places for path in sorted(place.glob("*")) if path.is_file())
    return {path.name.upper(): path for path in files if _QUOTE_FILE.fullmatch(path.name)}


class RecordedFolder:
    """Serves files of B3's, byte for byte, from a folder that has the paths of B3's addresses, or has none.

    Quotes are `InstDados/SerHist/COTAHIST_*.ZIP`. Portfolios are
    `indexProxy/GetPortfolioDay_{index}_segment{1|2}_{DD-MM-YY}.json`, of which B3 would serve only one on a
    day: here it is the newest dated on or before `session`, and where there is none the oldest. Files may lie
    in the folder itself, too. Levels are
    `indexStatisticsProxy/IndexCall/GetPortfolioDay_{index}_{year}.json`. Corporate actions are
    `listedCompaniesProxy/CompanyCall/<call>_<issuer or trading name>[_<page>].json` and
    `fundsProxy/fundsCall/GetListedSupplementFunds_<issuer>.json`; of others B3 knows nothing.

    Args:
        folder: The folder.
        session: The session that is asked for.

    Raises:
        ValueError: the folder has no quote file.
    """

    def __init__(self, folder: Path, session: date) -> None:
        self._quotes = quote_files(folder)
        self._places = (folder, folder / "indexProxy")
        self._statistics = folder / "indexStatisticsProxy" / "IndexCall"
        self._companies = folder / "listedCompaniesProxy" / "CompanyCall"
        self._funds = folder / "fundsProxy" / "fundsCall"
        self._session = session
        if not self._quotes:
            raise ValueError(
                f"no COTAHIST_*.ZIP in {folder} or its InstDados/SerHist; put B3's files there, under their "
                "own names"
            )

    def quotes(self, name: str) -> Document | None:
        """The recorded ZIP of that name."""
        path = self._quotes.get(name)
        if path is None:
            return None
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return _ZIP(body=path.read_bytes(), last_modified=modified)

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        """The recorded portfolio; recorded answers have one page."""
        recorded = self._portfolios(request.index, request.segment)
        if not recorded or request.page_number > 1:
            return None
        newest = max((day for day in recorded if day <= self._session), default=min(recorded))
        return _JSON(body=recorded[newest].read_bytes())

    def levels(self, request: LevelsRequest) -> Document | None:
        """The recorded levels of an index in a year."""
        return _recorded(self._statistics, _LEVELS_FILE.format(index=request.index, year=request.year))

    def supplement(self, request: SupplementRequest) -> Document | None:
        """The recorded answer for an issuer."""
        if request.is_fund:
            return _recorded(self._funds, f"GetListedSupplementFunds_{request.issuer}")
        return _recorded(self._companies, f"GetListedSupplementCompany_{request.issuer}")

    def cash_history(self, request: CashHistoryRequest) -> Document | None:
        """The recorded page of a trading name; the first one may go without its number."""
        name = f"GetListedCashDividends_{request.trading_name}"
        page = _recorded(self._companies, f"{name}_{request.page_number}")
        if page is None and request.page_number == 1:
            page = _recorded(self._companies, name)
        return page

    def lacks_portfolio(self, index: str) -> str | None:
        """The name under which a portfolio would be served, if the folder has none of that index."""
        if self._portfolios(index, PORTFOLIO_SEGMENT):
            return None
        return _PORTFOLIO_FILE.format(index=index, segment=PORTFOLIO_SEGMENT)

    def lacks_levels(self, index: str) -> str | None:
        """The name under which levels would be served, if the folder has none of that index and session."""
        name = _LEVELS_FILE.format(index=index, year=self._session.year)
        return None if _recorded(self._statistics, name) else f"{name}.json"

    def _portfolios(self, index: str, segment: str) -> dict[date, Path]:
        name = re.compile(rf"GetPortfolioDay_{re.escape(index)}_segment{segment}_(\d\d-\d\d-\d\d)\.json")
        return {
            datetime.strptime(match[1], "%d-%m-%y").date(): path  # noqa: DTZ007  a date has no time zone
            for place in self._places
            for path in place.glob("GetPortfolioDay_*.json")
            if (match := name.fullmatch(path.name))
        }


def _recorded(folder: Path, name: str) -> Document | None:
    """A recorded answer; None if there is none of that name, which comes from an address."""
    path = folder / f"{name}.json"
    if path.name != f"{name}.json" or not path.is_file():
        return None
    return _JSON(body=path.read_bytes())

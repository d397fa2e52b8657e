"""The simulated market through time: what comes, goes and changes, found by going over its sessions."""

from __future__ import annotations

import calendar
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sandbox.b3.actions import Step
from sandbox.b3.columns import Columns
from sandbox.b3.index import IBOV, INDICES
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.series import index_expiry, share_expiry
from sandbox.b3.universe import build_universe
from scraper.b3.calendar import sessions_between

Floats = NDArray[np.float64]

FIRST, LAST = date(2024, 1, 2), date(2027, 12, 30)
SESSIONS = sessions_between(date(2023, 9, 1), date(2028, 4, 28))
"""Four months more on both sides, so that who seldom trades is not taken for one who came or went."""

NOW_AND_THEN = SESSIONS[::25]
LISTED_ON_A_DAY_OFF = 4  # days until the first session, at most


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines of the sessions of a market, with the positions of their sessions."""

    columns: Columns
    session: NDArray[np.intp]

    def of(self, *markets: bytes) -> Lines:
        """Those of these markets."""
        rows = np.isin(self.columns["tpmerc"], markets)
        return Lines(
            columns={name: values[rows] for name, values in self.columns.items()}, session=self.session[rows]
        )

    def table(self, name: str, tickers: Sequence[bytes], *, key: str = "codneg") -> Floats:
        """A field, a row a session, a column a ticker (or another key), NaN where there is no line."""
        position = {ticker: column for column, ticker in enumerate(tickers)}
        columns = np.array([position.get(ticker, -1) for ticker in self.columns[key].tolist()])
        table = np.full((self.session.max() + 1, len(tickers)), np.nan)
        table[self.session[columns >= 0], columns[columns >= 0]] = self.columns[name][columns >= 0]
        return table


def go_over(market: SimulatedMarket, sessions: Sequence[date]) -> Lines:
    names = (
        "codbdi",
        "codneg",
        "codisi",
        "nomres",
        "tpmerc",
        "preabe",
        "preult",
        "fatcot",
        "voltot",
        "datven",
        "especi",
        "dismes",
    )
    made = [market.columns(session) for session in sessions]
    lengths = [len(columns["codneg"]) for columns in made]
    return Lines(
        columns={name: np.concatenate([columns[name] for columns in made]) for name in names},
        session=np.repeat(np.arange(len(sessions)), lengths),
    )


@dataclass(frozen=True)
class History:
    """The sessions of `SESSIONS`; a row is a session, a column a paper of `isins`, which are sorted.

    The market has the tickers of the default one, and few option series.
    """

    market: SimulatedMarket
    lines: Lines

    @cached_property
    def cash(self) -> Lines:
        """Without subscription rights, which trade for a month."""
        lines = self.lines.of(b"010")
        rows = lines.columns["codbdi"] != b"10"
        return Lines(
            columns={name: values[rows] for name, values in lines.columns.items()},
            session=lines.session[rows],
        )

    @cached_property
    def isins(self) -> list[bytes]:
        found: list[bytes] = np.unique(self.cash.columns["codisi"]).tolist()
        return found

    @cached_property
    def paper(self) -> dict[bytes, int]:
        """The column of each ticker; a paper that is renamed has two."""
        column = {isin: number for number, isin in enumerate(self.isins)}
        names = zip(self.cash.columns["codneg"].tolist(), self.cash.columns["codisi"].tolist(), strict=True)
        return {ticker: column[isin] for ticker, isin in names}

    def of_cash(self, name: str) -> Floats:
        """A field of the cash lines."""
        return self.cash.table(name, self.isins, key="codisi")

    @cached_property
    def closes(self) -> Floats:
        """BRL, NaN where a paper did not trade."""
        return self.of_cash("preult") / 100 / self.of_cash("fatcot")

    @cached_property
    def truth(self) -> Floats:
        """The closes as they would be if nothing had ever been paid or split."""
        known = [self.market.truth(session) for session in SESSIONS]
        rows = [[each.get(isin.decode(), np.nan) for isin in self.isins] for each in known]
        return np.where(self.traded, np.array(rows), np.nan)

    @cached_property
    def traded(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.closes)

    @cached_property
    def first(self) -> NDArray[np.intp]:
        """The first session of each paper."""
        first: NDArray[np.intp] = self.traded.argmax(axis=0)
        return first

    @cached_property
    def last(self) -> NDArray[np.intp]:
        """The last session of each paper."""
        last: NDArray[np.intp] = len(self.traded) - 1 - self.traded[::-1].argmax(axis=0)
        return last

    @cached_property
    def volume(self) -> Floats:
        """Median volume of the sessions in which a paper trades, BRL."""
        median: Floats = np.nanmedian(self.of_cash("voltot"), axis=0) / 100
        return median

    @cached_property
    def returns(self) -> Floats:
        """Log returns from session to session, with what is paid, of what traded in all of them."""
        changes: Floats = np.diff(np.log(self.truth[:, self.traded.all(axis=0)]), axis=0)
        return changes

    @property
    def arrivals(self) -> list[tuple[int, date]]:
        """Each paper that was not there from the beginning, and its first session."""
        first = [SESSIONS[session] for session in self.first]
        return [(paper, day) for paper, day in enumerate(first) if FIRST <= day <= LAST]

    @property
    def departures(self) -> list[tuple[int, date]]:
        """Each paper that was not there to the end, and its last session."""
        last = [SESSIONS[session] for session in self.last]
        return [(paper, day) for paper, day in enumerate(last) if FIRST <= day <= LAST]

    def members(self, day: date) -> set[int]:
        return {self.paper[row.ticker.encode()] for row in self.market.portfolio(day)}

    def series(self, which: Callable[..., int], what: NDArray[np.int64]) -> dict[bytes, int]:
        """The least or greatest of something of the option lines of each underlying's ISIN."""
        found: dict[bytes, int] = {}
        options = self.lines.of(b"070", b"080")
        for isin, value in zip(options.columns["codisi"].tolist(), what.tolist(), strict=True):
            found[isin] = which(found.get(isin, value), value)
        return found


@pytest.fixture(scope="module")
def history() -> History:
    market = SimulatedMarket(quotes=500)
    return History(market, go_over(market, SESSIONS))


# ---- companies come and go ----


def test_any_sixty_sessions_of_recent_years_see_an_arrival_and_a_departure(history: History) -> None:
    sessions = [session for session in SESSIONS if FIRST <= session <= LAST]
    for changes in (history.arrivals, history.departures):
        days = {day for _, day in changes}
        assert all(days & set(sessions[start : start + 60]) for start in range(len(sessions) - 59))


def test_a_company_comes_and_goes_with_all_its_share_classes(history: History) -> None:
    for changes in (history.arrivals, history.departures):
        by_company = defaultdict(set)
        for paper, day in changes:
            by_company[history.isins[paper][2:6]].add(day)
        assert {len(days) for days in by_company.values()} == {1}
        assert len(by_company) < len(changes)


def test_a_session_has_about_as_many_tickers_as_were_asked_for(history: History) -> None:
    codes = history.lines.columns["codisi"]
    starts = np.searchsorted(history.lines.session, np.arange(len(SESSIONS) + 1))
    counts = [len(np.unique(codes[start:end])) for start, end in pairwise(starts.tolist())]
    assert min(counts) >= 143
    assert max(counts) <= 153
    assert 146 < np.mean(counts) < 151


@pytest.mark.parametrize("year", [2000, 2008, 2016, 2040, 2050])
def test_the_market_keeps_its_size_for_decades(history: History, year: int) -> None:
    assert 143 <= len(np.unique(history.market.columns(date(year, 6, 1))["codisi"])) <= 153


def test_no_ticker_isin_or_company_is_ever_given_twice(history: History) -> None:
    cash = history.cash.columns
    names = set(zip(cash["codneg"].tolist(), cash["codisi"].tolist(), cash["nomres"].tolist(), strict=True))
    assert len(names) == len({ticker for ticker, _, _ in names})
    codes = {(ticker[:4], company) for ticker, _, company in names}
    assert len(codes) == len({code for code, _ in codes}) == len({company for _, company in codes})
    # Whoever is not thin is there in every session from the first to the last: nobody comes back
    for paper in np.flatnonzero(history.volume > 1e6):
        assert history.traded[history.first[paper] : history.last[paper] + 1, paper].all()


def test_a_few_change_their_tickers_and_name_and_keep_their_isins_and_distribution_numbers(
    history: History,
) -> None:
    cash = history.cash.columns
    names = {name: cash[name].tolist() for name in ("codisi", "codneg", "nomres", "dismes")}
    by_paper = defaultdict(list)
    for isin, *rest in zip(*names.values(), strict=True):
        by_paper[isin].append(rest)
    renamed = {isin: lines for isin, lines in by_paper.items() if len({line[0] for line in lines}) > 1}
    assert 3 <= len(renamed) <= 20
    for isin, lines in renamed.items():
        (change,) = [n for n, (one, other) in enumerate(pairwise(lines), 1) if one[0] != other[0]]
        before, after = lines[change - 1], lines[change]
        assert before[0][:4] == isin[2:6]
        assert re.fullmatch(rb"ZX\d[A-Z]", after[0][:4])
        assert before[0][4:] == after[0][4:]
        assert before[1] != after[1]
        assert 0 <= after[2] - before[2] <= 2
    # It has no line under its former name any more, in no market
    every = history.lines
    for isin in renamed:
        own = every.columns["codisi"] == isin
        later = own & np.char.startswith(every.columns["codneg"], by_paper[isin][-1][0][:4])
        assert every.session[later].min() == every.session[own & ~later].max() + 1


def test_a_new_share_has_options_and_a_place_in_the_index_only_later(history: History) -> None:
    options = history.lines.of(b"070", b"080")
    first_series = history.series(min, options.session)
    portfolios = {day: history.members(day) for day in NOW_AND_THEN}
    with_options = in_index = 0
    for paper, arrival in history.arrivals:
        if (isin := history.isins[paper]) in first_series:
            with_options += 1
            assert (SESSIONS[first_series[isin]] - arrival).days >= 60 - LISTED_ON_A_DAY_OFF
        entered = [day for day, members in portfolios.items() if paper in members]
        in_index += bool(entered)
        assert all((day - arrival).days >= 120 - LISTED_ON_A_DAY_OFF for day in entered)
    assert min(with_options, in_index) > 3


def test_a_share_that_leaves_the_market_has_left_the_index_and_its_options_before(history: History) -> None:
    options = history.lines.of(b"070", b"080")
    last_expiry = history.series(max, options.columns["datven"])
    last_portfolio = {paper: day for day in NOW_AND_THEN for paper in history.members(day)}
    with_options = in_index = 0
    for paper, departure in history.departures:
        if (isin := history.isins[paper]) in last_expiry:
            with_options += 1
            assert last_expiry[isin] <= int(f"{departure:%Y%m%d}")
        if paper in last_portfolio:
            in_index += 1
            assert last_portfolio[paper] < departure
    assert min(with_options, in_index) > 3


def test_the_index_has_none_but_what_trades_in_every_session(history: History) -> None:
    for day in NOW_AND_THEN:
        session = SESSIONS.index(day)
        assert history.members(day) <= {*np.flatnonzero(history.traded[session]).tolist()}, day


@pytest.mark.parametrize(("seed", "tickers"), [(1890, 149), (7, 39), (3, 599)])
def test_names_are_made_up_and_nobodys(seed: int, tickers: int) -> None:
    listings = build_universe(seed, tickers)
    assert len(listings) > tickers * 1.4
    assert len({listing.ticker for listing in listings}) == len(listings)
    assert len({listing.isin for listing in listings}) == len(listings)
    for listing in listings:
        assert re.fullmatch(r"ZX[A-Z][A-Z0-9](3|4|5|11|34)", listing.ticker)
        assert re.fullmatch(r"SIMULADA (\d{3}|\d/\d)", listing.company)
        assert re.fullmatch(rf"BR{listing.ticker[:4]}(AC|CD|BD|CT)[A-Z0-9]{{3}}\d", listing.isin)
        # ISO 6166: letters are two digits, every second digit from the right is doubled, all add up to tens
        digits = "".join(str(int(character, 36)) for character in listing.isin)
        doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
        assert sum(number // 10 + number % 10 for number in doubled) % 10 == 0
    later = {(listing.later_code, listing.later_company) for listing in listings if listing.renamed_on}
    assert len(later) == len({code for code, _ in later}) == len({company for _, company in later}) > 2
    assert all(re.fullmatch(r"ZX\d[A-Z]", code) for code, _ in later)
    assert all(re.fullmatch(r"SIMULADA \d{3}", company) for _, company in later)
    assert not {company for _, company in later} & {listing.company for listing in listings}


# ---- who does not trade ----


def test_about_a_tenth_of_the_tickers_the_least_traded_miss_sessions(history: History) -> None:
    listed = history.last - history.first + 1
    missed = 1 - history.traded.sum(axis=0) / listed
    thin = missed > 0.02
    assert 0.05 < thin.mean() < 0.13
    assert missed.max() > 0.5
    assert history.volume[thin].max() < np.quantile(history.volume, 0.2)
    assert not missed[history.volume > np.quantile(history.volume, 0.25)].any()


def test_in_a_session_a_share_may_trade_in_odd_lots_alone_or_not_at_all(history: History) -> None:
    odd_lots = ~np.isnan(history.lines.of(b"020").table("voltot", history.isins, key="codisi"))
    shares = odd_lots.any(axis=0)
    session = np.arange(len(SESSIONS))[:, np.newaxis]
    listed = (history.first <= session) & (session <= history.last)
    alone = (odd_lots & ~history.traded & listed)[:, shares].sum(axis=1)
    silent = (~odd_lots & ~history.traded & listed)[:, shares].sum(axis=1)
    assert 1 < alone.mean() < 8
    assert 0.5 < silent.mean() < 8
    never_otherwise = set(history.lines.of(b"020").columns["codisi"].tolist()) - {*history.isins}
    assert len(never_otherwise) == 1


# ---- prices ----


def autocorrelation(values: Floats, lag: int) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def windows(values: NDArray[np.generic], length: int) -> NDArray[np.generic]:
    """Each stretch of that length, along a new last axis."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=0)


def test_calm_and_stormy_stretches_follow_one_another(history: History) -> None:
    market = history.returns.mean(axis=1)
    shuffled = np.random.default_rng(1).permutation(market)
    clustering, chance = (
        np.mean([autocorrelation(np.abs(moves), lag) for lag in range(1, 11)]) for moves in (market, shuffled)
    )
    assert clustering > 0.05
    assert clustering > 3 * abs(chance)
    monthly = np.sqrt(252) * windows(market, 21).std(axis=-1)
    assert monthly.max() > 2.5 * monthly.min()
    assert 0.10 < market.std() * np.sqrt(252) < 0.30
    assert abs(market.mean() * 252) < 0.15
    assert abs(autocorrelation(market, 1)) < 0.1  # the direction cannot be foretold


def test_returns_have_fat_tails_and_nothing_is_absurd(history: History) -> None:
    standard = (history.returns - history.returns.mean(axis=0)) / history.returns.std(axis=0)
    assert np.median((standard**4).mean(axis=0)) > 4  # 3 is the normal distribution's
    assert np.abs(history.returns).max() < 0.5
    assert (np.nanmax(history.truth, axis=0) / np.nanmin(history.truth, axis=0)).max() < 30


def test_shares_of_a_sector_move_together_more_than_shares_of_two(history: History) -> None:
    sector = {row.ticker: row.sector for day in NOW_AND_THEN for row in history.market.portfolio(day)}
    of_paper = {history.paper[ticker.encode()]: name for ticker, name in sector.items()}
    everyday = np.flatnonzero(history.traded.all(axis=0)).tolist()
    members = [number for number, paper in enumerate(everyday) if paper in of_paper]
    correlation = np.atleast_2d(np.corrcoef(history.returns[:, members].T))
    pairs: dict[bool, list[float]] = {True: [], False: []}
    for row, one in enumerate(everyday[number] for number in members):
        for column, other in enumerate(everyday[number] for number in members[:row]):
            if history.isins[one][:6] != history.isins[other][:6]:
                pairs[of_paper[one] == of_paper[other]].append(correlation[row, column])
    within, across = np.mean(pairs[True]), np.mean(pairs[False])
    assert len(pairs[True]) > 50
    assert 0.2 < across < 0.45
    assert within > across + 0.12


def test_a_year_says_something_of_highs_lows_and_averages(history: History) -> None:
    closes = history.truth[:, history.traded.all(axis=0)]
    year = windows(closes, 250)
    for extreme in (year.max(axis=-1), year.min(axis=-1)):
        reached = (closes[249:] == extreme).sum(axis=1)
        assert (reached > 0).mean() > 0.5
        # Some months have many and some hardly any
        monthly = windows(reached, 21).sum(axis=-1)
        assert monthly.max() > 100
        assert monthly.min() < 20
    short, long = windows(closes, 20)[180:].mean(axis=-1), windows(closes, 200).mean(axis=-1)
    above = short > long
    assert 2 <= np.median(np.abs(np.diff(above.astype(int), axis=0)).sum(axis=0)) <= 40
    assert above.mean(axis=1).min() < 0.35
    assert above.mean(axis=1).max() > 0.65


def test_sessions_open_with_a_gap_that_is_a_part_of_their_move(history: History) -> None:
    opens = history.of_cash("preabe") / 100 / history.of_cash("fatcot")
    liquid = history.traded.all(axis=0) & (history.volume > 1e6)
    before, open_, close = history.closes[:-1, liquid], opens[1:, liquid], history.closes[1:, liquid]
    # Without what has left in between
    move = np.diff(np.log(history.truth[:, liquid]), axis=0)
    gap = np.log(open_ / before) - np.log(close / before) + move
    assert 0.25 < gap.std() / move.std() < 0.75
    assert 0.5 < np.corrcoef(gap.ravel(), move.ravel())[0, 1] < 0.95
    assert (np.abs(gap) > 0.02).any(axis=1).mean() > 0.5


# ---- options ----

CLOSED_FRIDAYS = {  # third Fridays that are holidays, and the session before
    date(2022, 4, 15): date(2022, 4, 14),  # Good Friday
    date(2023, 4, 21): date(2023, 4, 20),  # Tiradentes
    date(2024, 11, 15): date(2024, 11, 14),  # the Republic's day
    date(2025, 4, 18): date(2025, 4, 17),  # Good Friday
    date(2026, 11, 20): date(2026, 11, 19),  # Black Awareness Day
}
CLOSED_WEDNESDAYS = {
    date(2022, 10, 12): date(2022, 10, 11),  # Our Lady of Aparecida
    date(2023, 11, 15): date(2023, 11, 14),  # the Republic's day
}
MONTHS = [(year, month) for year in range(2022, 2028) for month in range(1, 13)]


def test_options_on_shares_expire_on_third_fridays_or_the_session_before() -> None:
    for year, month in MONTHS:
        third = [week[4] for week in calendar.monthcalendar(year, month) if week[4]][2]
        friday = date(year, month, third)
        assert share_expiry(year, month) == CLOSED_FRIDAYS.get(friday, friday)


def test_options_on_the_index_expire_on_the_wednesday_nearest_the_15th_or_the_session_before() -> None:
    for year, month in MONTHS:
        days = [week[2] for week in calendar.monthcalendar(year, month) if week[2]]
        wednesday = date(year, month, min(days, key=lambda day: abs(day - 15)))
        assert index_expiry(year, month) == CLOSED_WEDNESDAYS.get(wednesday, wednesday)


def test_every_series_expires_in_a_session(history: History) -> None:
    expiries = set(history.lines.of(b"070", b"080").columns["datven"].tolist())
    sessions = sessions_between(SESSIONS[0], date(2029, 12, 28))
    assert len(expiries) > 100
    assert expiries <= {int(f"{session:%Y%m%d}") for session in sessions}


def test_puts_are_busier_after_an_underlying_has_fallen(history: History) -> None:
    sessions = sessions_between(date(2026, 1, 2), date(2026, 6, 30))
    lines = go_over(SimulatedMarket(), sessions)
    options = lines.of(b"070", b"080")
    names, of = np.unique(options.columns["codisi"], return_inverse=True)
    volumes = {}
    for market in (b"070", b"080"):
        volumes[market] = np.zeros((len(sessions), len(names)))
        rows = options.columns["tpmerc"] == market
        np.add.at(volumes[market], (options.session[rows], of[rows]), options.columns["voltot"][rows])
    calls, puts = volumes[b"070"], volumes[b"080"]
    closes = lines.of(b"010").table("preult", names.tolist(), key="codisi")
    everyday = ~np.isnan(closes).any(axis=0) & (calls > 0).all(axis=0) & (puts > 0).all(axis=0)
    busiest = np.flatnonzero(everyday)[np.argsort(-calls[:, everyday].sum(axis=0))][:30]
    assert len(busiest) == 30
    follows = [
        np.corrcoef(
            np.log(closes[:-5, underlying] / closes[5:, underlying]),
            np.log(puts[5:, underlying] / calls[5:, underlying]),
        )[0, 1]
        for underlying in busiest
    ]
    assert min(follows) > 0.1
    assert np.mean(follows) > 0.3
    # Calls trade more than puts, if not of every share
    assert 0.4 < np.median(puts[:, busiest].sum(axis=0) / calls[:, busiest].sum(axis=0)) < 1


# ---- the index through time ----

REBALANCES = [  # the first sessions of January, May and September
    date(2024, 5, 2),
    date(2024, 9, 2),
    date(2025, 1, 2),
    date(2025, 5, 2),
    date(2025, 9, 1),
    date(2026, 1, 2),
    date(2026, 5, 4),
    date(2026, 9, 1),
]


def quantities(market: SimulatedMarket, day: date, index: str = IBOV) -> dict[str, int]:
    """Theoretical quantities of the portfolio of a day."""
    return {row.ticker: row.theoretical_quantity for row in market.portfolio(day, index)}


def grown(market: SimulatedMarket, isin: str, after: date, until: date) -> float:
    """What a share of a session is in a later one, with all that has left it put into it again."""
    return float(1 / math.prod(step.factor for step in steps_of(market, isin) if after < step.day <= until))


@cache
def steps_of(market: SimulatedMarket, isin: str) -> list[Step]:
    """A market makes them with every question, of which there are thousands here."""
    return market.steps(isin)


def test_the_index_is_made_anew_on_the_first_session_of_january_may_and_september(history: History) -> None:
    market = history.market
    isin = {
        listing.ticker_on(day): listing.isin for listing in market.listings for day in (date.min, date.max)
    }
    sessions = sessions_between(date(2024, 12, 2), date(2026, 1, 15))
    rebalances = [day for day in REBALANCES if sessions[0] < day <= sessions[-1]]
    portfolios = [
        {isin[ticker]: units for ticker, units in quantities(market, session).items()} for session in sessions
    ]
    changed, went_ex = [], 0
    for (last, session), (before, after) in zip(pairwise(sessions), pairwise(portfolios), strict=True):
        growth = {paper: grown(market, paper, last, session) for paper in before}
        went_ex += sum(factor != 1 for factor in growth.values())
        if after != {paper: pytest.approx(units * growth[paper], abs=1) for paper, units in before.items()}:
            changed.append(session)
    assert changed == rebalances
    assert went_ex > 5
    for day in rebalances:
        before, after = (portfolios[sessions.index(day) + offset] for offset in (-1, 0))
        assert 1 <= len(after.keys() - before.keys()) <= 12, day
        assert abs(len(after) - len(before)) <= 2


def value_at_the_close(history: History, session: date, units: dict[str, int]) -> Floats:
    """BRL of each holding."""
    row = history.closes[SESSIONS.index(session)]
    return np.array([row[history.paper[ticker.encode()]] * units[ticker] for ticker in units])


@pytest.mark.parametrize("day", REBALANCES)
def test_a_rebalance_leaves_the_index_where_it_was(history: History, day: date) -> None:
    before = SESSIONS[SESSIONS.index(day) - 1]
    level = float(history.market.reductor)
    units = quantities(history.market, day)
    old = value_at_the_close(history, before, quantities(history.market, before)).sum() / level
    # What goes ex on that very day has the close of a share with all its rights
    new = (value_at_the_close(history, before, units) / growth_of(history, units, before, day)).sum() / level
    assert new == pytest.approx(old, rel=1e-6)
    assert 40_000 < old < 400_000


def growth_of(history: History, units: dict[str, int], before: date, day: date) -> Floats:
    isins = [history.isins[history.paper[ticker.encode()]].decode() for ticker in units]
    return np.array([grown(history.market, isin, before, day) for isin in isins])


@pytest.mark.parametrize("day", [date(2026, 4, 28), date(2026, 5, 4), date(2026, 9, 1)])
def test_what_members_contribute_adds_up_to_the_change_of_the_index(history: History, day: date) -> None:
    before = SESSIONS[SESSIONS.index(day) - 1]
    portfolio = history.market.portfolio(day)
    ones = {row.ticker: 1 for row in portfolio}
    ex = value_at_the_close(history, before, ones) / growth_of(history, ones, before, day)
    moves = value_at_the_close(history, day, ones) / ex - 1
    contributions = np.array([float(row.weight) for row in portfolio]) * moves
    change = 100 * (float(history.market.level(day) / history.market.level(before)) - 1)
    assert contributions.sum() == pytest.approx(change, abs=0.01)


@pytest.mark.parametrize(
    ("day", "session_before"),
    [
        (date(2026, 2, 18), date(2026, 2, 13)),  # Ash Wednesday, and the Friday before Carnival
        (date(2026, 9, 1), date(2026, 8, 31)),
    ],
)
def test_weights_are_those_of_the_closes_of_the_session_before(
    history: History, day: date, session_before: date
) -> None:
    units = quantities(history.market, day)
    value = value_at_the_close(history, session_before, units)
    value /= growth_of(history, units, session_before, day)
    weights = [float(row.weight) for row in history.market.portfolio(day)]
    assert weights == pytest.approx(100 * value / value.sum(), abs=0.02)


@pytest.fixture(scope="module")
def twins() -> tuple[SimulatedMarket, SimulatedMarket]:
    """The same other market twice."""
    return SimulatedMarket(seed=3), SimulatedMarket(seed=3)


@pytest.mark.parametrize("index", INDICES)
def test_each_index_has_shares_of_the_market_that_weigh_a_hundred_and_are_the_seed_s(
    twins: tuple[SimulatedMarket, SimulatedMarket], index: str
) -> None:
    day = date(2024, 11, 8)
    market, twin = twins
    rows = market.portfolio(day, index)
    assert sum(row.weight for row in rows) == 100
    assert min(row.weight for row in rows) > 0
    assert len({row.ticker for row in rows}) == len(rows)
    traded = {quote.codneg for quote in market.session(day) if quote.tpmerc in {"010", "020"}}
    assert {row.ticker for row in rows} <= traded | {name.removesuffix("F") for name in traded}
    assert rows == twin.portfolio(day, index)


def test_the_indices_keep_to_their_rules(
    history: History, twins: tuple[SimulatedMarket, SimulatedMarket]
) -> None:
    day, market = date(2024, 11, 8), history.market
    members = {index: quantities(market, day, index).keys() for index in INDICES}
    assert members["IBXL"] < members["IBOV"] < members["IBXX"] < members["IBRA"]
    assert not members["SMLL"] & members["MLCX"]  # the small and the large
    assert members["IEEX"] <= members["UTIL"]
    assert len({frozenset(each) for each in members.values()}) == len(INDICES)
    sectors = {row.sector for row in market.portfolio(day, "IFNC")}
    assert {sector.split(" / ")[0] for sector in sectors} == {"Financeiro"}
    assert members["IDIV"] != quantities(twins[0], day, "IDIV").keys()


def test_an_index_goes_on_from_where_it_was_when_its_members_change(history: History) -> None:
    last, first = date(2024, 8, 30), date(2024, 9, 2)
    before, after = (quantities(history.market, day, "SMLL") for day in (last, first))
    assert before.keys() != after.keys()
    both = []
    for each in (before, after):
        known = {ticker: count for ticker, count in each.items() if ticker.encode() in history.paper}
        both.append(np.nansum(value_at_the_close(history, last, known)))
    assert both[0] == pytest.approx(both[1], rel=0.02)  # what does not trade has no close here

"""A simulated market: what traded on a date, in the shape of B3's quote file and index portfolio.

No price, volume or company is anybody's: everything follows from a seed and the date. A session is the same
whichever sessions were asked for before it, and prices continue from one session to the next.

Log prices revert slowly to an anchor and move with the market, their sector, their company and a little on
their own. Shocks are drawn a calendar year at a time, so that a date costs the years since EPOCH once in a
process, and then nothing. Random numbers are floats; what a quote holds is decimal, to the cent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.columns import NO_EXPIRY, Columns, quotes_of, stack, take
from sandbox.b3.formats import PortfolioRow, Quote
from sandbox.b3.series import (
    INTEREST,
    Floats,
    draw_series,
    next_expiries,
    series_codes,
    series_values,
    strike_ladder,
    third_friday,
    wednesday_nearest_15th,
)
from sandbox.b3.universe import FUND_SECTOR, INDEX_ISIN, SECTORS, Listing, build_universe

EPOCH = date(2000, 1, 1)

Ints = NDArray[np.int64]

_WALK_STREAM, _SESSION_STREAM = 1, 2
_REVERSION = 0.35 / 252  # a session: prices forget half a shock in two years
_MARKET_NOISE, _SECTOR_NOISE, _CLASS_NOISE = 0.010, 0.007, 0.002
_FORWARD_TERMS = (30, 60, 90, 120, 180, 360)
_MAX_TRADES = 99_999  # TOTNEG has five digits
_INDEX_CODE = "IBOV"
_CASH_LINE: Mapping[str, Any] = {
    "prazot": b"",
    "modref": b"R$",
    "preexe": 0,
    "indopc": b"0",
    "datven": NO_EXPIRY,
    "ptoexe": 0,
}
"""What a line has that says nothing else."""


@dataclass(frozen=True, slots=True)
class _Day:
    """A session while it is made; `paths` has each listing's open, high, low and close, BRL for one unit."""

    trade_date: date
    rng: np.random.Generator
    paths: Floats
    turnover: Floats  # BRL in the cash market, by listing


class SimulatedMarket:
    """A market of made-up tickers.

    Args:
        seed: Another seed is another market.
        tickers: Rows of the refined table in a session: cash tickers, one that trades in odd lots only, and
            the index, on which there are options.
        quotes: Lines of a session's file, which option series fill up; sessions vary around it.

    Raises:
        ValueError: too few or too many tickers.
    """

    def __init__(self, *, seed: int = 1890, tickers: int = 150, quotes: int = 3000) -> None:
        self._seed = seed
        self._quotes = quotes
        universe = build_universe(seed, tickers - 1)
        self._listings = universe.listings
        self._reductor_units = universe.reductor_units
        self._anchor = np.array([listing.anchor for listing in self._listings])
        self._beta = np.array([listing.beta for listing in self._listings])
        self._noise = np.array([listing.noise for listing in self._listings])
        self._turnover = np.array([listing.turnover for listing in self._listings])
        self._lot = np.array([listing.lot for listing in self._listings])
        self._fatcot = np.array([listing.fatcot for listing in self._listings])
        self._is_share = np.array([listing.is_share for listing in self._listings])
        self._only_odd_lots = np.array([listing.only_odd_lots for listing in self._listings])
        self._ticker = _bytes(listing.ticker for listing in self._listings)
        self._company = _bytes(listing.company for listing in self._listings)
        self._especi = _bytes(listing.especi() for listing in self._listings)
        self._especi_ex_dividend = _bytes(listing.especi("ED") for listing in self._listings)
        self._isin = _bytes(listing.isin for listing in self._listings)
        self._codbdi = _bytes(listing.codbdi for listing in self._listings)
        self._theoretical = np.array([listing.theoretical_quantity for listing in self._listings])
        self._optionable = np.flatnonzero([listing.has_options for listing in self._listings])
        # What there are options on: these shares, and at last the index
        self._index = len(self._optionable)
        optionable = [listing for listing in self._listings if listing.has_options]
        self._option_code = _bytes([*(listing.code for listing in optionable), _INDEX_CODE])
        ladders = [*(strike_ladder(listing.anchor) for listing in optionable), (100_000, 100_000)]
        self._strike_step, self._strike_unit = np.array(ladders).T
        daily = [_daily_volatility(listing) for listing in optionable]
        self._volatility = np.sqrt(252) * np.array([*daily, _MARKET_NOISE * 1.1])
        # One row a weekday of the year, after the row that the year starts from
        self._deviations: dict[int, Floats] = {}

    def session(self, trade_date: date) -> list[Quote]:
        """What traded on a date, whichever weekday it is: which days are sessions is the calendar's matter.

        Returns:
            The lines, by market and ticker. No two have the same ticker, market and term.

        Raises:
            ValueError: the date is not after EPOCH.
        """
        return quotes_of(self.columns(trade_date))

    def columns(self, trade_date: date) -> Columns:
        """The lines of `session` in columns, which takes a tenth of the time."""
        rng = np.random.default_rng([self._seed, _SESSION_STREAM, trade_date.toordinal()])
        paths = self._paths(rng, trade_date)
        activity = float(np.exp(rng.normal(0, 0.15)))
        turnover = self._turnover * activity * np.exp(rng.normal(0, 0.35, size=self._turnover.size))
        day = _Day(trade_date, rng, paths, turnover)

        parts = [self._cash(day), self._odd_lots(day), self._forwards(day), self._auctions(day)]
        wanted = round(self._quotes * float(np.exp(rng.normal(0, 0.03))))
        wanted -= sum(len(part["codneg"]) for part in parts)
        lines = stack([*parts, *self._options(day, max(wanted, 0))])
        return take(lines, np.lexsort((lines["prazot"], lines["codneg"], lines["tpmerc"])))

    def portfolio(self, portfolio_date: date) -> list[PortfolioRow]:
        """The index portfolio dated that day: its opening weights, from the closes of the day before.

        Returns:
            5/8 of the shares. The weights add up to 100.000 exactly.

        Raises:
            ValueError: the date is not after EPOCH.
        """
        members = np.flatnonzero(self._theoretical).tolist()
        value = (self._closes(portfolio_date - timedelta(days=1)) * self._theoretical)[members]
        ex_dividend = self._ex_dividend(portfolio_date)
        thousandths = apportion(100_000 - len(members), value) + 1  # none is left without a weight
        return [
            PortfolioRow(
                ticker=self._listings[n].ticker,
                asset=self._listings[n].company,
                share_class=self._listings[n].especi("ED" if ex_dividend[n] else ""),
                weight=Decimal(int(weight)).scaleb(-3),
                theoretical_quantity=self._listings[n].theoretical_quantity,
                sector=SECTORS[self._listings[n].sector],
            )
            for n, weight in zip(members, thousandths, strict=True)
        ]

    @property
    def reductor(self) -> Decimal:
        """The index's divisor: its level in points is the portfolio's value in BRL divided by it."""
        return Decimal(self._reductor_units).scaleb(-8)

    def _closes(self, day: date) -> Floats:
        """Price in BRL for one unit of each listing, at the end of a day."""
        if day < EPOCH:
            raise ValueError(f"the simulated market starts on {EPOCH}, after {day}; ask for a later date")
        weekdays = int(np.busday_count(date(day.year, 1, 1), day + timedelta(days=1)))
        closes: Floats = self._anchor * np.exp(self._year(day.year)[weekdays])
        return closes

    def _year(self, year: int) -> Floats:
        """Deviations of log prices from their anchors, a row a weekday, a column a listing."""
        for missing in range(max(self._deviations, default=EPOCH.year - 1) + 1, year + 1):
            start = self._deviations[missing - 1][-1] if self._deviations else np.zeros(len(self._listings))
            shocks = self._shocks(missing)
            kept = (1 - _REVERSION) ** np.arange(1, len(shocks) + 1)[:, np.newaxis]
            later = kept * (start + np.cumsum(shocks / kept, axis=0))
            self._deviations[missing] = np.vstack([start, later])
        return self._deviations[year]

    def _shocks(self, year: int) -> Floats:
        rng = np.random.default_rng([self._seed, _WALK_STREAM, year])
        days = int(np.busday_count(date(year, 1, 1), date(year + 1, 1, 1)))
        companies = np.array([listing.company_number for listing in self._listings])
        sectors = np.array([listing.sector for listing in self._listings])
        market = rng.normal(0, _MARKET_NOISE, size=(days, 1))
        sector = rng.normal(0, _SECTOR_NOISE, size=(days, len(SECTORS) + 1))
        sector[:, FUND_SECTOR] = 0
        # Fat tails: every session has its gainers and losers
        company = rng.standard_t(5, size=(days, int(companies.max()) + 1)) / np.sqrt(5 / 3)
        own = rng.normal(0, _CLASS_NOISE, size=(days, len(self._listings)))
        shocks: Floats = self._beta * market + sector[:, sectors] + self._noise * company[:, companies] + own
        return shocks

    def _paths(self, rng: np.random.Generator, trade_date: date) -> Floats:
        """Open, high, low and close of each listing, BRL for one unit."""
        close = self._closes(trade_date)
        before = self._closes(trade_date - timedelta(days=1))
        open_ = before * (close / before) ** 0.4 * np.exp(rng.normal(0, 0.3, size=close.size) * self._noise)
        up, down = np.exp(np.abs(rng.normal(0, 0.6, size=(2, close.size))) * self._noise)
        return np.stack([open_, np.maximum(open_, close) * up, np.minimum(open_, close) / down, close])

    def _ex_dividend(self, trade_date: date) -> NDArray[np.bool_]:
        """Whether each listing is ex dividend: shares are in one session of a hundred."""
        phase = trade_date.toordinal() + 37 * np.arange(len(self._listings))
        ex_dividend: NDArray[np.bool_] = self._is_share & (phase % 100 == 0)
        return ex_dividend

    def _lines(
        self, day: _Day, traded: NDArray[np.intp], numbers: Columns, *, suffix: str = "", **codes: Any
    ) -> dict[str, Any]:
        """Lines of listings: what they have in common, the given codes and numbers."""
        ex_dividend = self._ex_dividend(day.trade_date)
        return {
            **_CASH_LINE,
            "codneg": np.strings.add(self._ticker[traded], suffix.encode()),
            "nomres": self._company[traded],
            "especi": np.where(ex_dividend, self._especi_ex_dividend, self._especi)[traded],
            "fatcot": self._fatcot[traded],
            "codisi": self._isin[traded],
            # A right that is gone starts a new distribution
            "dismes": 100 + (day.trade_date.toordinal() + 37 * traded) // 100 % 900,
            **codes,
            **numbers,
        }

    def _cash(self, day: _Day) -> dict[str, Any]:
        traded = np.flatnonzero(~self._only_odd_lots)
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            day.paths[:, traded],
            day.turnover[traded],
            lot=self._lot[traded],
            fatcot=self._fatcot[traded],
            one_sided=0.1,
        )
        return self._lines(day, traded, numbers, codbdi=self._codbdi[traded], tpmerc=b"010")

    def _odd_lots(self, day: _Day) -> dict[str, Any]:
        traded = np.flatnonzero(self._is_share)
        # The smaller the company, the smaller its investors
        share = (
            0.006 * np.exp(day.rng.normal(0, 0.6, size=len(traded))) * (self._turnover[traded] / 1e7) ** -0.3
        )
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            day.paths[:, traded],
            day.turnover[traded] * share,
            largest_trade=99,
            one_sided=0.02,
        )
        return self._lines(day, traded, numbers, suffix="F", codbdi=b"96", tpmerc=b"020")

    def _forwards(self, day: _Day) -> dict[str, Any]:
        dealt = day.rng.random((len(self._optionable), len(_FORWARD_TERMS))) < 0.25
        row, column = np.nonzero(dealt)
        traded, terms = self._optionable[row], np.array(_FORWARD_TERMS)[column]
        size = np.exp(day.rng.normal(0, 1.2, size=len(traded)))
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            day.paths[:, traded] * (1 + INTEREST) ** (terms / 365),
            day.turnover[traded] * 0.002 * size,
            lot=self._lot[traded],
            ticket=60.0,
            one_sided=1.0,
        )
        prazot = np.strings.zfill(terms.astype("S3"), 3)
        return self._lines(day, traded, numbers, suffix="T", codbdi=b"62", tpmerc=b"030", prazot=prazot)

    def _auctions(self, day: _Day) -> dict[str, Any]:
        traded = np.sort(day.rng.choice(self._optionable, size=2, replace=False))
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            np.tile(day.paths[3, traded], (4, 1)),
            day.turnover[traded] * 0.05,
            lot=self._lot[traded],
            ticket=1e6,
            one_sided=1.0,
        )
        return self._lines(day, traded, numbers, suffix="L", codbdi=b"50", tpmerc=b"017")

    def _options(self, day: _Day, count: int) -> list[dict[str, Any]]:
        """Lines of that many option series, and of a few exercises of what is in the money."""
        paths = np.column_stack([day.paths[:, self._optionable], self._index_path(day)])
        turnover = np.append(day.turnover[self._optionable], day.turnover.max() / 5)
        expiries = [next_expiries(day.trade_date, rule) for rule in (third_friday, wednesday_nearest_15th)]
        years = np.array([[(expiry - day.trade_date).days for expiry in each] for each in expiries]) / 365

        drawn, sizes, chances = [], [], []
        for n, wanted in enumerate(apportion(count, np.sqrt(turnover)).tolist()):
            series = draw_series(
                day.rng,
                close=float(paths[3, n]),
                volatility=float(self._volatility[n]),
                strike_step=int(self._strike_step[n]),
                years=years[int(n == self._index)],
                count=wanted,
            )
            drawn.append(series)
            sizes.append(np.exp(day.rng.normal(0, 1.2, size=len(series.strike))))
            chances.append(_draw_chances(day.rng, len(series.strike)))

        of = np.repeat(np.arange(len(drawn)), [len(series.strike) for series in drawn])
        month, strike, is_call, interest, in_the_money = (
            np.concatenate([getattr(series, name) for series in drawn])
            for name in ("month", "strike", "is_call", "interest", "in_the_money")
        )
        on_index = of == self._index
        expiry = np.array([[_yyyymmdd(day) for day in each] for each in expiries])[
            on_index.astype(int), month
        ]
        numbers = _trade(
            np.concatenate(chances, axis=1),
            series_values(
                paths[:, of],
                volatility=self._volatility[of],
                strike=strike / 100,
                years=years[on_index.astype(int), month],
                is_call=is_call,
            ),
            turnover[of] * 0.03 * interest * np.concatenate(sizes),
            lot=np.where(on_index, 1, 100),
            ticket=2.0,
            one_sided=0.4,
        )
        codbdi = np.where(on_index, [[b"74"], [b"75"]], [[b"78"], [b"82"]])
        options = {
            **take(self._underlyings(day), of),
            **numbers,
            "codneg": series_codes(self._option_code[of], expiry, is_call, strike // self._strike_unit[of]),
            "codbdi": np.where(is_call, *codbdi),
            "tpmerc": np.where(is_call, b"070", b"080"),
            "prazot": np.full(len(of), b"000"),
            "preexe": strike,
            "ptoexe": np.where(on_index, strike * 10_000, 0),
            "datven": expiry,
        }
        # Options on the index are settled in cash
        return [options, *_exercises(day, options, np.flatnonzero(in_the_money & ~on_index))]

    def _underlyings(self, day: _Day) -> Columns:
        """What the series of a share have in common with its other lines, and at last those of the index."""
        names = {"nomres": np.strings.add(self._option_code[:-1], b"E")}
        index = {
            **_CASH_LINE,
            "codneg": np.array([_INDEX_CODE.encode()]),
            "nomres": f"{_INDEX_CODE}E".encode(),
            "especi": b"IBO",
            "fatcot": 1,
            "codisi": INDEX_ISIN.encode(),
            "dismes": 11,
        }
        return stack([self._lines(day, self._optionable, names), index])

    def _index_path(self, day: _Day) -> Floats:
        first, *_, last = day.paths @ self._theoretical / float(self.reductor)
        return np.array([first, max(first, last) * 1.003, min(first, last) * 0.997, last])


def _exercises(day: _Day, options: Columns, exercisable: NDArray[np.intp]) -> list[dict[str, Any]]:
    """What is exercised, at its strike: a few calls and a put; on the day of expiry more, of what expires."""
    expiring = exercisable[options["datven"][exercisable] == _yyyymmdd(day.trade_date)]
    candidates = expiring if expiring.size else exercisable
    parts = []
    for option, exercise, codbdi, at_expiry, otherwise in (
        (b"070", b"012", b"38", 30, 3),
        (b"080", b"013", b"42", 15, 1),
    ):
        held = candidates[options["tpmerc"][candidates] == option]
        count = min(at_expiry if expiring.size else otherwise, len(held))
        lines = take(options, held[np.sort(day.rng.choice(len(held), size=count, replace=False))])
        parts.append(
            {
                **lines,
                "codneg": np.strings.add(lines["codneg"], b"E"),
                "tpmerc": exercise,
                "codbdi": codbdi,
                **dict.fromkeys(("preabe", "premax", "premin", "premed", "preult"), lines["preexe"]),
                "preofc": 0,
                "preofv": 0,
                "totneg": 1 + lines["totneg"] // 5,
                "voltot": lines["preexe"] * lines["quatot"],
            }
        )
    return parts


def _draw_chances(rng: np.random.Generator, lines: int) -> Floats:
    """What chance adds to trade lines, a row each: size of a trade, average, tick, bid, ask."""
    return np.stack(
        [
            rng.normal(0, 0.4, size=lines),
            rng.random(lines),
            rng.uniform(0, 0.002, size=lines),
            rng.random(lines),
            rng.random(lines),
        ]
    )


def _trade(
    chances: Floats,
    path: Floats,
    turnover: Floats,
    *,
    lot: Ints | int = 1,
    fatcot: Ints | int = 1,
    ticket: float = 1.0,
    largest_trade: int | None = None,
    one_sided: float,
) -> Columns:
    """Trade lines along their prices.

    Args:
        chances: What `_draw_chances` has drawn for them.
        path: Open, high, low and close of each line in its rows, BRL for one unit.
        turnover: What to trade of each, BRL; lots and prices round it.
        lot: Quantities are multiples of it.
        fatcot: Units that a price is for.
        ticket: How much larger a trade is than one in the cash market.
        largest_trade: Largest quantity of a trade.
        one_sided: Probability that there is no bid, and likewise no ask.

    Returns:
        The quote fields from PREABE to VOLTOT of each line.
    """
    size_chance, average_chance, tick_chance, bid_chance, ask_chance = chances
    open_, high, low, close = np.maximum(np.rint(path * fatcot * 100), 1).astype(np.int64)
    lots = np.maximum(np.rint(turnover * fatcot * 100 / close / lot), 1).astype(np.int64)
    size = ticket * 2600 * (np.maximum(turnover, 1) / 5e6) ** 0.38 * np.exp(size_chance)
    trades = np.clip(np.rint(turnover / size), 1, np.minimum(lots, _MAX_TRADES)).astype(np.int64)
    quantity = lots * lot
    if largest_trade:
        quantity = np.minimum(quantity, trades * largest_trade)

    once = trades == 1
    open_, high, low = (np.where(once, close, price) for price in (open_, high, low))
    average = (open_ + high + low + close + 2) // 4
    # B3's averages leave the range by a cent now and then
    average += np.where(~once & (average_chance < 0.001), high - average + 1, 0)
    tick = 1 + (close * tick_chance).astype(np.int64)
    return {
        "preabe": open_,
        "premax": high,
        "premin": low,
        "premed": average,
        "preult": close,
        "preofc": np.where(bid_chance < one_sided, 0, np.maximum(close - tick, 0)),
        "preofv": np.where(ask_chance < one_sided, 0, close + tick),
        "totneg": trades,
        "quatot": quantity,
        "voltot": (2 * average * quantity + fatcot) // (2 * fatcot),
    }


def _daily_volatility(listing: Listing) -> float:
    return float(np.sqrt((listing.beta * _MARKET_NOISE) ** 2 + _SECTOR_NOISE**2 + listing.noise**2))


def _bytes(texts: Iterable[str]) -> NDArray[np.bytes_]:
    return np.array([text.encode() for text in texts])


def _yyyymmdd(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def apportion(total: int, weights: Floats) -> NDArray[np.int64]:
    """Share out whole units by weight: the largest remainders get what rounding down leaves."""
    exact = total * weights / weights.sum()
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    left = total - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:left]] += 1
    return shares

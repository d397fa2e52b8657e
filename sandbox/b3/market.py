"""A simulated market: what traded on a date, in the shape of B3's quote file and index portfolio.

No price, volume or company is anybody's: everything follows from a seed and the date. A session is the same
whichever sessions were asked for before it, and prices continue from one session to the next.

Log prices revert slowly to an anchor and move with the market, their sector, their company and a little on
their own. Shocks are drawn a calendar year at a time, so that a date costs the years since EPOCH once in a
process, and then nothing. Random numbers are floats; what a quote holds is decimal, to the cent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.formats import PortfolioRow, Quote
from sandbox.b3.series import (
    INTEREST,
    Floats,
    Series,
    Underlying,
    draw_series,
    next_expiries,
    strike_ladder,
    third_friday,
    wednesday_nearest_15th,
)
from sandbox.b3.universe import FUND_SECTOR, INDEX_ISIN, SECTORS, build_universe

EPOCH = date(2000, 1, 1)

_WALK_STREAM, _SESSION_STREAM = 1, 2
_REVERSION = 0.35 / 252  # a session: prices forget half a shock in two years
_MARKET_NOISE, _SECTOR_NOISE, _CLASS_NOISE = 0.010, 0.007, 0.002
_FORWARD_TERMS = (30, 60, 90, 120, 180, 360)
_MAX_TRADES = 99_999  # TOTNEG has five digits
_INDEX_CODE = "IBOV"


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
        self._theoretical = np.array([listing.theoretical_quantity for listing in self._listings])
        self._optionable = [n for n, listing in enumerate(self._listings) if listing.has_options]
        # One row a weekday of the year, after the row that the year starts from
        self._deviations: dict[int, Floats] = {}

    def session(self, trade_date: date) -> list[Quote]:
        """What traded on a date, whichever weekday it is: which days are sessions is the calendar's matter.

        Returns:
            The lines, by market and ticker. No two have the same ticker, market and term.

        Raises:
            ValueError: the date is not after EPOCH.
        """
        rng = np.random.default_rng([self._seed, _SESSION_STREAM, trade_date.toordinal()])
        paths = self._paths(rng, trade_date)
        activity = float(np.exp(rng.normal(0, 0.15)))
        turnover = self._turnover * activity * np.exp(rng.normal(0, 0.35, size=self._turnover.size))
        day = _Day(trade_date, rng, paths, turnover)

        lines = [*self._cash(day), *self._odd_lots(day), *self._forwards(day), *self._auctions(day)]
        wanted = round(self._quotes * float(np.exp(rng.normal(0, 0.03)))) - len(lines)
        lines += self._options(day, max(wanted, 0))
        return sorted(lines, key=lambda quote: (quote.tpmerc, quote.codneg, quote.prazot))

    def portfolio(self, portfolio_date: date) -> list[PortfolioRow]:
        """The index portfolio dated that day: its opening weights, from the closes of the day before.

        Returns:
            5/8 of the shares. The weights add up to 100.000 exactly.

        Raises:
            ValueError: the date is not after EPOCH.
        """
        members = [n for n, listing in enumerate(self._listings) if listing.theoretical_quantity]
        value = (self._closes(portfolio_date - timedelta(days=1)) * self._theoretical)[members]
        thousandths = apportion(100_000 - len(members), value) + 1  # none is left without a weight
        return [
            PortfolioRow(
                ticker=self._listings[n].ticker,
                asset=self._listings[n].company,
                share_class=self._listings[n].especi(self._rights(n, portfolio_date)),
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

    def _rights(self, n: int, trade_date: date) -> str:
        """Shares go ex dividend for one session in a hundred."""
        return "ED" if self._listings[n].is_share and (trade_date.toordinal() + 37 * n) % 100 == 0 else ""

    def _identity(self, n: int, trade_date: date) -> dict[str, Any]:
        """The fields that all lines of a listing share."""
        listing = self._listings[n]
        return {
            "nomres": listing.company,
            "especi": listing.especi(self._rights(n, trade_date)),
            "fatcot": listing.fatcot,
            "codisi": listing.isin,
            # A right that is gone starts a new distribution
            "dismes": 100 + (trade_date.toordinal() + 37 * n) // 100 % 900,
        }

    def _cash(self, day: _Day) -> list[Quote]:
        traded = [n for n, listing in enumerate(self._listings) if not listing.only_odd_lots]
        numbers = _trade(
            day.rng,
            day.paths[:, traded],
            day.turnover[traded],
            lot=self._lot[traded],
            fatcot=self._fatcot[traded],
            one_sided=0.1,
        )
        codes = [{"codbdi": self._listings[n].codbdi, "tpmerc": "010"} for n in traded]
        return self._lines(day, traded, codes, numbers)

    def _odd_lots(self, day: _Day) -> list[Quote]:
        traded = [n for n, listing in enumerate(self._listings) if listing.is_share]
        # The smaller the company, the smaller its investors
        share = (
            0.006 * np.exp(day.rng.normal(0, 0.6, size=len(traded))) * (self._turnover[traded] / 1e7) ** -0.3
        )
        numbers = _trade(
            day.rng, day.paths[:, traded], day.turnover[traded] * share, largest_trade=99, one_sided=0.02
        )
        return self._lines(
            day, traded, [{"codbdi": "96", "tpmerc": "020"}] * len(traded), numbers, suffix="F"
        )

    def _forwards(self, day: _Day) -> list[Quote]:
        dealt = day.rng.random((len(self._optionable), len(_FORWARD_TERMS))) < 0.25
        traded = [self._optionable[row] for row in np.nonzero(dealt)[0]]
        terms = [_FORWARD_TERMS[column] for column in np.nonzero(dealt)[1]]
        numbers = _trade(
            day.rng,
            day.paths[:, traded] * (1 + INTEREST) ** (np.array(terms) / 365),
            day.turnover[traded] * 0.002 * np.exp(day.rng.normal(0, 1.2, size=len(traded))),
            lot=self._lot[traded],
            ticket=60.0,
            one_sided=1.0,
        )
        codes = [{"codbdi": "62", "tpmerc": "030", "prazot": f"{term:03d}"} for term in terms]
        return self._lines(day, traded, codes, numbers, suffix="T")

    def _auctions(self, day: _Day) -> list[Quote]:
        traded = sorted(day.rng.choice(self._optionable, size=2, replace=False).tolist())
        numbers = _trade(
            day.rng,
            np.tile(day.paths[3, traded], (4, 1)),
            day.turnover[traded] * 0.05,
            lot=self._lot[traded],
            ticket=1e6,
            one_sided=1.0,
        )
        return self._lines(day, traded, [{"codbdi": "50", "tpmerc": "017"}] * 2, numbers, suffix="L")

    def _lines(
        self,
        day: _Day,
        traded: Sequence[int],
        codes: Iterable[dict[str, Any]],
        numbers: Iterable[dict[str, Any]],
        *,
        suffix: str = "",
    ) -> list[Quote]:
        return [
            Quote(
                codneg=self._listings[n].ticker + suffix,
                **self._identity(n, day.trade_date),
                **code,
                **number,
            )
            for n, code, number in zip(traded, codes, numbers, strict=True)
        ]

    def _options(self, day: _Day, count: int) -> list[Quote]:
        """Lines of that many option series, and of a few exercises of what is in the money."""
        expiries = next_expiries(day.trade_date, third_friday)
        underlyings = [self._share_underlying(day, n, expiries) for n in self._optionable]
        underlyings.append(self._index_underlying(day))
        interest = np.sqrt([underlying.turnover for underlying in underlyings])
        lines: list[Quote] = []
        exercisable: list[Quote] = []
        for underlying, series_count in zip(underlyings, apportion(count, interest), strict=True):
            series = draw_series(day.rng, underlying, day.trade_date, int(series_count))
            quotes = _option_lines(day.rng, underlying, series)
            lines += quotes
            if underlying.code != _INDEX_CODE:  # settled in cash
                exercisable += [
                    quote for quote, worth in zip(quotes, series.in_the_money, strict=True) if worth
                ]
        return lines + _exercises(day, exercisable)

    def _share_underlying(self, day: _Day, n: int, expiries: tuple[date, ...]) -> Underlying:
        listing = self._listings[n]
        step, unit = strike_ladder(listing.anchor)
        daily = np.sqrt((listing.beta * _MARKET_NOISE) ** 2 + _SECTOR_NOISE**2 + listing.noise**2)
        return Underlying(
            code=listing.code,
            path=day.paths[:, n],
            volatility=float(daily * np.sqrt(252)),
            strike_step=step,
            strike_unit=unit,
            expiries=expiries,
            turnover=float(day.turnover[n]),
            lot=100,
            identity=self._identity(n, day.trade_date) | {"nomres": f"{listing.code}E"},
            codbdi=("78", "82"),
        )

    def _index_underlying(self, day: _Day) -> Underlying:
        first, *_, last = day.paths @ self._theoretical / float(self.reductor)
        return Underlying(
            code=_INDEX_CODE,
            path=np.array([first, max(first, last) * 1.003, min(first, last) * 0.997, last]),
            volatility=float(_MARKET_NOISE * np.sqrt(252) * 1.1),
            strike_step=100_000,
            strike_unit=100_000,
            expiries=next_expiries(day.trade_date, wednesday_nearest_15th),
            turnover=float(day.turnover.max()) / 5,
            lot=1,
            identity={"nomres": f"{_INDEX_CODE}E", "especi": "IBO", "codisi": INDEX_ISIN, "dismes": 11},
            codbdi=("74", "75"),
        )


def _option_lines(rng: np.random.Generator, underlying: Underlying, series: Series) -> list[Quote]:
    numbers = _trade(
        rng,
        series.values,
        underlying.turnover * 0.03 * series.interest * np.exp(rng.normal(0, 1.2, size=len(series.code))),
        lot=np.full(len(series.code), underlying.lot),
        ticket=2.0,
        one_sided=0.4,
    )
    strikes = [Decimal(int(cents)).scaleb(-2) for cents in series.strike]
    return [
        Quote(
            **underlying.identity,
            **number,
            codneg=code,
            codbdi=underlying.codbdi[0 if is_call else 1],
            tpmerc="070" if is_call else "080",
            prazot="000",
            preexe=strike,
            ptoexe=strike if underlying.code == _INDEX_CODE else Decimal(0),
            datven=expiry,
        )
        for code, is_call, strike, expiry, number in zip(
            series.code, series.is_call, strikes, series.expiry, numbers, strict=True
        )
    ]


def _exercises(day: _Day, exercisable: Sequence[Quote]) -> list[Quote]:
    """What is exercised, at its strike: a few calls and a put; on the day of expiry more, of what expires."""
    expiring = [quote for quote in exercisable if quote.datven == day.trade_date]
    lines = []
    for option, exercise, codbdi, at_expiry, otherwise in (
        ("070", "012", "38", 30, 3),
        ("080", "013", "42", 15, 1),
    ):
        held = [quote for quote in expiring or exercisable if quote.tpmerc == option]
        count = min(at_expiry if expiring else otherwise, len(held))
        for position in sorted(day.rng.choice(len(held), size=count, replace=False).tolist()):
            quote, strike = held[position], held[position].preexe
            lines.append(
                replace(
                    quote,
                    codneg=f"{quote.codneg}E",
                    tpmerc=exercise,
                    codbdi=codbdi,
                    **dict.fromkeys(("preabe", "premax", "premin", "premed", "preult"), strike),
                    preofc=Decimal(0),
                    preofv=Decimal(0),
                    totneg=1 + quote.totneg // 5,
                    voltot=strike * quote.quatot,
                )
            )
    return lines


def _trade(
    rng: np.random.Generator,
    path: Floats,
    turnover: Floats,
    *,
    lot: NDArray[np.int64] | int = 1,
    fatcot: NDArray[np.int64] | int = 1,
    ticket: float = 1.0,
    largest_trade: int | None = None,
    one_sided: float,
) -> list[dict[str, Any]]:
    """Trade lines along their prices.

    Args:
        rng: Where chance comes from.
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
    open_, high, low, close = np.maximum(np.rint(path * fatcot * 100), 1).astype(np.int64)
    lots = np.maximum(np.rint(turnover * fatcot * 100 / close / lot), 1).astype(np.int64)
    size = (
        ticket * 2600 * (np.maximum(turnover, 1) / 5e6) ** 0.38 * np.exp(rng.normal(0, 0.4, size=close.size))
    )
    trades = np.clip(np.rint(turnover / size), 1, np.minimum(lots, _MAX_TRADES)).astype(np.int64)
    quantity = lots * lot
    if largest_trade:
        quantity = np.minimum(quantity, trades * largest_trade)

    once = trades == 1
    open_, high, low = (np.where(once, close, price) for price in (open_, high, low))
    average = (open_ + high + low + close + 2) // 4
    # B3's averages leave the range by a cent now and then
    average += np.where(~once & (rng.random(close.size) < 0.001), high - average + 1, 0)
    tick = 1 + (close * rng.uniform(0, 0.002, size=close.size)).astype(np.int64)
    bid = np.where(rng.random(close.size) < one_sided, 0, np.maximum(close - tick, 0))
    ask = np.where(rng.random(close.size) < one_sided, 0, close + tick)
    volume = (2 * average * quantity + fatcot) // (2 * fatcot)
    cents = {
        "preabe": open_,
        "premax": high,
        "premin": low,
        "premed": average,
        "preult": close,
        "preofc": bid,
        "preofv": ask,
        "voltot": volume,
    }
    columns: dict[str, list[Any]] = {
        name: [Decimal(value).scaleb(-2) for value in values.tolist()] for name, values in cents.items()
    }
    columns |= {"totneg": trades.tolist(), "quatot": quantity.tolist()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def apportion(total: int, weights: Floats) -> NDArray[np.int64]:
    """Share out whole units by weight: the largest remainders get what rounding down leaves."""
    exact = total * weights / weights.sum()
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    left = total - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:left]] += 1
    return shares

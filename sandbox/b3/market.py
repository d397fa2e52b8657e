"""A simulated market: what traded on a date, in the shape of B3's quote file and index portfolio.

No price, volume or company is anybody's: everything follows from a seed and the date. A session is the same
whichever sessions were asked for before it, and prices continue from one session to the next. Who is listed
when is in `universe`, what is paid and split in `actions`, closing prices in `prices`, the index's
composition in `index`. Random numbers are floats; what a quote holds is decimal, to the cent. Strikes of
option series stay as they are when a share goes ex.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.actions import FIRST_NUMBER, CorporateActions, Step
from sandbox.b3.columns import NO_EXPIRY, Columns, quotes_of, stack, take
from sandbox.b3.formats import IssuerActions, PortfolioRow, Quote
from sandbox.b3.index import IBOV, Index, Ints
from sandbox.b3.issuers import Issuers
from sandbox.b3.prices import MARKET_NOISE, Floats, Prices, in_cents
from sandbox.b3.series import (
    INTEREST,
    draw_series,
    index_expiry,
    next_expiries,
    series_codes,
    series_values,
    share_expiry,
    strike_ladder,
)
from sandbox.b3.sessions import last_session_until
from sandbox.b3.universe import EPOCH, INDEX_ISIN, SECTORS, Listing, build_universe, isin_with_check_digit

_SESSION_STREAM, _PUTS_STREAM, _RIGHTS_STREAM = 2, 4, 5
_FORWARD_TERMS = (30, 60, 90, 120, 180, 360)
_TRADES_MODULUS = 100_000  # TOTNEG has five digits: B3 writes the last five
_OPTIONS_AFTER = 60  # days from a share's listing to its first series
# That nothing trades has the probability exp(-turnover / this), BRL: in round lots, in odd lots
_QUIET, _QUIET_ODD_LOTS = 4e4, 400.0
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
    """A session while it is made; its arrays have a value or a column a listing.

    Attributes:
        trade_date: The session.
        rng: Where its chance comes from.
        listed: Whether it may trade.
        paths: Open, high, low and close in rows, BRL for one unit.
        turnover: BRL in the cash market, if it trades.
        volatility: The market's, by that of the long run.
        quantities: Theoretical quantity in the index.
        names: What each goes by: ticker, code and company.
        especi: ESPECI, with the rights that it is ex of.
        dismes: DISMES.
    """

    trade_date: date
    rng: np.random.Generator
    listed: NDArray[np.bool_]
    paths: Floats
    turnover: Floats
    volatility: float
    quantities: Ints
    names: "_Names"
    especi: NDArray[np.bytes_]
    dismes: Ints


@dataclass(frozen=True, slots=True)
class _Names:
    """What listings go by at a time."""

    ticker: NDArray[np.bytes_]
    code: NDArray[np.bytes_]
    company: NDArray[np.bytes_]


class SimulatedMarket:
    """A market of made-up tickers.

    Args:
        seed: Another seed is another market.
        tickers: How many are listed at a time, one or two more or less, with the index, on which there are
            options; a few do not trade in a session.
        quotes: Lines of a session's file, which option series fill up; sessions vary around it.

    Raises:
        ValueError: too few or too many tickers.
    """

    def __init__(self, *, seed: int = 1890, tickers: int = 150, quotes: int = 3000) -> None:
        self._seed = seed
        self._quotes = quotes
        self._listings = build_universe(seed, tickers - 1)
        self._actions = CorporateActions(seed, self._listings)
        self._prices = Prices(seed, self._listings, self._actions)
        self._composition = Index(seed, self._listings, self._prices, self._actions)
        self._others: dict[str, Index] = {}
        self._listed_from = np.array([listing.listed_from.toordinal() for listing in self._listings])
        self._listed_until = np.array(
            [(listing.listed_until or date.max).toordinal() for listing in self._listings]
        )
        self._issuers = Issuers(self._listings, self._actions, self._prices)
        self._number = {listing.isin: number for number, listing in enumerate(self._listings)}
        self._turnover = np.array([listing.turnover for listing in self._listings])
        self._ticket = np.array([listing.ticket for listing in self._listings])
        self._lot = np.array([listing.lot for listing in self._listings])
        self._fatcot = np.array([listing.fatcot for listing in self._listings])
        self._is_share = np.array([listing.is_share for listing in self._listings])
        self._is_common = np.array(
            [listing.share_class == "ON" and not listing.only_odd_lots for listing in self._listings]
        )
        self._only_odd_lots = np.array([listing.only_odd_lots for listing in self._listings])
        self._has_options = np.array([listing.has_options for listing in self._listings])
        self._renamed_on = np.array(
            [(listing.renamed_on or date.max).toordinal() for listing in self._listings]
        )
        self._first_names, self._later_names = (
            _Names(
                ticker=_bytes(listing.ticker_on(day) for listing in self._listings),
                code=_bytes(listing.code_on(day) for listing in self._listings),
                company=_bytes(listing.company_on(day) for listing in self._listings),
            )
            for day in (date.min, date.max)
        )
        # Wide enough for any right
        self._especi = _bytes(listing.especi() for listing in self._listings).astype("S10")
        self._isin = _bytes(listing.isin for listing in self._listings)
        self._codbdi = _bytes(listing.codbdi for listing in self._listings)
        # What there are options on: the listings, and at last the index
        self._index = len(self._listings)
        ladders = [*(strike_ladder(listing.anchor) for listing in self._listings), (100_000, 100_000)]
        self._strike_step, self._strike_unit = np.array(ladders).T
        self._volatility = np.sqrt(252) * np.append(self._prices.noise, MARKET_NOISE * 1.1)
        # Of each: the logarithm of what puts trade, by what calls do
        puts = np.random.default_rng([seed, _PUTS_STREAM]).normal(-0.45, 0.25, size=self._index)
        self._puts = np.append(puts, 0.0)

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
        return _with_five_digits(self._make(trade_date))

    def cash(self, trade_date: date) -> Columns:
        """Its lines of the cash market alone, but for subscription rights, in a tenth of that time again."""
        return _with_five_digits(_ordered(stack([self._cash(self._begin(trade_date))])))

    def trades(self, trade_date: date) -> NDArray[np.int64]:
        """How often each line of a session was traded, of which TOTNEG has no more than five digits."""
        trades: NDArray[np.int64] = self._make(trade_date)["totneg"]
        return trades

    def _make(self, trade_date: date) -> Columns:
        day = self._begin(trade_date)
        parts = [self._cash(day), self._odd_lots(day), self._forwards(day), self._auctions(day)]
        wanted = round(self._quotes * float(np.exp(day.rng.normal(0, 0.03))))
        wanted -= sum(len(part["codneg"]) for part in parts)
        return _ordered(stack([*parts, *self._options(day, max(wanted, 0)), self._rights(day)]))

    def portfolio(self, portfolio_date: date, index: str = IBOV) -> list[PortfolioRow]:
        """The portfolio of an index dated that day: its opening weights, by what the closes before are then.

        It changes on the first session of January, May and September; in between only the weights do.

        Returns:
            Of the IBOV 5/8 of the shares. The weights add up to 100.000 exactly.

        Raises:
            ValueError: the date is not after EPOCH.
        """
        before = _session_before(portfolio_date)
        of_index = self._index_of(index)
        quantities = of_index.quantities(portfolio_date)
        members = np.flatnonzero(quantities).tolist()
        value = of_index.opening_values(before, portfolio_date)[members]
        rights = self._actions.rights(portfolio_date)
        thousandths = apportion(100_000 - len(members), value) + 1  # none is left without a weight
        return [
            PortfolioRow(
                ticker=self._listings[n].ticker_on(portfolio_date),
                asset=self._listings[n].company_on(portfolio_date),
                share_class=self._listings[n].especi(rights.get(n, "")),
                weight=Decimal(int(weight)).scaleb(-3),
                theoretical_quantity=int(quantities[n]),
                sector=SECTORS[self._listings[n].sector],
            )
            for n, weight in zip(members, thousandths, strict=True)
        ]

    def level(self, day: date, index: str = IBOV) -> Decimal:
        """The level of an index at the close of a day [points], to the hundredth.

        Raises:
            ValueError: the day is before EPOCH.
        """
        return Decimal(round(self._index_of(index).level(day) * 100)).scaleb(-2)

    def truth(self, day: date) -> dict[str, float]:
        """What a unit of each paper of the market's first day is worth, in BRL, by ISIN.

        That is its close, not rounded, as if nothing had ever been paid, split or spun off: a right series of
        total returns is proportional to it. It has papers that did not trade, too.

        Raises:
            ValueError: the day is before EPOCH.
        """
        worth = self._prices.undisturbed(day).tolist()
        return {
            listing.isin: value
            for listing, value in zip(self._listings, worth, strict=True)
            if listing.is_listed(day)
        }

    @property
    def listings(self) -> tuple[Listing, ...]:
        """Every paper that is ever listed."""
        return self._listings

    def steps(self, isin: str) -> list[Step]:
        """What a paper has gone and will go ex of, by day.

        Raises:
            KeyError: the market has no such paper.
        """
        return self._actions.steps(self._number[isin])

    def corporate_actions(self, issuer: str, as_of: date) -> IssuerActions | None:
        """What B3's service knows on a day of an issuer, by its code; None if it knows none of that code."""
        return self._issuers.actions_of(issuer, as_of)

    def issuer_of(self, trading_name: str) -> str | None:
        """The issuing code of a short name as B3's service is asked for it: without "/"."""
        return self._issuers.issuer_of(trading_name)

    @property
    def reductor(self) -> Decimal:
        """The IBOV's divisor: its level in points is the portfolio's value in BRL divided by it."""
        return self.reductor_of(IBOV)

    def reductor_of(self, index: str) -> Decimal:
        """The divisor of an index."""
        return Decimal(self._index_of(index).reductor_units).scaleb(-8)

    def _index_of(self, code: str) -> Index:
        if code == IBOV:
            return self._composition
        if code not in self._others:
            self._others[code] = Index(self._seed, self._listings, self._prices, self._actions, code)
        return self._others[code]

    def _begin(self, trade_date: date) -> _Day:
        rng = np.random.default_rng([self._seed, _SESSION_STREAM, trade_date.toordinal()])
        close = self._prices.closes(trade_date)
        before = self._prices.closes_ex(_session_before(trade_date), trade_date)
        volatility = self._prices.volatility(trade_date)
        noise, moved = self._prices.noise * volatility, np.log(close / before)
        size = close.size

        # What came to light overnight is in the open
        overnight = rng.uniform(0.15, 0.7) + rng.normal(0, 0.1, size=size)
        open_ = before * np.exp(overnight * moved + 0.2 * noise * rng.normal(size=size))
        up, down = np.exp(0.5 * noise * np.abs(rng.normal(size=(2, size))))
        paths = np.stack([open_, np.maximum(open_, close) * up, np.minimum(open_, close) / down, close])

        # Most is traded in storms, of what moves, and of what is new
        age = trade_date.toordinal() - self._listed_from
        listed = (age >= 0) & (trade_date.toordinal() <= self._listed_until)
        activity = 0.3 * np.log(volatility) + rng.normal(0, 0.12) + rng.normal(0, 0.3, size=size)
        stir = 0.75 + 0.3 * np.minimum(np.abs(moved) / noise, 5) + 2 * np.exp(-np.maximum(age, 0) / 10)
        return _Day(
            trade_date=trade_date,
            rng=rng,
            listed=listed,
            paths=paths,
            turnover=np.where(listed, self._turnover * np.exp(activity) * stir, 0),
            volatility=volatility,
            quantities=self._composition.quantities(trade_date),
            names=self._names(trade_date),
            especi=self._especi_with_rights(trade_date),
            dismes=self._actions.numbers(trade_date),
        )

    def _names(self, day: date) -> _Names:
        renamed = self._renamed_on <= day.toordinal()
        first, later = self._first_names, self._later_names
        return _Names(
            ticker=np.where(renamed, later.ticker, first.ticker),
            code=np.where(renamed, later.code, first.code),
            company=np.where(renamed, later.company, first.company),
        )

    def _especi_with_rights(self, day: date) -> NDArray[np.bytes_]:
        especi = self._especi.copy()
        for n, rights in self._actions.rights(day).items():
            especi[n] = self._listings[n].especi(rights).encode()
        return especi

    def _lines(
        self, day: _Day, traded: NDArray[np.intp], numbers: Columns, *, suffix: str = "", **codes: Any
    ) -> dict[str, Any]:
        """Lines of listings: what they have in common, the given codes and numbers."""
        return {
            **_CASH_LINE,
            "codneg": np.strings.add(day.names.ticker[traded], suffix.encode()),
            "nomres": day.names.company[traded],
            "especi": day.especi[traded],
            "fatcot": self._fatcot[traded],
            "codisi": self._isin[traded],
            "dismes": day.dismes[traded],
            **codes,
            **numbers,
        }

    def _cash(self, day: _Day) -> dict[str, Any]:
        quiet = day.rng.random(len(day.listed)) < np.exp(-self._turnover / _QUIET)
        quiet[self._actions.leaving(day.trade_date)] = False
        traded = np.flatnonzero(day.listed & ~self._only_odd_lots & ~quiet)
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            day.paths[:, traded],
            day.turnover[traded],
            lot=self._lot[traded],
            fatcot=self._fatcot[traded],
            ticket=self._ticket[traded],
            one_sided=0.1,
        )
        return self._lines(day, traded, numbers, codbdi=self._codbdi[traded], tpmerc=b"010")

    def _odd_lots(self, day: _Day) -> dict[str, Any]:
        # The smaller the company, the smaller its investors
        share = 0.006 * (self._turnover / 1e7) ** -0.3
        quiet = day.rng.random(len(day.listed)) < np.exp(-self._turnover * share / _QUIET_ODD_LOTS)
        traded = np.flatnonzero(day.listed & self._is_share & ~quiet)
        share = share[traded] * np.exp(day.rng.normal(0, 0.6, size=len(traded)))
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            day.paths[:, traded],
            day.turnover[traded] * share,
            largest_trade=99,
            one_sided=0.02,
        )
        return self._lines(day, traded, numbers, suffix="F", codbdi=b"96", tpmerc=b"020")

    def _optionable(self, day: _Day) -> NDArray[np.intp]:
        """The shares that may have options: not at once when they are new."""
        seasoned = day.trade_date.toordinal() - self._listed_from >= _OPTIONS_AFTER
        return np.flatnonzero(self._has_options & day.listed & seasoned)

    def _forwards(self, day: _Day) -> dict[str, Any]:
        shares, terms = self._optionable(day), np.array(_FORWARD_TERMS)
        dealt = day.rng.random((len(shares), len(terms))) < 0.25
        # None outlasts its share
        dealt &= day.trade_date.toordinal() + terms <= self._listed_until[shares, np.newaxis]
        row, column = np.nonzero(dealt)
        traded, terms = shares[row], terms[column]
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
        traded = np.sort(day.rng.choice(self._optionable(day), size=2, replace=False))
        numbers = _trade(
            _draw_chances(day.rng, len(traded)),
            np.tile(day.paths[3, traded], (4, 1)),
            day.turnover[traded] * 0.05,
            lot=self._lot[traded],
            ticket=1e6,
            one_sided=1.0,
        )
        return self._lines(day, traded, numbers, suffix="L", codbdi=b"50", tpmerc=b"017")

    def _rights(self, day: _Day) -> dict[str, Any]:
        """A line of the subscription rights of a share, another each month: at a tenth of its price."""
        month = day.trade_date.year * 12 + day.trade_date.month
        first = date(day.trade_date.year, day.trade_date.month, 1).toordinal()
        issuers = np.flatnonzero(
            self._is_common & (self._listed_from <= first) & (self._listed_until > first + 31)
        )
        traded = issuers[[month * 7 % len(issuers)]]
        rng = np.random.default_rng([self._seed, _RIGHTS_STREAM, day.trade_date.toordinal()])
        numbers = _trade(
            _draw_chances(rng, 1), day.paths[:, traded] / 10, day.turnover[traded] * 0.003, one_sided=0.3
        )
        paper = self._listings[int(traded[0])]
        names = {
            "codneg": _bytes([f"{paper.code_on(day.trade_date)}1"]),
            "especi": _bytes([f"DIR ORD {paper.segment}".rstrip()]),
            "codisi": _bytes([isin_with_check_digit(f"BR{paper.code}D{month % 90 + 10}OR")]),
            "dismes": FIRST_NUMBER,  # a right has none of its own
        }
        return {**self._lines(day, traded, numbers, codbdi=b"10", tpmerc=b"010"), **names}

    def _options(self, day: _Day, count: int) -> list[dict[str, Any]]:
        """Lines of that many option series, and of a few exercises of what is in the money."""
        expiries = [next_expiries(day.trade_date, rule) for rule in (share_expiry, index_expiry)]
        years = np.array([[(expiry - day.trade_date).days for expiry in each] for each in expiries]) / 365
        # No series outlasts its share
        ends, shares = [expiry.toordinal() for expiry in expiries[0]], self._optionable(day)
        shares = shares[self._listed_until[shares] >= ends[0]]
        months = np.append(np.searchsorted(ends, self._listed_until[shares], side="right"), len(ends))

        underlying = np.append(shares, self._index)
        paths = np.column_stack([day.paths[:, shares], self._index_path(day)])
        turnover = np.append(day.turnover[shares], day.turnover.max() / 5)
        volatility = self._volatility[underlying] * day.volatility**0.7  # some of it is going to pass
        puts = self._puts_lean(day, underlying, paths[3])
        series = draw_series(
            day.rng,
            close=paths[3],
            volatility=volatility,
            strike_step=self._strike_step[underlying],
            years=years[(underlying == self._index).astype(int)],
            months=months,
            counts=apportion(count, np.sqrt(turnover)).tolist(),
            puts=puts,
        )
        nth, month, strike, is_call = series.underlying, series.month, series.strike, series.is_call
        of = underlying[nth]
        codes = np.append(day.names.code, _INDEX_CODE.encode())
        on_index = of == self._index
        expiry = np.array([[_yyyymmdd(day) for day in each] for each in expiries])[
            on_index.astype(int), month
        ]
        numbers = _trade(
            _draw_chances(day.rng, len(of)),
            series_values(
                paths[:, nth],
                volatility=volatility[nth],
                strike=strike / 100,
                years=years[on_index.astype(int), month],
                is_call=is_call,
            ),
            turnover[nth] * 0.03 * series.interest * np.exp(day.rng.normal(0, 0.8, size=len(of))),
            lot=np.where(on_index, 1, 100),
            ticket=2.0,
            one_sided=0.4,
        )
        codbdi = np.where(on_index, [[b"74"], [b"75"]], [[b"78"], [b"82"]])
        options = {
            **take(self._underlyings(day, shares), nth),
            **numbers,
            "codneg": series_codes(codes[of], expiry, is_call, strike // self._strike_unit[of]),
            "codbdi": np.where(is_call, *codbdi),
            "tpmerc": np.where(is_call, b"070", b"080"),
            "prazot": np.full(len(of), b"000"),
            "preexe": strike,
            "ptoexe": np.where(on_index, strike * 10_000, 0),
            "datven": expiry,
        }
        # Options on the index are settled in cash
        return [options, *_exercises(day, options, np.flatnonzero(series.in_the_money & ~on_index))]

    def _puts_lean(self, day: _Day, underlying: NDArray[np.intp], close: Floats) -> Floats:
        """Logarithm of what puts trade by what calls do: the more, the more an underlying fell in a week."""
        before = self._prices.closes_ex(max(day.trade_date - timedelta(days=7), EPOCH), day.trade_date)
        week_ago = np.append(before[underlying[:-1]], before @ day.quantities / float(self.reductor))
        deviation = self._volatility[underlying] * day.volatility * np.sqrt(5 / 252)
        fall = np.clip(np.log(week_ago / close) / deviation, -3, 3)
        lean: Floats = self._puts[underlying] + 0.4 * fall + 0.15 * day.rng.normal(size=len(underlying))
        return lean

    def _underlyings(self, day: _Day, shares: NDArray[np.intp]) -> Columns:
        """What the series of a share have in common with its other lines, and at last those of the index."""
        names = {"nomres": np.strings.add(day.names.code[shares], b"E")}
        index = {
            **_CASH_LINE,
            "codneg": np.array([_INDEX_CODE.encode()]),
            "nomres": f"{_INDEX_CODE}E".encode(),
            "especi": b"IBO",
            "fatcot": 1,
            "codisi": INDEX_ISIN.encode(),
            "dismes": 11,
        }
        return stack([self._lines(day, shares, names), index])

    def _index_path(self, day: _Day) -> Floats:
        first, *_, last = day.paths @ day.quantities / float(self.reductor)
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
    ticket: Floats | float = 1.0,
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
    open_, high, low, close = in_cents(path, fatcot)
    lots = np.maximum(np.rint(turnover * fatcot * 100 / close / lot), 1).astype(np.int64)
    size = ticket * 2600 * (np.maximum(turnover, 1) / 5e6) ** 0.38 * np.exp(size_chance)
    trades = np.clip(np.rint(turnover / size), 1, lots).astype(np.int64)
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


def _ordered(lines: Columns) -> Columns:
    return take(lines, np.lexsort((lines["prazot"], lines["codneg"], lines["tpmerc"])))


def _with_five_digits(lines: Columns) -> Columns:
    return {**lines, "totneg": lines["totneg"] % _TRADES_MODULUS}


def _session_before(day: date) -> date:
    """The session before, or the market's first day."""
    return max(last_session_until(day - timedelta(days=1)), EPOCH) if day > EPOCH else day


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

"""What the named queries should answer: worked out by pandas, from the quotes that the market generated.

A function a query, by the name of its file, with the query's parameters. Each is written from the question.
Amounts of money are cents; prices and shares are floats, of which a query's answer is a rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd

from sandbox.b3.market import SimulatedMarket

MARKETS = {"010": "cash", "020": "odd_lot", "030": "forward", "070": "call", "080": "put"}
"""By TPMERC; whatever else there is, is "other"."""

KINDS = {
    **dict.fromkeys(("ON", "PN", "PNA", "PNB"), "share"),
    "UNT": "unit",
    "DIR": "right",
    "DRN": "bdr",
    "IBO": "index",
}
"""Kinds of paper of the simulated market, by ESPECI's first word; CI is a fund, under CODBDI 14 an ETF."""

PRICES = {
    "open": "preabe",
    "high": "premax",
    "low": "premin",
    "close": "preult",
    "average_price": "premed",
    "best_bid": "preofc",
    "best_ask": "preofv",
}


@dataclass(frozen=True)
class Lake:
    """What has to be in the lake.

    Attributes:
        sessions: The sessions, oldest first.
        quotes: A row a quote.
        stocks: A row for each session and stock, by session and ticker; a stock is what shares an ISIN.
        events: The table of events, as the job wrote it: what it should hold is tested elsewhere.
        factors: The table of factors, likewise.
        portfolio: The IBOV's members, with `weight` and `sector`.
        portfolio_date: The day from which it is known.
        levels: The IBOV's level of each session.
    """

    sessions: Sequence[date]
    quotes: pd.DataFrame
    stocks: pd.DataFrame
    events: pd.DataFrame = field(default_factory=pd.DataFrame)
    factors: pd.DataFrame = field(default_factory=pd.DataFrame)
    portfolio: pd.DataFrame = field(default_factory=pd.DataFrame)
    portfolio_date: date = date.max
    levels: dict[date, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, market: SimulatedMarket, sessions: Sequence[date], portfolio_date: date) -> Lake:
        """Of a market's sessions, with the portfolio of one day known from that day on."""
        fields = (
            "codbdi",
            "codneg",
            "tpmerc",
            "nomres",
            "especi",
            "codisi",
            "fatcot",
            "totneg",
            "quatot",
            "datven",
        )
        rows = [
            {"trade_date": session, "cents": int(quote.voltot * 100)}
            | {field: getattr(quote, field) for field in fields}
            | {name: float(getattr(quote, field)) / quote.fatcot for name, field in PRICES.items()}
            for session in sessions
            for quote in market.session(session)
        ]
        quotes = pd.DataFrame(rows)
        quotes["market"] = quotes["tpmerc"].map(MARKETS).fillna("other")
        portfolio = pd.DataFrame(
            [(row.ticker, float(row.weight), row.sector) for row in market.portfolio(portfolio_date)],
            columns=["ticker", "weight", "sector"],
        )
        stocks = _stocks(quotes, portfolio, portfolio_date)
        levels = {day: market.level(day) for day in sessions}
        return cls(
            sessions, quotes, stocks, portfolio=portfolio, portfolio_date=portfolio_date, levels=levels
        )

    def window(self, trade_date: date, count: int) -> list[date]:
        """The last sessions up to a day, newest first."""
        return sorted((day for day in self.sessions if day <= trade_date), reverse=True)[:count]

    def at(self, trade_date: date) -> pd.DataFrame:
        """The stocks of a session, by ticker."""
        return self.stocks[self.stocks["trade_date"] == trade_date].set_index("ticker", drop=False)

    def over(self, days: Sequence[date]) -> pd.DataFrame:
        """The stocks of some sessions."""
        return self.stocks[self.stocks["trade_date"].isin(days)]

    def in_terms(self, stocks: pd.DataFrame, prices: str) -> pd.DataFrame:
        """Stocks with `factor`, by which prices are to be multiplied, and `base`, of which they then are.

        Those of another base, or of none, are not comparable.
        """
        if prices == "traded":
            return stocks.assign(factor=1.0, base="as traded")
        name = {"adjusted": "split_base", "total_return": "total_return_base"}[prices]
        spans: dict[str, list[Any]] = {}
        for span in self.factors.to_dict("records"):
            spans.setdefault(span["isin"], []).append(span)
        found = []
        for isin, day in zip(stocks["isin"], stocks["trade_date"], strict=True):
            own = [s for s in spans.get(isin, []) if s["first_session"] <= day <= s["last_session"]]
            base = own[0][name] if own else None
            found.append((own[0][f"{name}_factor"], f"{isin} {base}") if base else (np.nan, None))
        terms = pd.DataFrame(found, columns=["factor", "base"], index=stocks.index)
        return stocks.assign(factor=terms["factor"], base=terms["base"])

    def with_previous_close(self, trade_date: date, prices: str) -> pd.DataFrame:
        """The stocks of a session, with their closes in the session before in terms of it."""
        today, before = (self.in_terms(self.at(day), prices) for day in self.window(trade_date, 2))
        earlier = before.reindex(today.index)
        previous = (earlier["close"] * (earlier["factor"] / today["factor"])).round(6)
        return today.assign(
            previous=previous.where(earlier["base"] == today["base"]),
            was_traded=earlier["close"].notna(),
            previous_session=self.window(trade_date, 2)[1],
        )

    def missing_before(self, days: Sequence[date]) -> list[int | None]:
        """How many sessions lack before each: it begins somewhere, and has all since."""
        return [None if day == self.sessions[0] else 0 for day in days]


def _stocks(quotes: pd.DataFrame, portfolio: pd.DataFrame, portfolio_date: date) -> pd.DataFrame:
    keys = ["trade_date", "codisi"]
    by_market = quotes.pivot_table(
        index=keys, columns="market", values="cents", aggfunc="sum", fill_value=0
    ).reindex(columns=[*MARKETS.values(), "other"], fill_value=0)
    options = quotes[quotes["market"].isin(["call", "put"])].groupby(keys)
    stocks = by_market.assign(
        volume=by_market.sum(axis=1),
        trades=_trades(quotes, keys),
        quantity=quotes.groupby(keys)["quatot"].sum(),
        lines=quotes.groupby(keys).size(),
        series=options["codneg"].nunique(),
        expiry=options["datven"].min(),
    )
    stocks["series"] = stocks["series"].fillna(0).astype(int)
    # The cash line names the stock, or else the odd lot, or else the options
    order = quotes["market"].map({"cash": 0, "odd_lot": 1}).fillna(2)
    named = quotes.assign(order=order).sort_values("order", kind="stable").groupby(keys).first()
    codes = named["codneg"]
    stocks["ticker"] = np.select(
        [named["order"] == 0, named["order"] == 1], [codes, codes.str.removesuffix("F")], codes.str[:4]
    )
    stocks[["company", "share_class", "bulletin_code"]] = named[["nomres", "especi", "codbdi"]]
    classes = stocks["share_class"].str.split().str[0]
    funds = np.where(named["codbdi"] == "14", "etf", "fund")
    stocks["kind"] = np.where(classes == "CI", funds, classes.map(KINDS))
    for name in PRICES:
        stocks[name] = named[name].where(named["order"] == 0)
    for name in ("best_bid", "best_ask"):
        stocks[name] = stocks[name].replace(0, np.nan)
    stocks = stocks.reset_index().rename(columns={"codisi": "isin"})
    stocks = stocks.merge(portfolio, on="ticker", how="left")
    unknown = stocks["trade_date"] < portfolio_date
    stocks.loc[unknown, ["weight", "sector"]] = np.nan
    return stocks.sort_values(["trade_date", "ticker"], ignore_index=True)


def _trades(quotes: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Trades of each stock; none where a line's volume contradicts its count (README, "The data")."""
    mean = quotes["cents"] / 100 / quotes["totneg"].where(quotes["totneg"] > 0)
    classes = quotes["especi"].str.split().str[0].isin(["ON", "PN", "PNA", "UNT"])
    judged = quotes.assign(mean=mean)[
        quotes["tpmerc"].isin(["010", "020"]) & classes & (quotes["totneg"] > 0)
    ]
    largest = (
        judged.sort_values(["cents", "totneg"], ascending=False).groupby(["trade_date", "tpmerc"]).head(50)
    )
    usual = largest.groupby(["trade_date", "tpmerc"])["mean"].agg(["median", "size"])
    of_enough = usual.loc[usual["size"] == 50, "median"].rename("usual")
    lines = quotes.join(of_enough, on=["trade_date", "tpmerc"])
    volume, more = lines["cents"] / 100, lines["totneg"] + 100_000
    doubtful = classes & (volume > lines["usual"] * 5 * lines["totneg"])
    doubtful &= (volume >= lines["usual"] * 0.75 * more) & (lines["quatot"] >= more)
    doubtful |= (lines["totneg"] == 0) & (lines["cents"] > 0)
    trades: pd.Series = quotes.groupby(keys)["totneg"].sum().astype("Int64")
    return trades.mask(doubtful.groupby([quotes[key] for key in keys]).any())


def brl(cents: Any) -> Any:
    """Cents as a decimal in BRL."""
    if isinstance(cents, pd.Series):
        return cents.map(brl, na_action="ignore").astype(object)
    return Decimal(int(cents)).scaleb(-2)


def brl_mean(cents: pd.Series, count: int) -> pd.Series:
    """Sums of cents by a count, as decimals in BRL; half a cent is rounded up."""

    def mean(total: Any) -> Decimal:
        return (Decimal(int(total)) / count / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)

    return cents.map(mean, na_action="ignore").astype(object)


def percent(part: Any, whole: Any) -> Any:
    return 100 * part / whole


def of_kinds(stocks: pd.DataFrame, security_types: str) -> pd.DataFrame:
    """The stocks that are of some kinds of paper."""
    return stocks[stocks["kind"].isin(security_types.split(", "))]


def session_overview(lake: Lake, trade_date: date, security_types: str, prices: str) -> pd.DataFrame:
    every = lake.with_previous_close(trade_date, prices)
    stocks = of_kinds(every, security_types)
    rose, fell = stocks["close"] > stocks["previous"], stocks["close"] < stocks["previous"]
    same = stocks["close"] == stocks["previous"]
    volume = every["volume"].sum()
    before = lake.at(lake.window(trade_date, 2)[1])["volume"].sum()
    return pd.DataFrame(
        {
            "trade_date": [trade_date],
            "previous_session": every["previous_session"].iloc[0],
            "missing_sessions": 0,
            "currency": "BRL",
            "stocks": len(stocks),
            "advances": rose.sum(),
            "declines": fell.sum(),
            "unchanged": same.sum(),
            "not_comparable": (~(rose | fell | same)).sum(),
            "advance_decline_ratio": rose.sum() / fell.sum(),
            "advancing_cash_volume": brl(stocks["cash"][rose].sum()),
            "declining_cash_volume": brl(stocks["cash"][fell].sum()),
            "volume": brl(volume),
            "volume_change_percent": percent(volume - before, before),
            "cash_volume": brl(every["cash"].sum()),
            "trades": every["trades"].sum(),
            "rows_without_trades": 0,
            "put_call_ratio": every["put"].sum() / every["call"].sum(),
        }
    )


def top_gainers_and_losers(
    lake: Lake, trade_date: date, prices: str, security_types: str, minimum_volume: float
) -> pd.DataFrame:
    stocks = of_kinds(lake.with_previous_close(trade_date, prices), security_types)
    stocks = stocks[(stocks["cash"] > 0) & (stocks["cash"] >= 100 * minimum_volume)]
    reference = stocks["previous"].fillna(stocks["open"])
    rows = pd.DataFrame(
        {
            "trade_date": trade_date,
            "previous_session": stocks["previous_session"],
            "missing_sessions": 0,
            "side": "",
            "place": 0,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "security_type": stocks["kind"],
            "change_percent": percent(stocks["close"] - reference, reference),
            "currency": "BRL",
            "close": stocks["close"],
            "reference_price": reference,
            "reference": np.select(
                [stocks["previous"].notna(), stocks["was_traded"]],
                ["previous close", "open: an event since the previous close is not proven"],
                "open",
            ),
            "volume": brl(stocks["volume"]),
        }
    )
    gainers = rows[rows["change_percent"] > 0].nlargest(10, "change_percent").assign(side="gainer")
    losers = rows[rows["change_percent"] < 0].nsmallest(10, "change_percent").assign(side="loser")
    return pd.concat([side.assign(place=range(1, len(side) + 1)) for side in (gainers, losers)])


def most_traded(lake: Lake, trade_date: date) -> pd.DataFrame:
    stocks = lake.at(trade_date)
    return pd.DataFrame(
        {
            "trade_date": trade_date,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "security_type": stocks["kind"],
            "currency": "BRL",
            "volume": brl(stocks["volume"]),
            "share_of_session_percent": percent(stocks["volume"], stocks["volume"].sum()),
            "trades": stocks["trades"],
            "quantity": stocks["quantity"],
            "option_series": stocks["series"],
            "put_call_ratio": stocks["put"] / stocks["call"].replace(0, np.nan),
        }
    ).sort_values("volume", ascending=False)[:20]


def volume_by_market(lake: Lake, trade_date: date) -> pd.DataFrame:
    stocks = lake.at(trade_date)
    names = {
        "cash": "Cash",
        "odd_lot": "Odd lot",
        "forward": "Forward",
        "call": "Calls",
        "put": "Puts",
        "other": "Other",
    }
    volumes = pd.Series({name: stocks[market].sum() for market, name in names.items()})
    volumes = volumes.sort_values(ascending=False)
    return pd.DataFrame(
        {
            "trade_date": trade_date,
            "market": volumes.index,
            "currency": "BRL",
            "volume": brl(volumes),
            "share_of_session_percent": percent(volumes, stocks["volume"].sum()),
        }
    )


def sector_weights(lake: Lake, trade_date: date) -> pd.DataFrame:
    stocks = lake.at(trade_date)
    sectors = stocks[stocks["weight"].notna()].groupby("sector")
    volume = sectors["volume"].sum()
    portfolio_date = lake.stocks[lake.stocks["weight"].notna()]["trade_date"].min()
    return (
        pd.DataFrame(
            {
                "trade_date": trade_date,
                "sector": volume.index,
                "currency": "BRL",
                "stocks": sectors.size(),
                "index_weight_percent": sectors["weight"].sum().round(3),
                "volume": brl(volume),
                "share_of_index_volume_percent": percent(volume, volume.sum()),
                "portfolio_date": portfolio_date,
                "portfolio_age_days": (trade_date - portfolio_date).days,
            }
        )
        .sort_index()
        .sort_values("index_weight_percent", ascending=False, kind="stable")
    )


def sector_turnover(lake: Lake, trade_date: date) -> pd.DataFrame:
    days = lake.window(trade_date, 21)
    stocks = lake.over(days)
    known = stocks.dropna(subset="sector").sort_values("trade_date").groupby("ticker")["sector"].last()
    stocks = stocks.assign(sector=stocks["ticker"].map(known).fillna("(outside the index)"))
    today, before = stocks[stocks["trade_date"] == days[0]], stocks[stocks["trade_date"] != days[0]]
    volume = today.groupby("sector")["volume"].sum()
    total, count = before.groupby("sector")["volume"].sum(), len(days) - 1
    return pd.DataFrame(
        {
            "trade_date": days[0],
            "missing_sessions": 0,
            "sector": volume.index,
            "currency": "BRL",
            "stocks": today.groupby("sector").size(),
            "volume": brl(volume),
            "share_of_session_percent": percent(volume, volume.sum()),
            "average_volume": brl_mean(total, count),
            "times_the_average": volume / (total / count),
        }
    ).sort_values("volume", ascending=False)


def ticker_session(lake: Lake, trade_date: date, ticker: str) -> pd.DataFrame:
    stock = lake.at(trade_date).loc[[ticker]]
    money = {f"{name}_volume": brl(stock[name]) for name in (*MARKETS.values(), "other")}
    expiry = stock["expiry"].iloc[0]
    return pd.DataFrame(
        {
            **{name: stock[name] for name in ("trade_date", "ticker", "company", "share_class", "isin")},
            "security_type": stock["kind"],
            "bulletin_code": stock["bulletin_code"],
            "currency": "BRL",
            **{f"{name}": stock[name] for name in PRICES},
            **{name: stock[name] for name in ("trades", "quantity")},
            "volume": brl(stock["volume"]),
            **money,
            "option_series": stock["series"],
            "put_call_ratio": stock["put"] / stock["call"].replace(0, np.nan),
            "next_expiry": [expiry],
            "days_to_expiry": [None if pd.isna(expiry) else (expiry - trade_date).days],
            "index_weight_percent": stock["weight"],
            "sector": stock["sector"],
            "lines": stock["lines"],
        }
    )


def ticker_last_sessions(lake: Lake, trade_date: date, prices: str, ticker: str) -> pd.DataFrame:
    days = lake.window(trade_date, 21)
    stock = lake.over(days)
    stock = lake.in_terms(stock[stock["ticker"] == ticker].sort_values("trade_date"), prices)
    has_close = stock["close"].notna()
    before = (stock["close"] * stock["factor"]).where(has_close).ffill().shift() / stock["factor"]
    stock["before"] = before.where(stock["base"].where(has_close).ffill().shift() == stock["base"])
    stock["reference_date"] = stock["trade_date"].where(stock["close"].notna()).ffill().shift()
    stock = stock[stock["trade_date"].isin(days[:20])].sort_values("trade_date", ascending=False)
    left = [
        None if pd.isna(expiry) else (expiry - day).days
        for expiry, day in zip(stock["expiry"], stock["trade_date"], strict=True)
    ]
    return pd.DataFrame(
        {
            "trade_date": stock["trade_date"],
            "missing_sessions": lake.missing_before(list(stock["trade_date"])),
            "ticker": ticker,
            "currency": "BRL",
            **{f"{name}": stock[name] for name in ("open", "high", "low", "close")},
            "reference_date": stock["reference_date"],
            "change_percent": percent(stock["close"] - stock["before"], stock["before"]),
            "trades": stock["trades"],
            "volume": brl(stock["volume"]),
            "days_to_expiry": left,
        }
    )


def ticker_averages(lake: Lake, trade_date: date, prices: str, ticker: str) -> pd.DataFrame:
    stock = lake.stocks[(lake.stocks["ticker"] == ticker) & lake.stocks["close"].notna()]
    stock = stock[stock["trade_date"].isin(lake.window(trade_date, 249))]
    stock = lake.in_terms(stock, prices).set_index("trade_date", drop=False).sort_index()
    newest = stock.iloc[-1]
    close = (stock["close"] * stock["factor"] / newest["factor"]).where(stock["base"] == newest["base"])
    zeros = close * 0
    rows = pd.DataFrame(
        {
            "trade_date": stock.index,
            "ticker": ticker,
            "currency": "BRL",
            "close": stock["close"],
            "close_adjusted": close,
            "average_5": close.rolling(5).mean(),
            "missing_5": zeros.rolling(5).sum(),
            "average_20": close.rolling(20).mean(),
            "missing_20": zeros.rolling(20).sum(),
            "average_200": close.rolling(200).mean(),
            "missing_200": zeros.rolling(200).sum(),
            "volume": brl(stock["volume"]),
            "average_volume_20": brl_mean(stock["volume"].rolling(20).sum(), 20),
        }
    )
    return rows.loc[rows.index.isin(lake.window(trade_date, 50))][::-1]


def returns_and_volatility(
    lake: Lake, trade_date: date, prices: str, security_types: str, minimum_average_volume: float
) -> pd.DataFrame:
    days = lake.window(trade_date, 22)
    stocks = lake.in_terms(of_kinds(lake.over(days), security_types), prices)

    def table(name: str) -> pd.DataFrame:
        return stocks.pivot(index="trade_date", columns="ticker", values=name)

    closes = table("close").dropna(axis=1)
    traded = brl_mean(table("cash")[closes.columns].sum(), len(closes))
    bases = table("base")[closes.columns]
    comparable = (table("close") * table("factor"))[closes.columns]
    returns = comparable.apply(np.log).diff().where(bases == bases.shift()).iloc[1:]
    returned = 100 * (comparable.iloc[-1] / comparable.iloc[0] - 1)
    one_base = bases.notna().all() & (bases.nunique() == 1)
    rows = pd.DataFrame(
        {
            "trade_date": days[0],
            "first_session": days[-1],
            "missing_sessions": 0,
            "ticker": closes.columns,
            "company": lake.at(days[0])["company"].reindex(closes.columns),
            "security_type": lake.at(days[0])["kind"].reindex(closes.columns),
            "currency": "BRL",
            "close": closes.iloc[-1],
            "return_percent": returned.where(one_base),
            "daily_returns": returns.count(),
            "annualised_volatility_percent": 100 * returns.std() * np.sqrt(252),
            "average_cash_volume": traded,
        }
    )
    rows = rows[(rows["average_cash_volume"] >= minimum_average_volume) & (rows["daily_returns"] >= 11)]
    return rows.sort_values("annualised_volatility_percent", ascending=False)


def highs_and_lows_52_weeks(
    lake: Lake,
    *,
    trade_date: date,
    prices: str,
    security_types: str,
    minimum_volume: float,
    within_percent: float,
) -> pd.DataFrame:
    today = lake.in_terms(of_kinds(lake.at(trade_date), security_types), prices)
    year = [day for day in lake.sessions if trade_date - timedelta(days=364) < day <= trade_date]
    stocks = lake.over(year).dropna(subset="close").sort_values("trade_date", ascending=False)
    stocks = lake.in_terms(of_kinds(stocks, security_types), prices)
    stocks = stocks[stocks["base"] == stocks["ticker"].map(today["base"])]
    step = stocks["factor"] / stocks["ticker"].map(today["factor"])
    stocks = stocks.assign(high=stocks["high"] * step, low=stocks["low"] * step)
    by_ticker = stocks.groupby("ticker")
    newest_high = by_ticker["high"].transform("max") == stocks["high"]
    newest_low = by_ticker["low"].transform("min") == stocks["low"]
    high, low = by_ticker["high"].max(), by_ticker["low"].min()
    today = today[(today["cash"] >= 100 * minimum_volume) & today["close"].notna() & today["base"].notna()]
    below, above = percent(high - today["close"], high), percent(today["close"] - low, low)
    rows = pd.DataFrame(
        {
            "trade_date": trade_date,
            "missing_sessions": 0,
            "near": np.where(below.reindex(today.index) <= above.reindex(today.index), "high", "low"),
            "ticker": today["ticker"],
            "company": today["company"],
            "security_type": today["kind"],
            "currency": "BRL",
            "close": today["close"],
            "high_52_weeks": high,
            "date_of_high": stocks[newest_high].groupby("ticker")["trade_date"].first(),
            "below_high_percent": below,
            "low_52_weeks": low,
            "date_of_low": stocks[newest_low].groupby("ticker")["trade_date"].first(),
            "above_low_percent": above,
            "sessions_traded": by_ticker.size(),
        },
        index=today.index,
    )
    rows["distance"] = rows[["below_high_percent", "above_low_percent"]].min(axis=1).round(2)
    rows = rows[rows["distance"] <= within_percent].sort_index()
    return rows.sort_values(["near", "distance"], kind="stable").drop(columns="distance")


def put_call_by_ticker(lake: Lake, trade_date: date, minimum_premiums: float) -> pd.DataFrame:
    every = lake.at(trade_date)
    premiums = every["put"] + every["call"]
    stocks = every[(every["series"] > 0) & (premiums >= 100 * minimum_premiums)]
    return pd.DataFrame(
        {
            "trade_date": trade_date,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "currency": "BRL",
            "put_volume": brl(stocks["put"]),
            "call_volume": brl(stocks["call"]),
            "put_call_ratio": stocks["put"] / stocks["call"].replace(0, np.nan),
            "market_put_call_ratio": every["put"].sum() / every["call"].sum(),
            "share_of_premiums_percent": percent(premiums[stocks.index], premiums.sum()),
            "option_series": stocks["series"],
            "next_expiry": stocks["expiry"],
            "days_to_expiry": [(expiry - trade_date).days for expiry in stocks["expiry"]],
        }
    ).sort_values("share_of_premiums_percent", ascending=False)


def put_call_market(lake: Lake, trade_date: date) -> pd.DataFrame:
    days = lake.over(lake.window(trade_date, 20)).groupby("trade_date")
    put, call, volume = days["put"].sum(), days["call"].sum(), days["volume"].sum()
    return pd.DataFrame(
        {
            "trade_date": volume.index,
            "missing_sessions": lake.missing_before(list(volume.index)),
            "currency": "BRL",
            "put_volume": brl(put),
            "call_volume": brl(call),
            "put_call_ratio": put / call,
            "option_series": days["series"].sum(),
            "stocks_with_options": days["series"].agg(lambda series: (series > 0).sum()),
            "share_of_volume_percent": percent(put + call, volume),
        }
    )[::-1]


def option_expiries(lake: Lake, trade_date: date, days_ahead: int) -> pd.DataFrame:
    stocks = lake.at(trade_date)
    stocks = stocks[stocks["series"] > 0].assign(premiums=stocks["call"] + stocks["put"])
    stocks["days"] = [(expiry - trade_date).days for expiry in stocks["expiry"]]
    stocks = stocks[stocks["days"] <= days_ahead].sort_values(["days", "premiums"], ascending=[True, False])
    return pd.DataFrame(
        {
            "trade_date": trade_date,
            "next_expiry": stocks["expiry"],
            "days_to_expiry": stocks["days"],
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "currency": "BRL",
            "option_series": stocks["series"],
            "call_volume": brl(stocks["call"]),
            "put_volume": brl(stocks["put"]),
            "close": stocks["close"],
        }
    )


def odd_lot_share(lake: Lake, trade_date: date, minimum_volume: float) -> pd.DataFrame:
    every = lake.at(trade_date)
    both = every["odd_lot"] + every["cash"]
    stocks = every[(both > 0) & (both >= 100 * minimum_volume)]
    return pd.DataFrame(
        {
            "trade_date": trade_date,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "currency": "BRL",
            "close": stocks["close"],
            "odd_lot_volume": brl(stocks["odd_lot"]),
            "cash_volume": brl(stocks["cash"]),
            "odd_lot_share_percent": percent(stocks["odd_lot"], both[stocks.index]),
            "market_odd_lot_share_percent": percent(every["odd_lot"].sum(), both.sum()),
        }
    ).sort_values("odd_lot_share_percent", ascending=False, kind="stable")[:50]


def index_contribution(lake: Lake, trade_date: date, index_code: str, prices: str) -> pd.DataFrame:
    members = lake.portfolio.set_index("ticker", drop=False)
    stocks = lake.with_previous_close(trade_date, prices).reindex(members.index)
    change = stocks["close"] / stocks["previous"] - 1
    contributions = members["weight"] * change
    before = lake.window(trade_date, 2)[1]
    moved = 100 * float(lake.levels[trade_date] / lake.levels[before] - 1)
    return (
        pd.DataFrame(
            {
                "trade_date": trade_date,
                "previous_session": before,
                "missing_sessions": 0,
                "index_code": index_code,
                "ticker": members["ticker"],
                "company": stocks["company"],
                "sector": members["sector"],
                "index_weight_percent": members["weight"],
                "change_percent": 100 * change,
                "contribution_points": contributions,
                "contributions_points": contributions.sum(),
                "index_change_percent": moved,
                "difference_points": contributions.sum() - moved,
                "portfolio_age_days": (trade_date - lake.portfolio_date).days,
            }
        )
        .sort_index()
        .sort_values("contribution_points", ascending=False, kind="stable")
    )


def index_moves(lake: Lake, trade_date: date) -> pd.DataFrame:
    level, before = (lake.levels[day] for day in lake.window(trade_date, 2))
    return pd.DataFrame(
        {
            "trade_date": [trade_date],
            "previous_session": lake.window(trade_date, 2)[1],
            "index_code": "IBOV",
            "level": level,
            "previous_level": before,
            "change_points": level - before,
            "change_percent": 100 * float(level / before - 1),
            "note": None,
        }
    )


def index_changes(lake: Lake, first_date: date, last_date: date, index_code: str) -> pd.DataFrame:
    """Of one portfolio nothing changes."""
    names = ["first_session", "last_session", "index_code", "change", "ticker", "isin", "sector"]
    names += ["weight_before_percent", "weight_after_percent", "members_before", "members_after"]
    return pd.DataFrame(columns=names)


def index_concentration(lake: Lake, trade_date: date) -> pd.DataFrame:
    weights = lake.portfolio.set_index("ticker")["weight"].sort_values(ascending=False)
    hhi = (weights**2).sum()
    return pd.DataFrame(
        {
            "trade_date": [trade_date],
            "index_code": "IBOV",
            "members": len(weights),
            "not_traded": len(set(weights.index) - set(lake.at(trade_date).index)),
            "largest": weights.index[0],
            **{f"top_{count}_percent": weights[:count].sum() for count in (1, 5, 10)},
            "herfindahl_hirschman_index": hhi,
            "effective_members": weights.sum() ** 2 / hhi,
            "portfolio_date": lake.portfolio_date,
            "portfolio_age_days": (trade_date - lake.portfolio_date).days,
        }
    )


def stock_against_index(
    lake: Lake, trade_date: date, index_code: str, prices: str, ticker: str
) -> pd.DataFrame:
    stock = lake.stocks[(lake.stocks["ticker"] == ticker) & lake.stocks["close"].notna()]
    stock = lake.in_terms(stock, prices).set_index("trade_date", drop=False)
    rows = []
    for span in (60, 250):
        days = lake.window(trade_date, span + 1)[::-1]
        own = stock.reindex(days)
        comparable = own["close"] * own["factor"]
        level = pd.Series([float(lake.levels[day]) for day in days], index=days)
        steps = (comparable / comparable.shift() - 1).where(own["base"] == own["base"].shift())
        steps, moves = steps.dropna(), (level / level.shift() - 1)
        there = own[own["trade_date"].notna()]
        first, last = there.index[0], there.index[-1]
        one_base = there["base"].notna().all() and there["base"].nunique() == 1
        grown = comparable[last] / comparable[first] if one_base else np.nan
        of_index = level[last] / level[first]
        enough = len(steps) * 2 >= span
        beside = moves[steps.index]
        beta = ((beside - beside.mean()) * (steps - steps.mean())).sum() / (
            (beside - beside.mean()) ** 2
        ).sum()
        rows.append(
            {
                "last_session": last,
                "first_session": first,
                "sessions": span,
                "ticker": ticker,
                "company": there["company"].iloc[-1],
                "index_code": index_code,
                "stock_return_percent": 100 * (grown - 1),
                "index_return_percent": 100 * (of_index - 1),
                "relative_return_percent": 100 * (grown / of_index - 1),
                "beta": beta if enough else None,
                "correlation": float(np.corrcoef(beside, steps)[0, 1]) if enough else None,
                "daily_returns": len(steps),
            }
        )
    return pd.DataFrame(rows)


def volume_concentration(lake: Lake, trade_date: date) -> pd.DataFrame:
    rows = []
    for day in lake.window(trade_date, 20):
        volume = lake.at(day)["volume"].sort_values(ascending=False)
        shares = percent(volume, volume.sum())
        top = {f"top_{count}_percent": shares[:count].sum() for count in (1, 5, 10, 20)}
        (missing,) = lake.missing_before([day])
        row = {"trade_date": day, "missing_sessions": missing, "currency": "BRL", "stocks": len(volume)}
        row |= {"volume": brl(volume.sum()), **top}
        rows.append({**row, "herfindahl_hirschman_index": (shares**2).sum()})
    return pd.DataFrame(rows)


def opening_gaps(
    lake: Lake, trade_date: date, prices: str, security_types: str, minimum_volume: float
) -> pd.DataFrame:
    stocks = of_kinds(lake.with_previous_close(trade_date, prices), security_types)
    stocks = stocks.dropna(subset=["previous", "open"])
    stocks = stocks[(stocks["open"] != stocks["previous"]) & (stocks["cash"] >= 100 * minimum_volume)]
    up = stocks["open"] > stocks["previous"]
    filled = np.where(up, stocks["low"] <= stocks["previous"], stocks["high"] >= stocks["previous"])
    return pd.DataFrame(
        {
            "trade_date": trade_date,
            "previous_session": stocks["previous_session"],
            "missing_sessions": 0,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "security_type": stocks["kind"],
            "currency": "BRL",
            "previous_close": stocks["previous"],
            "open": stocks["open"],
            "gap_percent": percent(stocks["open"] - stocks["previous"], stocks["previous"]),
            "filled": np.where(filled, "true", "false"),
            "close": stocks["close"],
            "cash_volume": brl(stocks["cash"]),
        }
    ).sort_values("gap_percent", key=abs, ascending=False)[:20]


def unusual_volume(lake: Lake, trade_date: date, security_types: str, minimum_volume: float) -> pd.DataFrame:
    days = lake.window(trade_date, 21)
    today = of_kinds(lake.at(days[0]), security_types)
    total, count = lake.over(days[1:]).groupby("ticker")["cash"].sum(), len(days) - 1
    stocks = today[(today["cash"] >= 100 * minimum_volume)].assign(total=total)
    stocks = stocks[stocks["total"] > 0]
    return pd.DataFrame(
        {
            "trade_date": days[0],
            "missing_sessions": 0,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "security_type": stocks["kind"],
            "currency": "BRL",
            "cash_volume": brl(stocks["cash"]),
            "average_cash_volume": brl_mean(stocks["total"], count),
            "times_the_average": stocks["cash"] / (stocks["total"] / count),
        }
    ).sort_values("times_the_average", ascending=False)[:20]


def stocks_without_trades(lake: Lake, trade_date: date) -> pd.DataFrame:
    days = lake.window(trade_date, 21)
    stocks = lake.over(days)
    before = stocks[stocks["trade_date"] != days[0]].groupby("ticker")
    candidates = before[["cash", "odd_lot"]].sum()
    candidates = candidates[candidates.sum(axis=1) > 0]
    today = lake.at(days[0])
    absent = candidates[~candidates.index.isin(today.index[today["cash"] > 0])]
    in_cash = stocks[stocks["cash"] > 0].groupby("ticker")["trade_date"]
    odd_lots = today["odd_lot"].reindex(absent.index).fillna(0)
    newest = stocks.sort_values("trade_date").groupby("ticker").last()
    return pd.DataFrame(
        {
            "trade_date": days[0],
            "missing_sessions": 0,
            "ticker": absent.index,
            "company": newest["company"].reindex(absent.index),
            "security_type": newest["kind"].reindex(absent.index),
            "currency": "BRL",
            "last_cash_trade": in_cash.max().reindex(absent.index),
            "sessions_with_cash_trades": in_cash.size().reindex(absent.index).fillna(0).astype(int),
            "cash_volume_before": brl(absent["cash"]),
            "odd_lot_volume": brl(odd_lots),
        }
    ).sort_values("cash_volume_before", ascending=False)


def _doubtful_trades(stocks: pd.DataFrame) -> pd.Series:
    """By session: how many counts 100,000 more, or several of them, would bring back to the usual."""
    trades, volume = stocks["trades"].astype(float), stocks["volume"] / 100
    usual = (volume / trades).groupby(stocks["ticker"]).transform("median")
    would_be = volume / usual
    more = ((would_be - trades) / 100_000).round() * 100_000
    doubtful = (would_be > 2.5 * trades) & (more > 0) & ((would_be / (trades + more) - 1).abs() <= 0.25)
    return doubtful.groupby(stocks["trade_date"]).sum()


def data_quality(lake: Lake, first_date: date, last_date: date) -> pd.DataFrame:
    """Of a lake that lacks nothing between its first and its last session."""
    quotes, stocks = lake.quotes.groupby("trade_date"), lake.stocks.groupby("trade_date")
    there = pd.DataFrame(
        {
            "finding": "complete",
            "stocks": stocks.size(),
            "raw_lines": quotes.size(),
            "lines": quotes.size(),
            "currency": "BRL",
            "raw_volume": quotes["cents"].sum(),
            "volume": stocks["volume"].sum(),
        }
    )
    weekdays = pd.bdate_range(first_date, last_date).date
    begin, end = lake.sessions[0], lake.sessions[-1]
    # Weekdays between its first and its last session that it lacks are holidays
    days = [day for day in weekdays if day in there.index or not begin <= day <= end]
    rows = there.reindex(days[::-1]).fillna({"finding": "missing", "currency": "BRL"}).fillna(0)
    counts = ["stocks", "raw_lines", "lines", "raw_volume", "volume"]
    rows[counts] = rows[counts].astype(int)
    for column in ("raw_volume", "volume"):
        rows[column] = brl(rows[column])
    rows["volume_difference"] = brl(0)
    asked = lake.stocks[lake.stocks["trade_date"].between(first_date, last_date)]
    rows["without_trades"] = 0
    rows["doubtful_trades"] = _doubtful_trades(asked).reindex(rows.index, fill_value=0)
    rows["revised_lines"] = 0
    beside = [_beside_index(lake, day, first_date) for day in rows.index]
    rows["index_difference_basis_points"] = [difference for difference, _ in beside]
    rows["index_difference_reason"] = [reason for _, reason in beside]
    return rows.rename_axis("trade_date").reset_index()


def _beside_index(lake: Lake, day: date, first_date: date) -> tuple[float | None, str | None]:
    """Contributions less the index's own change, in basis points, and, from 5 on, what explains it."""
    if day not in lake.sessions or day == lake.window(lake.sessions[-1], len(lake.sessions))[-1]:
        return None, None
    before = lake.window(day, 2)[1]
    stocks = lake.with_previous_close(day, "total_return").dropna(subset="weight")
    if before < first_date or stocks.empty:
        return None, None
    change = stocks["close"] / stocks["previous"] - 1
    moved = 100 * float(lake.levels[day] / lake.levels[before] - 1)
    difference = 100 * ((stocks["weight"] * change).sum() - moved)
    reasons = ""
    if day > lake.portfolio_date:
        reasons += f"portfolio {(day - lake.portfolio_date).days} days old; "
    if (weight := stocks["weight"].sum()) < 99.9995:
        reasons += f"{100 - weight:.3f}% of the weight not traded; "
    if (unknown := stocks["weight"][change.isna()].sum()) > 0.0005:
        reasons += f"{unknown:.3f}% of the weight without a proven close before; "
    return difference, (reasons or "nothing known explains it") if abs(difference) >= 5 else None


def in_order(rows: pd.DataFrame, *keys: str, newest: str, empty: str) -> pd.DataFrame:
    """Rows by a date, the newest first, and then by keys, of which those that are empty come last."""
    for key in reversed(keys):
        rows = rows.sort_values(key, ascending=key != "last_date_prior", kind="stable")
    return rows.sort_values(newest, ascending=False, kind="stable", na_position=empty)  # type: ignore[call-overload,no-any-return]


def ex_events(lake: Lake, trade_date: date, sessions_back: int) -> pd.DataFrame:
    days = lake.window(trade_date, len(lake.sessions))
    ago = {day: place for place, day in enumerate(days)}
    events = lake.events[lake.events["ex_date"].isin(days)]
    events = events.assign(sessions_ago=[ago[day] for day in events["ex_date"]])
    is_open = events["status"] == "unexplained"
    events = events[(events["sessions_ago"] == 0) | (is_open & (events["sessions_ago"] <= sessions_back))]
    events = in_order(
        events, "ticker", "kind", "label", "amount", "payment_date", newest="ex_date", empty="last"
    )
    overdue = (events["status"] == "unexplained") & (events["sessions_ago"] > 10)
    before = events["close_before"].astype(float)
    return pd.DataFrame(
        {
            "trade_date": days[0],
            "ex_date": events["ex_date"],
            "sessions_ago": events["sessions_ago"],
            "is_overdue": np.where(overdue, "true", "false"),
            **{
                name: events[name]
                for name in ("ticker", "isin", "kind", "label", "status", "ratio", "amount")
            },
            "close_before": before,
            "percent_of_close": percent(events["amount"].astype(float), before),
            **{name: events[name] for name in ("last_date_prior", "payment_date", "reason")},
        }
    )


def paper_events(lake: Lake, ticker: str) -> pd.DataFrame:
    newest = lake.at(lake.sessions[-1])
    both = pd.concat([frame.loc[frame["ticker"] == ticker, "isin"] for frame in (lake.events, newest)])
    events = lake.events[lake.events["isin"].isin(both)]
    keys = ("last_date_prior", "isin", "kind", "label", "amount", "payment_date")
    events = in_order(events, *keys, newest="ex_date", empty="first")
    names = ["ex_date", "ticker", "isin", "kind", "label", "status", "ratio", "amount", "close_before"]
    names += ["split_factor", "total_return_factor", "last_date_prior", "payment_date", "reason"]
    return events[names].astype({"close_before": float})


def total_return(
    lake: Lake, first_date: date, last_date: date, security_types: str, minimum_volume: float
) -> pd.DataFrame:
    first, last = lake.window(first_date, 1)[0], lake.window(last_date, 1)[0]
    stocks = of_kinds(lake.at(last), security_types)
    stocks = stocks[(stocks["close"] > 0) & (stocks["cash"] >= 100 * minimum_volume)].set_index("isin")
    begins = lake.at(first).set_index("isin")["close"].reindex(stocks.index)

    def held(day: date, name: str) -> pd.Series:
        there = (lake.factors["first_session"] <= day) & (lake.factors["last_session"] >= day)
        return lake.factors[there].set_index("isin")[name].reindex(stocks.index)

    def returned(base: str) -> pd.Series:
        factor = f"{base}_factor"
        change = 100 * (stocks["close"] * held(last, factor) / (begins * held(first, factor)) - 1)
        return change.where(held(last, base) == held(first, base))

    adjusted, total = returned("split_base"), returned("total_return_base")
    reason = held(first, "reason").fillna(held(last, "reason"))
    reason = reason.where(held(last, "total_return_base") != held(first, "total_return_base"))
    rows = pd.DataFrame(
        {
            "trade_date": last,
            "first_session": first,
            "ticker": stocks["ticker"],
            "company": stocks["company"],
            "security_type": stocks["kind"],
            "currency": "BRL",
            "first_close": begins,
            "close": stocks["close"],
            "price_return_percent": 100 * (stocks["close"] / begins - 1),
            "adjusted_return_percent": adjusted,
            "total_return_percent": total,
            "from_distributions_points": total - adjusted,
            "reason": reason.mask(begins.isna(), "no close of this ISIN in the first session"),
        }
    )
    return rows.sort_values(["total_return_percent", "ticker"], ascending=[False, True])


def dividend_yield(lake: Lake, trade_date: date, security_types: str, minimum_volume: float) -> pd.DataFrame:
    session = lake.window(trade_date, 1)[0]
    since = (pd.Timestamp(session) - pd.DateOffset(months=12)).date()
    stocks = of_kinds(lake.at(session), security_types)
    stocks = stocks[(stocks["close"] > 0) & (stocks["cash"] >= 100 * minimum_volume)]
    rows = []
    for isin, close in zip(stocks["isin"], stocks["close"], strict=True):
        spans = lake.factors[lake.factors["isin"] == isin].sort_values("first_session")
        then = spans[spans["first_session"] <= since].tail(1)
        then = spans.head(1) if then.empty else then
        now = spans[(spans["first_session"] <= session) & (spans["last_session"] >= session)]
        events = lake.events[(lake.events["isin"] == isin) & (lake.events["status"] == "proven")]
        events = events[events["kind"].isin(["dividend", "interest", "income", "other_cash"])]
        events = events[(events["ex_date"] > since) & (events["ex_date"] <= session)]
        paid = [
            float(amount) * spans.loc[spans["first_session"] < ex_date, "split_base_factor"].iloc[-1]
            for ex_date, amount in zip(events["ex_date"], events["amount"], strict=True)
        ]
        (why,) = then["reason"]
        if then["total_return_base"].item() == now["total_return_base"].item():
            why = "the lake begins later than these months" if lake.sessions[0] > since else None
        amount = sum(paid) / now["split_base_factor"].item() if why is None else None
        rows.append((close, len(paid), amount, why))
    found = pd.DataFrame(rows, columns=["close", "payments", "cash_per_share", "reason"], index=stocks.index)
    found = found.assign(ticker=stocks["ticker"], company=stocks["company"], security_type=stocks["kind"])
    found["cash_per_share"] = found["cash_per_share"].astype(float)
    found["dividend_yield_percent"] = percent(found["cash_per_share"], found["close"])
    found = found.assign(trade_date=session, since=since, currency="BRL")
    found = found.reset_index(drop=True)
    found = found.sort_values(["dividend_yield_percent", "ticker"], ascending=[False, True])
    before = ["trade_date", "since", "ticker", "company", "security_type", "currency", "close", "payments"]
    return found[[*before, "cash_per_share", "dividend_yield_percent", "reason"]]

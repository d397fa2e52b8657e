"""A trading session as one HTML page, for those who open no notebook.

The page holds everything that it shows: tables, and charts as SVG in light and dark, for wide screens and for
phones. It asks nobody for anything, and its figures come from five queries of the lake: the session's stocks
beside their previous closes, what went ex in it, the sessions up to it, the index's own closes beside those
of its most traded stock, and the raw quotes that all of it has to add up to. A change counts what went ex
since as reinvested, as B3's own does.
Nothing of the clock goes into it: the same lake, the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from analysis import charts, style
from analysis.athena import Lake, Window, source_line
from analysis.style import Format

FLOOR = Decimal(1_000_000)
"""What a stock has to trade in the cash market to be named as a gainer or loser."""
HISTORY = 60
"""Sessions in the charts through time."""
STOCKS = ("share", "unit")
"""Kinds of paper of which breadth, gainers and losers are."""
GAINERS, MOST_TRADED = 10, 15
"""Rows of the tables."""

RETURNS = "total_return"
"""Which prices changes are of; see `analysis.athena.Lake.priced`."""

_MARKETS = ("cash", "odd_lot", "forward", "call", "put", "other")
_HALF, _FULL = 6.4, 13.0  # inches of a chart that has half of a desktop's page, or all of it
_PHONE = style.NARROW
_MILLION = 1_000_000


@dataclass(frozen=True)
class Session:
    """What the lake says of a session.

    Attributes:
        window: The session and those before it that the charts through time show.
        stocks: A row a stock: `ticker`, `company`, `security_type`, `currency`; `open`, `close` and
            `previous_close`, that of the exchange's previous session less what went ex since, null where
            there is none, or an event in between is not proven; `trades`, null where they are not known;
            `volume` and that of each market;
            `next_expiry`, `days_to_expiry`, `option_series`; `index_weight` in percent, `sector`,
            `portfolio_date`; `lines`. The largest volume first.
        events: A row for each event that went ex: `ticker`, `kind`, `status` and `reason` as in the table of
            events; `ratio`, shares after for one before; `amount` per share, and `percent` of the close
            before. By ticker.
        history: A row a session: `trade_date`, `advances`, `declines`, `unchanged`, null where the lake lacks
            the session before; `call_volume`, `put_volume`; `currency`; `missing_before`.
        index: The index whose weights the stocks have.
        levels: A row a session of which the lake has the index's close: `trade_date`; `level`, in points, and
            `note`, why it is not to be held against the one before; `stock`, the close of `beside` with
            distributions reinvested, in terms of one session, null where it has none that can be compared.
        beside: The most traded of the index's stocks; empty if there is none.
        raw_lines: Quotes of the session in the raw table.
        raw_volume: Their volume.
        simulated: Whether the session is the sandbox's.
    """

    window: Window
    stocks: pd.DataFrame
    events: pd.DataFrame
    history: pd.DataFrame
    index: str
    levels: pd.DataFrame
    beside: str
    raw_lines: int
    raw_volume: Decimal
    simulated: bool

    @property
    def day(self) -> date:
        """The session."""
        return self.window.last

    @property
    def has_previous(self) -> bool:
        """Whether the lake has the exchange's session before it."""
        return self.window.missing_before[self.day] == 0

    @property
    def currency(self) -> str:
        """What its amounts are of."""
        return str(self.stocks["currency"].iloc[0])


def read(lake: Lake, day: date | None) -> Session:
    """Ask the lake for a session, the last one by default.

    Raises:
        LakeError: It cannot be asked, or does not have the session.
    """
    window = lake.window(HISTORY, day)
    stocks = lake.query(
        f"""
        WITH closes AS (
            SELECT ticker, close, factor, base
            FROM {lake.priced(RETURNS)} AS daily
            WHERE trade_date = :previous
                AND trade_date < :day
                AND cash_volume > 0
        )
        SELECT
            today.ticker, today.company, today.security_type, today.currency,
            today.open, today.close,
            CASE
                WHEN closes.base = today.base
                    THEN CAST(CAST(closes.close AS double) * (closes.factor / today.factor) AS decimal(18, 6))
            END AS previous_close,
            today.trades, today.volume,
            today.cash_volume, today.odd_lot_volume, today.forward_volume,
            today.call_volume, today.put_volume, today.other_volume,
            today.option_series, today.next_expiry, today.days_to_expiry,
            today.index_weight, today.sector, today.portfolio_date, today.lines
        FROM {lake.priced(RETURNS)} AS today
        LEFT JOIN closes ON closes.ticker = today.ticker
        WHERE today.trade_date = :day
        ORDER BY today.volume DESC, today.ticker
        """,  # noqa: S608 - our own names
        previous=window.previous if window.missing_before[window.last] == 0 else window.last,
        day=window.last,
    )
    events = lake.query(
        f"""
        SELECT
            ticker, kind, ratio, amount,
            100 * CAST(amount AS double) / nullif(CAST(close_before AS double), 0) AS percent,
            status, reason
        FROM {lake.events}
        WHERE ex_date = :day
        ORDER BY ticker, kind, label, amount, payment_date
        """,  # noqa: S608 - our own names
        day=window.last,
    )
    history = lake.query(
        f"""
        WITH days (day, place, missing) AS (
            VALUES {window.numbers}
        ),
        sessions AS (
            SELECT
                daily.trade_date,
                daily.currency,
                days.place,
                CAST(daily.close AS double) * daily.factor AS close,
                daily.base,
                daily.security_type IN ('share', 'unit') AS is_stock,
                lag(CAST(daily.close AS double) * daily.factor) OVER earlier AS previous_close,
                lag(daily.base) OVER earlier AS previous_base,
                lag(days.place) OVER earlier AS previous_place,
                daily.call_volume,
                daily.put_volume
            FROM {lake.priced(RETURNS)} AS daily
            JOIN days ON days.day = daily.trade_date
            WHERE daily.trade_date >= :before
                AND daily.trade_date <= :day
            WINDOW earlier AS (
                PARTITION BY daily.ticker, daily.cash_volume > 0 ORDER BY daily.trade_date
            )
        ),
        comparable AS (
            SELECT
                *,
                CASE
                    WHEN is_stock AND previous_place = place - 1 AND previous_base = base
                        THEN sign(round(close - previous_close, 6))
                END AS moved
            FROM sessions
        )
        SELECT
            trade_date,
            max(currency) AS currency,
            CASE WHEN count(moved) > 0 THEN count_if(moved = 1) END AS advances,
            CASE WHEN count(moved) > 0 THEN count_if(moved = -1) END AS declines,
            CASE WHEN count(moved) > 0 THEN count_if(moved = 0) END AS unchanged,
            sum(call_volume) AS call_volume,
            sum(put_volume) AS put_volume
        FROM comparable
        WHERE trade_date >= :first
        GROUP BY trade_date
        ORDER BY trade_date
        """,  # noqa: S608 - our own names
        before=window.before,
        first=window.first,
        day=window.last,
    )
    members = stocks[stocks["index_weight"].notna() & stocks["close"].notna()]
    beside = str(members["ticker"].iloc[0]) if len(members) else ""
    raw = lake.query(
        f"SELECT count(*) AS lines, sum(voltot) AS volume FROM {lake.quotes} WHERE trade_date = :day",  # noqa: S608
        day=window.last,
    ).iloc[0]
    return Session(
        window=window,
        stocks=stocks,
        events=events,
        history=window.marked(history),
        index=lake.index,
        levels=window.marked(_levels(lake, window, beside)),
        beside=beside,
        raw_lines=int(raw["lines"]),
        raw_volume=Decimal(0) if pd.isna(raw["volume"]) else raw["volume"],
        simulated=lake.is_simulated(window.last),
    )


def _levels(lake: Lake, window: Window, ticker: str) -> pd.DataFrame:
    """The index's closes of a window's sessions, and beside them a stock's, in terms of its last one."""
    return lake.query(
        f"""
        WITH stock AS (
            SELECT
                trade_date,
                CAST(close AS double) * factor AS comparable,
                base,
                last_value(base) OVER (
                    ORDER BY trade_date ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                ) AS last_base
            FROM {lake.priced(RETURNS)} AS daily
            WHERE trade_date >= :first
                AND trade_date <= :day
                AND ticker = :ticker
                AND close > 0
        )
        SELECT
            levels.trade_date,
            CAST(levels.level AS double) AS level,
            levels.note,
            CASE WHEN stock.base = stock.last_base THEN stock.comparable END AS stock
        FROM {lake.levels} AS levels
        LEFT JOIN stock ON stock.trade_date = levels.trade_date
        WHERE levels.index_code = :index
            AND levels.trade_date >= :first
            AND levels.trade_date <= :day
        ORDER BY levels.trade_date
        """,  # noqa: S608 - our own names
        first=window.before,
        day=window.last,
        ticker=ticker,
        index=lake.index,
    )


@dataclass(frozen=True)
class Picture:
    """A chart for every kind of reader: SVG as data URIs.

    Attributes:
        alt: What it shows, in words.
        uris: For ("phone" or "desktop", "light" or "dark").
        sizes: Width and height in pixels, for "phone" and "desktop".
        is_full: Whether it takes all of a desktop's page.
    """

    alt: str
    uris: dict[tuple[str, str], str]
    sizes: dict[str, tuple[int, int]]
    is_full: bool

    @classmethod
    def draw(cls, chart: Any, *, is_full: bool = False) -> Picture:
        """Draw a chart in each size and theme; `chart` takes both, by these names."""
        widths = {"phone": _PHONE, "desktop": _FULL if is_full else _HALF}
        drawn: dict[tuple[str, str], Figure] = {
            (screen, theme): chart(size=width, theme=theme)
            for screen, width in widths.items()
            for theme in style.THEMES
        }
        return cls(
            alt=style.alt_text(drawn["phone", "light"]),
            uris={kind: _data_uri(style.svg(figure)) for kind, figure in drawn.items()},
            sizes={screen: _pixels(drawn[screen, "light"]) for screen in widths},
            is_full=is_full,
        )


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _pixels(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches() * 72
    return round(width), round(height)


def changes(stocks: pd.DataFrame) -> pd.DataFrame:
    """The stocks of the cash market, with what their close is compared with and how it has changed.

    Returns:
        The rows with a close and a price to compare it with. Besides, `reference`, the previous close or the
        open where there is none; `against_open`, whether it is the open; `change_percent`, a float.
    """
    against_open = stocks["previous_close"].isna()
    traded = stocks.assign(
        against_open=against_open, reference=stocks["previous_close"].where(~against_open, stocks["open"])
    )
    has_change = traded["close"].notna() & traded["reference"].notna() & (traded["reference"] != 0)
    traded = traded[has_change].copy()
    traded["change_percent"] = [
        float(100 * (close - reference) / reference)
        for close, reference in zip(traded["close"], traded["reference"], strict=True)
    ]
    return traded


def summary(session: Session) -> dict[str, Any]:
    """The figures of a session: totals, breadth of shares and units, the index's members together.

    Returns:
        `volume`, `call_volume`, `put_volume`; `trades` of the rows that know them, and `without_trades`, how
        many do not; `stocks`, `lines`; `put_call`, null without calls; `advances`, `declines`, `unchanged`:
        of the shares and units with a close in the exchange's previous session, or, where the lake lacks
        that session, against the open; `members` of the index that have a change, `members_percent`, the
        mean of their changes by weight, null without members, and `portfolio_date`; `index_level`, the
        index's own close, and `index_percent`, its change since the exchange's previous session, each null
        where the lake lacks it.
    """
    stocks, traded = session.stocks, changes(session.stocks)
    compared = traded[~traded["against_open"]] if session.has_previous else traded
    compared = compared[compared["security_type"].isin(STOCKS)]
    members = traded[traded["index_weight"].notna()]
    weight = sum(members["index_weight"], Decimal(0))
    moved = sum(
        float(each) * change
        for each, change in zip(members["index_weight"], members["change_percent"], strict=True)
    )
    calls, puts = (sum(stocks[name], Decimal(0)) for name in ("call_volume", "put_volume"))
    return {
        "volume": sum(stocks["volume"], Decimal(0)),
        "trades": int(stocks["trades"].sum()),
        "without_trades": int(stocks["trades"].isna().sum()),
        "stocks": len(stocks),
        "lines": int(stocks["lines"].sum()),
        "call_volume": calls,
        "put_volume": puts,
        "put_call": puts / calls if calls else None,
        "advances": int((compared["close"] > compared["reference"]).sum()),
        "declines": int((compared["close"] < compared["reference"]).sum()),
        "unchanged": int((compared["close"] == compared["reference"]).sum()),
        "members": len(members),
        "members_percent": moved / float(weight) if weight else None,
        "portfolio_date": members["portfolio_date"].iloc[0] if len(members) else None,
        **_own_change(session),
    }


def _own_change(session: Session) -> dict[str, float | None]:
    """The index's close of a session, and its change since the exchange's session before."""
    levels = {row["trade_date"]: row for row in _records(session.levels)}
    if session.day not in levels:
        return {"index_level": None, "index_percent": None}
    today = levels[session.day]
    before = levels.get(session.window.previous) if style.is_missing(today["note"]) else None
    level = float(today["level"])
    return {
        "index_level": level,
        "index_percent": None if before is None else 100 * (level / float(before["level"]) - 1),
    }


def page(session: Session, language: str) -> str:
    """The session as HTML, in "en" or "pt"."""
    form = Format(language, session.currency)
    words = {
        name: form.named(text).replace("{index}", session.index) for name, text in _WORDS[language].items()
    }
    traded, totals = changes(session.stocks), summary(session)
    liquid = traded[traded["security_type"].isin(STOCKS) & (traded["cash_volume"] >= FLOOR)]
    ranked = liquid.sort_values(["change_percent", "ticker"], ascending=[False, True], kind="stable")
    gainers = ranked[ranked["change_percent"] > 0].head(GAINERS)
    losers = ranked[ranked["change_percent"] < 0].tail(GAINERS).iloc[::-1]
    percents = dict(zip(traded["ticker"], traded["change_percent"], strict=True))
    markets = {market: sum(session.stocks[f"{market}_volume"], Decimal(0)) for market in _MARKETS}
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html.j2")
    return template.render(
        language={"en": "en", "pt": "pt-BR"}[language],
        words=words,
        form=form,
        session=session,
        title=words["title"].format(day=_long_day(session.day, language)),
        source=source_line(language, session.day, session.day, simulated=session.simulated),
        totals=totals,
        portfolio=totals["portfolio_date"] and form.day(totals["portfolio_date"]),
        previous=form.day(session.window.previous) if session.window.previous else "",
        missing=form.number(session.window.missing_before[session.day]),
        floor=form.money(FLOOR, 1),
        million=_MILLION,
        tables={"gainers": _records(gainers), "losers": _records(losers)},
        most_traded=_records(session.stocks.head(MOST_TRADED)),
        events=_records(session.events.astype(object).where(session.events.notna(), None)),
        percents=percents,
        markets=sorted(markets.items(), key=lambda item: -item[1]),
        pictures=_pictures(session, traded, language),
        agrees=(totals["lines"], totals["volume"]) == (session.raw_lines, session.raw_volume),
        css=_colours(),
    )


def _pictures(session: Session, traded: pd.DataFrame, language: str) -> dict[str, Picture]:
    """The charts that there are data for, by name."""
    source = partial(source_line, language, simulated=session.simulated)
    of_session = {"language": language, "source": source(session.day, session.day)}
    of_window = {"language": language, "source": source(session.window.first, session.day)}
    stocks = session.stocks
    expiring = stocks[stocks["next_expiry"].notna()].assign(
        stocks=1, volume=stocks["call_volume"] + stocks["put_volume"]
    )
    by_expiry = {
        "currency": "first",
        "stocks": "sum",
        "option_series": "sum",
        "volume": "sum",
        "days_to_expiry": "min",
    }
    expiries = expiring.groupby("next_expiry", as_index=False).agg(by_expiry)
    members = traded[traded["index_weight"].notna()]
    history = session.history
    frames: dict[str, tuple[Any, pd.DataFrame, Mapping[str, str]]] = {
        "treemap": (partial(charts.index_treemap, index=session.index), members, of_session),
        "against_index": (
            partial(charts.stock_against_index, ticker=session.beside, index=session.index),
            session.levels,
            of_window,
        ),
        "sectors": (charts.turnover_by_sector, stocks, of_session),
        "expiries": (charts.option_expiries, expiries, of_session),
    }
    if len(history) > 1:
        breadth = history[history["trade_date"] > session.window.before]
        frames["breadth"] = (charts.market_breadth, breadth, of_window)
        frames["put_call"] = (charts.put_call_ratio, history, of_window)
    return {
        name: Picture.draw(partial(chart, frame, **look), is_full=name in ("treemap", "against_index"))
        for name, (chart, frame, look) in frames.items()
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _colours() -> dict[str, dict[str, str]]:
    """The page's colours are the charts'."""
    names = ("page", "ink", "muted", "rule", "grid", "up", "down", "neutral")
    return {theme: {name: getattr(look, name) for name in names} for theme, look in style.THEMES.items()}


def _long_day(day: date, language: str) -> str:
    weekday, month = _WEEKDAYS[language][day.weekday()], _MONTHS[language][day.month - 1]
    if language == "pt":
        return f"{weekday}, {day.day} de {month} de {day.year}"
    return f"{weekday}, {day.day} {month} {day.year}"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        part = Path(file.name)
        try:
            file.write(text)
            file.flush()
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "pt": (
        *("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
        *("sábado", "domingo"),
    ),
}
_MONTHS = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "pt": (
        *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
        *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
    ),
}
_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Trading session of {day}",
        "simulated": "Simulated data: no company, price or volume on this page is anybody's.",
        "summary": "The session in figures",
        "volume": "Volume",
        "all_markets": "all markets",
        "trades": "Trades",
        "stocks": "Stocks traded",
        "members": "Members of the {index}",
        "by_weight": "mean change by weight",
        "breadth": "Breadth",
        "put_call": "Put/call",
        "rising": "rising",
        "falling": "falling",
        "unchanged": "unchanged",
        "no_portfolio": "no portfolio in the lake",
        "points": "{level} points, by B3",
        "no_level": "no close of the index in the lake",
        "puts_over_calls": "premiums of puts over calls",
        "movers": "Gainers and losers",
        "gainers": "Gainers",
        "losers": "Losers",
        "floor": "Shares and units that traded at least {floor} in the cash market.",
        "none": "None",
        "stock": "Stock",
        "close": "Close, [money]",
        "change": "Change",
        "volume_mn": "Volume, [money] mn",
        "share": "Share",
        "against_open": "against the open: no previous close, or not one that is proven to compare",
        "ex": "Ex today",
        "event": "Event",
        "per_share": "Per share",
        "of_close": "Of the close",
        "standing": "Held against the quotes",
        "no_events": "Nothing went ex in this session, or B3 has not told yet.",
        "dividend": "dividend",
        "interest": "interest on equity",
        "income": "income",
        "other_cash": "cash",
        "split": "split",
        "reverse_split": "reverse split",
        "bonus": "bonus",
        "subscription": "subscription right",
        "spin_off": "spin-off",
        "other_event": "other",
        "nominal_update": "nominal update",
        "unknown": "not stated by B3",
        "for_one": "{ratio} for 1",
        "proven": "proven",
        "unsized": "without a size",
        "unexplained": "not explained",
        "unconfirmed": "not confirmed",
        "contradicted": "contradicted by the price",
        "index": "The index",
        "money": "Where the money went",
        "most_traded": "Most traded",
        "by_market": "Volume by market",
        "market": "Market",
        "cash": "Cash",
        "odd_lot": "Odd lot",
        "forward": "Forward",
        "call": "Calls, premiums",
        "put": "Puts, premiums",
        "other": "Other: exercises, auctions",
        "options": "Markets and options",
        "time": "Through time",
        "no_time": "Breadth and put/call through time appear as soon as the lake has two sessions.",
        "notes": "How to read the figures",
        "change_previous": (
            "Changes are against the close of the exchange's previous session, {day}. Breadth, gainers and "
            "losers are of shares and units."
        ),
        "change_open": (
            "The lake has no session before this one: changes and breadth are against the open, not "
            "against a previous close."
        ),
        "change_missing": (
            "The lake lacks the exchange's previous session, {day}, and {missing} in all up to its own one "
            "before: changes and breadth are against the open, not against a previous close."
        ),
        "missing": "The lake lacks {missing} sessions between the first of these charts and this one.",
        "without_trades": "{rows} rows without a known number of trades are not in it",
        "members_note": (
            "Members of the {index}: the mean of the changes of {members} of them, each by its weight in the "
            "portfolio of {portfolio}. The index's own change is by the closes that B3 publishes; where the "
            "two differ, the portfolio is of another day, members did not trade, or an event is not proven."
        ),
        "adjusted": (
            "Prices are those of the cash market, as traded; changes count what went ex since the previous "
            "session as reinvested, gross. Where an event is not proven, a change is against the open."
        ),
        "volume_note": (
            "A stock's volume is that of all its markets: options, forwards and odd lots count to the stock "
            "that they are on. Sectors are B3's, as in the portfolio of the {index}."
        ),
        "quality": "Data",
        "agrees": (
            "{lines} quotes of the raw file, {volume} [currency]: the rows of this page add up to the same, "
            "to the last line and cent."
        ),
        "differs": (
            "The rows of this page add up to {lines} quotes and {volume} [currency], the raw file to "
            "{raw_lines} and {raw_volume} [currency]. Refine the session again before you use these figures."
        ),
    },
    "pt": {
        "title": "Pregão de {day}",
        "simulated": "Dados simulados: nenhuma empresa, preço ou volume desta página é real.",
        "summary": "O pregão em números",
        "volume": "Volume",
        "all_markets": "todos os mercados",
        "trades": "Negócios",
        "stocks": "Papéis negociados",
        "members": "Ações do {index}",
        "by_weight": "variação média pelo peso",
        "breadth": "Amplitude",
        "put_call": "Put/call",
        "rising": "em alta",
        "falling": "em baixa",
        "unchanged": "estáveis",
        "no_portfolio": "sem carteira no lake",
        "points": "{level} pontos, pela B3",
        "no_level": "sem fechamento do índice no lake",
        "puts_over_calls": "prêmios de puts sobre os de calls",
        "movers": "Altas e baixas",
        "gainers": "Maiores altas",
        "losers": "Maiores baixas",
        "floor": "Ações e units que negociaram ao menos {floor} no mercado à vista.",
        "none": "Nenhum",
        "stock": "Papel",
        "close": "Fecham., [money]",
        "change": "Variação",
        "volume_mn": "Volume, [money] mi",
        "share": "Parte",
        "against_open": "contra a abertura: sem fechamento anterior, ou sem prova de que se compare",
        "ex": "Ex hoje",
        "event": "Evento",
        "per_share": "Por ação",
        "of_close": "Do fechamento",
        "standing": "Diante das cotações",
        "no_events": "Nada ficou ex neste pregão, ou a B3 ainda não informou.",
        "dividend": "dividendo",
        "interest": "juros sobre capital próprio",
        "income": "rendimento",
        "other_cash": "dinheiro",
        "split": "desdobramento",
        "reverse_split": "grupamento",
        "bonus": "bonificação",
        "subscription": "direito de subscrição",
        "spin_off": "cisão",
        "other_event": "outro",
        "nominal_update": "atualização",
        "unknown": "não informado pela B3",
        "for_one": "{ratio} por 1",
        "proven": "provado",
        "unsized": "sem tamanho",
        "unexplained": "sem explicação",
        "unconfirmed": "não confirmado",
        "contradicted": "contrariado pelo preço",
        "index": "O índice",
        "money": "Para onde foi o dinheiro",
        "most_traded": "Mais negociados",
        "by_market": "Volume por mercado",
        "market": "Mercado",
        "cash": "À vista",
        "odd_lot": "Fracionário",
        "forward": "Termo",
        "call": "Calls, prêmios",
        "put": "Puts, prêmios",
        "other": "Outros: exercícios, leilões",
        "options": "Mercados e opções",
        "time": "Ao longo do tempo",
        "no_time": "Amplitude e put/call ao longo do tempo aparecem assim que o lake tiver dois pregões.",
        "notes": "Como ler os números",
        "change_previous": (
            "As variações são contra o fechamento do pregão anterior da bolsa, {day}. Amplitude, altas e "
            "baixas são de ações e units."
        ),
        "change_missing": (
            "Falta no lake o pregão anterior da bolsa, {day}, e {missing} ao todo até o anterior que ele "
            "tem: as variações e a amplitude são contra a abertura, não contra um fechamento anterior."
        ),
        "missing": "Faltam no lake {missing} pregões entre o primeiro destes gráficos e este.",
        "without_trades": "sem {rows} linhas cujo número de negócios não se conhece",
        "change_open": (
            "O lake não tem pregão antes deste: as variações e a amplitude são contra a abertura, não contra "
            "um fechamento anterior."
        ),
        "members_note": (
            "Ações do {index}: a média das variações de {members} delas, cada uma com seu peso na carteira "
            "de {portfolio}. A variação do próprio índice é a dos fechamentos que a B3 publica; onde as duas "
            "diferem, a carteira é de outro dia, ações não foram negociadas ou um evento não está provado."
        ),
        "adjusted": (
            "Os preços são os do mercado à vista, como negociados; as variações contam o que ficou ex desde "
            "o pregão anterior como reinvestido, bruto. Onde um evento não está provado, a variação é contra "
            "a abertura."
        ),
        "volume_note": (
            "O volume de um papel soma todos os seus mercados: opções, termo e fracionário contam para o "
            "papel a que se referem. Os setores são os da B3, da carteira do {index}."
        ),
        "quality": "Dados",
        "agrees": (
            "{lines} cotações do arquivo bruto, {volume} [currency]: as linhas desta página somam o mesmo, "
            "até a última linha e o último centavo."
        ),
        "differs": (
            "As linhas desta página somam {lines} cotações e {volume} [currency]; o arquivo bruto, "
            "{raw_lines} e {raw_volume} [currency]. Refine o pregão de novo antes de usar estes números."
        ),
    },
}

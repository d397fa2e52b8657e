"""Writes B3's formats: the COTAHIST quote file, and the answers of its calls.

Written from the layouts alone, independently of the code that reads them, so that an error of the reader
cannot hide in its own mirror image.  Values that do not fit their field are refused, never truncated or
rounded.  Nothing of the clock goes in: the same input gives the same bytes.
"""

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation
from io import BytesIO
from typing import Any, Literal

RECORD_LENGTH = 245
HUNDRED_PERCENT = Decimal("100.000")

QUOTES_COUNTED_FROM = date(2025, 5, 1)
"""The first session whose trailer counts the quotes alone, and not header and trailer too.

Whole daily files up to 2025-04 count all records; the daily files of September 2026 count the quotes. When
it changed between is not known, so that the day after the last file of the former kind is taken.
"""

QUOTES_COUNTED_FROM_YEAR = 2025
"""The first annual file of the latter kind: those of 2025 and 2026 were reported to be."""

_EXACT = Context(prec=30, traps=[Inexact, InvalidOperation])
_NO_EXPIRY = "99991231"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One COTAHIST line: a ticker's session in one market and for one term. The defaults are a cash line.

    The fields are B3's own, in lower case and in file order. TIPREG and DATA are the file's, not the quote's.
    Prices are BRL for `fatcot` units of the asset; 0 as a bid or ask means that there was none.

    Attributes:
        codbdi: Bulletin code, "02" for round lots.
        codneg: Ticker.
        tpmerc: Market, three digits: "010" cash, "020" odd lot, "030" forward, "070" calls, "080" puts.
        nomres: Short company name.
        especi: Share class, rights and listing segment, at their own columns ("ON  EDJ NM").
        prazot: Forward term in days, "" for cash, "000" for options.
        modref: Currency label.
        preabe: Open.
        premax: High.
        premin: Low.
        premed: Average.
        preult: Last.
        preofc: Best bid.
        preofv: Best ask.
        totneg: Number of trades.
        quatot: Quantity traded.
        voltot: Financial volume, BRL.
        preexe: Strike, BRL.
        indopc: Correction index, one digit.
        datven: Expiry; None is written as 99991231.
        fatcot: Number of units that a price is for.
        ptoexe: Strike in points.
        codisi: ISIN of the asset (of the underlying, for options, forwards and odd lots), or the internal
            code of the time before ISINs.
        dismes: Distribution number.
    """

    codbdi: str = "02"
    codneg: str = "ZZAA3"
    tpmerc: str = "010"
    nomres: str = "SIMULADA"
    especi: str = "ON      NM"
    prazot: str = ""
    modref: str = "R$"
    preabe: Decimal = Decimal("10.00")
    premax: Decimal = Decimal("10.50")
    premin: Decimal = Decimal("9.80")
    premed: Decimal = Decimal("10.10")
    preult: Decimal = Decimal("10.20")
    preofc: Decimal = Decimal("10.19")
    preofv: Decimal = Decimal("10.21")
    totneg: int = 50
    quatot: int = 1000
    voltot: Decimal = Decimal("10100.00")
    preexe: Decimal = Decimal("0.00")
    indopc: str = "0"
    datven: date | None = None
    fatcot: int = 1
    ptoexe: Decimal = Decimal("0.000000")
    codisi: str = "BRZZAAACNOR0"
    dismes: int = 100


def _text(width: int) -> Callable[[str], str]:
    fits = re.compile(rf"[ -~¡-ÿ]{{0,{width}}}").fullmatch

    def write(value: str) -> str:
        if not fits(value):
            raise ValueError(f"at most {width} printable Latin-1 characters")
        return value.ljust(width)

    return write


def _digits(width: int) -> Callable[[str], str]:
    fits = re.compile(rf"[0-9]{{{width}}}").fullmatch

    def write(value: str) -> str:
        if not fits(value):
            raise ValueError(f"{width} digits")
        return value

    return write


def _integer(width: int) -> Callable[[int], str]:
    limit = 10**width

    def write(value: int) -> str:
        if not 0 <= value < limit:
            raise ValueError(f"a whole number of at most {width} digits")
        return f"{value:0{width}d}"

    return write


def _implied(decimals: int) -> Callable[[int], Callable[[Decimal], str]]:
    unit = Decimal(10**decimals)

    def field(width: int) -> Callable[[Decimal], str]:
        limit = 10**width

        def write(value: Decimal) -> str:
            try:
                units = _EXACT.multiply(value, unit)
                number = int(units)
            except (Inexact, InvalidOperation, ValueError, OverflowError):
                number = -1
            if not 0 <= number < limit or number != units:
                raise ValueError(f"0 or more, with at most {width - decimals} digits and {decimals} decimals")
            return f"{number:0{width}d}"

        return write

    return field


def _expiry(width: int) -> Callable[[date | None], str]:  # noqa: ARG001  every kind is made from its width
    def write(value: date | None) -> str:
        return _NO_EXPIRY if value is None else f"{value:%Y%m%d}"

    return write


Kind = Literal["text", "digits", "integer", "money", "points", "expiry"]

LAYOUT: tuple[tuple[str, int, int, Kind], ...] = (
    ("codbdi", 11, 12, "text"),
    ("codneg", 13, 24, "text"),
    ("tpmerc", 25, 27, "digits"),
    ("nomres", 28, 39, "text"),
    ("especi", 40, 49, "text"),
    ("prazot", 50, 52, "text"),
    ("modref", 53, 56, "text"),
    ("preabe", 57, 69, "money"),
    ("premax", 70, 82, "money"),
    ("premin", 83, 95, "money"),
    ("premed", 96, 108, "money"),
    ("preult", 109, 121, "money"),
    ("preofc", 122, 134, "money"),
    ("preofv", 135, 147, "money"),
    ("totneg", 148, 152, "integer"),
    ("quatot", 153, 170, "integer"),
    ("voltot", 171, 188, "money"),
    ("preexe", 189, 201, "money"),
    ("indopc", 202, 202, "digits"),
    ("datven", 203, 210, "expiry"),
    ("fatcot", 211, 217, "integer"),
    ("ptoexe", 218, 230, "points"),
    ("codisi", 231, 242, "text"),
    ("dismes", 243, 245, "integer"),
)
"""Field, first and last position (1-based, inclusive) and kind, as in the layout of B3.

"money" has two implied decimals, "points" six, "digits" is a code that stays text.
"""

_KINDS: dict[Kind, Callable[[int], Callable[[Any], str]]] = {
    "text": _text,
    "digits": _digits,
    "integer": _integer,
    "money": _implied(2),
    "points": _implied(6),
    "expiry": _expiry,
}
_WRITERS = tuple((name, first, last, _KINDS[kind](last - first + 1)) for name, first, last, kind in LAYOUT)


def encode_quote(quote: Quote, trade_date: date) -> bytes:
    """Write one quote record.

    Returns:
        245 bytes of ISO-8859-1, without a line end.

    Raises:
        ValueError: a value does not fit its field; the message names ticker, field, value and what would fit.
    """
    parts = [f"01{trade_date:%Y%m%d}"]
    for name, first, last, write in _WRITERS:
        value = getattr(quote, name)
        try:
            parts.append(write(value))
        except ValueError as error:
            raise ValueError(
                f"quote {quote.codneg!r} of {trade_date}: {name.upper()} ({first}-{last}) is {value!r}; "
                f"expected {error}"
            ) from error
    return "".join(parts).encode("latin-1")


def encode_session(
    trade_date: date,
    quotes: Iterable[Quote],
    *,
    line_end: bytes = b"\r\n",
    final_line_end: bool = True,
    generated: date | None = None,
    quotes_counted: bool | None = None,
) -> bytes:
    r"""Write a session's COTAHIST text: header, a record for each quote in the given order, trailer.

    Args:
        trade_date: The session.
        quotes: Its lines.
        line_end: B3 writes CRLF; copies that passed through git or an editor have b"\n".
        final_line_end: Whether the last record is ended as well, as B3's are.
        generated: Generation date in header and trailer, the session by default. B3's older files were
            generated years after their session.
        quotes_counted: Whether the trailer counts the quotes alone; by default as in the session's time.

    Raises:
        ValueError: as for `encode_quote`.
    """
    records = [encode_quote(quote, trade_date) for quote in quotes]
    name = f"COTAHIST.{trade_date:%Y}BOVESPA {generated or trade_date:%Y%m%d}"
    if quotes_counted is None:
        quotes_counted = trade_date >= QUOTES_COUNTED_FROM
    count = len(records) if quotes_counted else len(records) + 2
    header = f"00{name}".ljust(RECORD_LENGTH).encode("ascii")
    trailer = f"99{name}{count:011d}".ljust(RECORD_LENGTH).encode("ascii")
    return line_end.join([header, *records, trailer]) + (line_end if final_line_end else b"")


def daily_zip_name(trade_date: date) -> str:
    """Name of a session's ZIP in B3's addresses: COTAHIST_D08112024.ZIP."""
    return f"COTAHIST_D{trade_date:%d%m%Y}.ZIP"


def daily_member_name(trade_date: date) -> str:
    """Name of the only member of a session's ZIP today: COTAHIST_D08112024.TXT."""
    return f"COTAHIST_D{trade_date:%d%m%Y}.TXT"


def zip_file(text: bytes, member: str) -> bytes:
    """Pack a COTAHIST text as B3 does: one deflated member, and the same bytes for the same input.

    Args:
        text: The member's content.
        member: Its name, which varies by era: COTAHIST_D08112024.TXT, COTAHIST_A2001, COTAHIST.A1986.
    """
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zip_info(member), text)
    return packed.getvalue()


def zip_info(member: str, level: int | None = None) -> zipfile.ZipInfo:
    """A ZIP's entry with nothing of the clock and of the machine in it, deflated at a level."""
    info = zipfile.ZipInfo(member)  # dated 1980-01-01
    info.create_system = 0
    info.compress_type = zipfile.ZIP_DEFLATED
    info._compresslevel = level  # type: ignore[attr-defined]  # as ZipFile sets it
    return info


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioRow:
    """One stock of an index portfolio.

    Attributes:
        ticker: `cod`.
        asset: Short company name.
        share_class: `type`, in the form of COTAHIST's ESPECI.
        weight: `part`, percent with three decimals.
        theoretical_quantity: `theoricalQty`, shares.
        sector: `segment`, B3's name of the sector.
    """

    ticker: str
    asset: str
    share_class: str
    weight: Decimal
    theoretical_quantity: int
    sector: str


def encode_portfolio(
    portfolio_date: date,
    rows: Iterable[PortfolioRow],
    *,
    segment: str = "2",
    page_size: int = 120,
    reductor: Decimal | None = Decimal("1000000.00000000"),
) -> list[dict[str, Any]]:
    """Write GetPortfolioDay's answers in Portuguese: one JSON object a page.

    As in B3's, every value is text in Brazilian format or null, except the page's numbers.

    Args:
        portfolio_date: `header.date`: the session whose opening weights these are.
        rows: The portfolio.
        segment: "1" lists by ticker, "2" by sector, with `segment` and `partAcum` filled,
            which is the weight of the whole sector.
        page_size: Rows a page.
        reductor: The index's divisor, eight decimals; None is written as null.

    Raises:
        ValueError: the weights do not add up to 100.000, a weight has more than three decimals, or the
            segment is neither "1" nor "2".
    """
    if segment not in ("1", "2"):
        raise ValueError(f'segment is {segment!r}; expected "1" (by ticker) or "2" (by sector)')
    by_sector = segment == "2"
    ordered = sorted(rows, key=lambda row: (row.sector if by_sector else "", row.ticker))
    total = sum((row.weight for row in ordered), Decimal(0))
    if total != HUNDRED_PERCENT:
        raise ValueError(f"the weights of portfolio {portfolio_date} add up to {total}; expected 100.000")

    header = {
        "date": f"{portfolio_date:%d/%m/%y}",
        "text": "Quantidade Teórica Total",
        "part": _brazilian(total, 3),
        "partAcum": None,
        "textReductor": "Redutor",
        "reductor": None if reductor is None else _brazilian(reductor, 8),
        "theoricalQty": _brazilian(Decimal(sum(row.theoretical_quantity for row in ordered)), 0),
    }
    results = [_portfolio_result(row, ordered if by_sector else None) for row in ordered]
    pages = [results[start : start + page_size] for start in range(0, len(results), page_size)]
    return [
        {
            "page": {
                "pageNumber": number,
                "pageSize": page_size,
                "totalRecords": len(results),
                "totalPages": len(pages),
            },
            "header": header,
            "results": page,
        }
        for number, page in enumerate(pages, start=1)
    ]


def encode_levels(levels: Mapping[date, Decimal]) -> dict[str, Any]:
    """Write the answer with an index's levels of a year in Portuguese: a grid of days and months.

    As in B3's, the lowest and the highest level of each month stand beside it, as those of day 0.

    Args:
        levels: By session, all of one year, with at most two decimals.

    Raises:
        ValueError: they are of several years, or a level has more decimals.
    """
    if len({day.year for day in levels}) > 1:
        raise ValueError("the levels are of several years, and an answer has one")
    of_months = [
        {day.day: level for day, level in levels.items() if day.month == month} for month in range(1, 13)
    ]
    return {
        "min": _levels_of(0, [min(of_month.values(), default=None) for of_month in of_months]),
        "max": _levels_of(0, [max(of_month.values(), default=None) for of_month in of_months]),
        "results": [_levels_of(day, [of_month.get(day) for of_month in of_months]) for day in range(1, 32)],
    }


def _levels_of(day: int, levels: Sequence[Decimal | None]) -> dict[str, int | str | None]:
    """A row of the grid, with a cell a month."""
    cells = {
        f"rateValue{month}": None if level is None else _brazilian(level, 2)
        for month, level in enumerate(levels, start=1)
    }
    return {"day": day, **cells}


def _portfolio_result(
    row: PortfolioRow, sector_peers: Sequence[PortfolioRow] | None
) -> dict[str, str | None]:
    sector_weight = None
    if sector_peers is not None:
        sector_weight = sum((peer.weight for peer in sector_peers if peer.sector == row.sector), Decimal(0))
    return {
        "segment": None if sector_weight is None else row.sector,
        "cod": row.ticker,
        "asset": row.asset,
        "type": row.share_class,
        "part": _brazilian(row.weight, 3),
        "partAcum": None if sector_weight is None else _brazilian(sector_weight, 3),
        "theoricalQty": _brazilian(Decimal(row.theoretical_quantity), 0),
    }


def _brazilian(value: Decimal, decimals: int) -> str:
    try:
        exact = _EXACT.quantize(value, Decimal(1).scaleb(-decimals))
    except (Inexact, InvalidOperation) as error:
        raise ValueError(f"{value} is not a number with at most {decimals} decimals") from error
    return f"{exact:,f}".translate(str.maketrans(",.", ".,"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CashDividend:
    """A cash distribution as the supplement of an issuer lists it (`cashDividends`).

    Attributes:
        isin: `isinCode`, of the paper that pays.
        label: DIVIDENDO, JRS CAP PROPRIO, RENDIMENTO, ...
        rate: BRL a share, gross, at most eleven decimals.
        last_date_prior: The last session with the right; None is written as 31/12/9999.
        approved_on: None is written as 31/12/9999.
        payment_date: The same.
        asset_issued: ISIN; "" is written as `isin`.
        related_to: The period that is paid for, such as 1º Trimestre/2026.
        remarks: Mostly blank.
    """

    isin: str
    label: str
    rate: Decimal
    last_date_prior: date | None
    approved_on: date | None
    payment_date: date | None = None
    asset_issued: str = ""
    related_to: str = ""
    remarks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockDividend:
    """A split, grouping, bonus or reorganization as the supplement lists it (`stockDividends`).

    Attributes:
        isin: `isinCode`, of the paper whose holders have the right.
        label: DESDOBRAMENTO, GRUPAMENTO, BONIFICACAO, CIS RED CAP, ...
        factor: New shares for each 100 before; of a GRUPAMENTO the ratio itself. At most eleven decimals.
        last_date_prior: The last session with the right; None is written as 31/12/9999.
        approved_on: The same.
        asset_issued: ISIN of what is given; "" is written as `isin`.
        remarks: Mostly blank.
    """

    isin: str
    label: str
    factor: Decimal
    last_date_prior: date | None
    approved_on: date | None
    asset_issued: str = ""
    remarks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription right as the supplement lists it (`subscriptions`).

    Attributes:
        isin: `isinCode`, of the paper whose holders have the right.
        percentage: New shares for each 100 before, at most eleven decimals.
        price_unit: BRL a new share, at most eleven decimals.
        last_date_prior: The last session with the right; None is written as 31/12/9999.
        approved_on: The same.
        subscription_date: The same.
        trading_from: First day on which the right itself is traded; None as above, as B3 often has it.
        trading_until: The last one.
        label: SUBSCRICAO.
        asset_issued: ISIN of what is offered; "" is written as `isin`.
        remarks: Mostly blank.
    """

    isin: str
    percentage: Decimal
    price_unit: Decimal
    last_date_prior: date | None
    approved_on: date | None
    subscription_date: date | None = None
    trading_from: date | None = None
    trading_until: date | None = None
    label: str = "SUBSCRICAO"
    asset_issued: str = ""
    remarks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricCash:
    """A cash distribution as the history of an issuer has it (`GetListedCashDividends`).

    Attributes:
        type_stock: ON, PN, PNA, UNT, ...: there is no ISIN.
        corporate_action: DIVIDENDO, JRS CAP PROPRIO, ...
        value: BRL for `quoted_per_shares` shares, gross.
        last_date_prior: The last session with the right; None is written as 31/12/9999.
        approved_on: The same.
        closing_price: BRL for `quoted_per_shares` shares, of `closing_price_date`.
        closing_price_date: `last_date_prior`, or the last session before it in which the paper traded.
        quoted_per_shares: 1000 on many rows up to 2007.
        corporate_action_price: `value` in percent of `closing_price`.
        ratio: Always "1" as far as is known.
    """

    type_stock: str
    corporate_action: str
    value: Decimal
    last_date_prior: date | None
    approved_on: date | None
    closing_price: Decimal
    closing_price_date: date | None
    quoted_per_shares: int = 1
    corporate_action_price: Decimal = Decimal(0)
    ratio: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerActions:
    """What B3's service knows on a day of an issuer's corporate actions, in the order in which it lists it.

    A market has two methods for it: `corporate_actions(issuer, as_of) -> IssuerActions | None`, None of an
    issuer that there never was, and `issuer_of(trading_name) -> str | None`, the issuing code of a NOMRES as
    B3 asks for it: without "/" and blanks at its end.

    Attributes:
        issuer: Issuing code, the first four characters of its tickers.
        trading_name: NOMRES, with at most twelve characters.
        is_fund: Whether it is asked for by the funds' call, and has no history.
        is_listed: Whether the supplement still has it; the history goes on by trading name.
        cash: About the last twelve months.
        stock: Since ever, repeated for every ISIN that the issuer has had.
        subscriptions: Since ever.
        history: Cash since 1995, newest first.
    """

    issuer: str
    trading_name: str
    is_fund: bool = False
    is_listed: bool = True
    cash: tuple[CashDividend, ...] = ()
    stock: tuple[StockDividend, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    history: tuple[HistoricCash, ...] = ()


def encode_supplement(actions: IssuerActions) -> list[dict[str, Any]] | dict[str, Any]:
    """Write the answer of GetListedSupplementCompany, a list with one object, or that of a fund, the object.

    The figures of capital and shares, which nobody reads, are those of nobody.

    Raises:
        ValueError: a number has more than eleven decimals.
    """
    lists = {
        "cashDividends": [
            _of_supplement(
                row,
                paymentDate=_service_date(row.payment_date),
                rate=_brazilian(row.rate, 11),
                relatedTo=row.related_to,
            )
            for row in actions.cash
        ],
        "stockDividends": [_of_supplement(row, factor=_brazilian(row.factor, 11)) for row in actions.stock],
        "subscriptions": [
            _of_supplement(
                row,
                percentage=_brazilian(row.percentage, 11),
                priceUnit=_brazilian(row.price_unit, 11),
                tradingPeriod=f"{_service_date(row.trading_from)} a {_service_date(row.trading_until)}",
                subscriptionDate=_service_date(row.subscription_date),
            )
            for row in actions.subscriptions
        ],
    }
    if actions.is_fund:
        fund = {"fund": actions.trading_name, "tradingLot": "1", "quantity": "0", "codeCVM": None}
        return {"quotedPer": "", **fund, "code": actions.issuer, "segment": "BOLSA", **lists}
    name = {"stockCapital": "0,00", "roundLot": "100", "tradingName": actions.trading_name.ljust(12)}
    return [{**name, "code": actions.issuer, "codeCVM": "0", "segment": "BOLSA", **lists}]


def _of_supplement(row: CashDividend | StockDividend | Subscription, **own: str) -> dict[str, str]:
    return {
        "assetIssued": row.asset_issued or row.isin,
        **own,
        "approvedOn": _service_date(row.approved_on),
        "isinCode": row.isin,
        "label": row.label,
        "lastDatePrior": _service_date(row.last_date_prior),
        "remarks": row.remarks,
    }


def encode_cash_history(
    rows: Sequence[HistoricCash], *, page_number: int = 1, page_size: int = 99
) -> dict[str, Any]:
    """Write a page of GetListedCashDividends; one that is past the end has no rows.

    Raises:
        ValueError: a closing price has more than two decimals, or another number more than eleven.
    """
    start = (page_number - 1) * page_size
    return {
        "page": {
            "pageNumber": page_number,
            "pageSize": page_size,
            "totalRecords": len(rows),
            "totalPages": -(-len(rows) // page_size),
        },
        "results": [_historic_cash(row) for row in rows[start : start + page_size]],
    }


def _historic_cash(row: HistoricCash) -> dict[str, str]:
    return {
        "typeStock": row.type_stock,
        "dateApproval": _service_date(row.approved_on),
        "valueCash": _shortest(row.value),
        "ratio": row.ratio,
        "corporateAction": row.corporate_action,
        "lastDatePriorEx": _service_date(row.last_date_prior),
        "dateClosingPricePriorExDate": _service_date(row.closing_price_date),
        "closingPricePriorExDate": _brazilian(row.closing_price, 2),
        "quotedPerShares": str(row.quoted_per_shares),
        "corporateActionPrice": _brazilian(row.corporate_action_price, 6),
        "lastDateTimePriorEx": f"{row.last_date_prior or date.max}T00:00:00",
    }


def _service_date(day: date | None) -> str:
    return f"{day or date.max:%d/%m/%Y}"


def _shortest(value: Decimal) -> str:
    """As `valueCash` has it: 0,1 and 0,1334, without thousands known."""
    text = _brazilian(value, 11).rstrip("0")
    return text.removesuffix(",")

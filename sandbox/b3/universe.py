"""Who is listed in the simulated market, and when. Every company, fund, ticker and ISIN is made up.

Tickers begin with ZX, which no company at B3 uses, and companies are called SIMULADA 001, 002, ...; only the
name of the index, IBOV, and its ISIN are real, because queries and the portfolio call ask for them.

Companies come and go: every nine weeks or so one arrives and another leaves, with all its share classes. Who
arrives is a company of the kind that leaves, so that the market keeps its size; a number, and with it ticker
and ISIN, is never given twice. Some change their name once, and with it their tickers; their ISINs stay.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

SECTORS = (
    "Bens Indls / Máqs e Equips",
    "Bens Indls / Transporte",
    "Cons Cíclico / Comércio",
    "Cons Cíclico / Constr Civil",
    "Cons N Cíclico / Alimentos",
    "Financeiro / Intermediários",
    "Financeiro / Seguros",
    "Mats Básicos / Mineração",
    "Mats Básicos / Papel e Celulose",
    "Petróleo, Gás e Biocombustíveis",
    "Saúde / Serviços Médicos",
    "Tecnologia / Programas",
    "Utilidade Públ / Água e Saneamento",
    "Utilidade Públ / Energia Elétrica",
)
FUND_SECTOR = len(SECTORS)  # the sector of what has none: funds, receipts of foreign shares
INDEX_ISIN = "BRIBOVINDM18"
EPOCH = date(2000, 1, 1)
"""The market's first day."""

NEVER_THIN = 6e5
"""Typical cash volume of a session, BRL, from which on a paper trades in all of them."""
FUND_CODBDI = "12"
"""Bulletin code of real-estate funds."""

_FOUNDED = date(1990, 1, 1)  # so that nothing is new on the first day
_UNIVERSE_STREAM, _NAMES_STREAM = 0, 9
_LAST_CHANGE = date(2046, 1, 1)  # afterwards nobody comes or goes
_CHANGE_EVERY = 65  # days from an arrival to the next, and so of departures; in a small market more
_JITTER = 18  # days by which each may be late: no window of 60 sessions is without one
_SETTLED = timedelta(days=1000)  # who has arrived does not leave before
_THIN = (6e3, 1.2e5)  # typical cash volume of a session, BRL, of the tenth that does not trade in all of them
_SUFFIX = {"ON": "3", "PN": "4", "PNA": "5", "UNT": "11", "DRN": "34", "CI": "11"}
_ISIN_TYPE = {"ON": "ACNOR", "PN": "ACNPR", "PNA": "ACNPA", "UNT": "CDAM0", "DRN": "BDR00", "CI": "CTF00"}
_ETF = "14"
_RENAMED = 0.2
_POPULAR = 0.4  # size of a trade of the most traded shares, by others'
_ISSUES = (("ON",), ("ON", "PN"), ("PN",), ("ON", "PNA"), ("UNT",))
_ISSUES_SHARE = (0.64, 0.22, 0.03, 0.03, 0.08)
_SEGMENTS = ("NM", "N2", "N1", "")
_SEGMENTS_SHARE = (0.55, 0.10, 0.15, 0.20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A ticker and what drives its price and its trading.

    Attributes:
        code: The four letters that its ticker and its option series begin with; at first.
        ticker: Cash ticker, at first.
        isin: ISIN, with its check digit.
        company: Short name, at first.
        company_number: Number of the company, common to its share classes.
        share_class: "ON", "PN", "PNA", "UNT"; "CI" for funds, "DRN" for receipts.
        segment: Listing segment, "NM", "N2", "N1" or none.
        codbdi: Bulletin code of its cash line.
        sector: Position in SECTORS, or FUND_SECTOR.
        fatcot: Units that its price is for.
        lot: Smallest quantity in the cash market.
        anchor: Price in BRL for one unit that the market reverts to.
        beta: How it follows the market.
        noise: Standard deviation of its company's own daily log return.
        turnover: Typical cash volume of a session, BRL.
        ticket: How large its trades in the cash market are, by those of others of its turnover.
        free_float: Units that investors may hold, which are its quantity in the index; 0 if not a share.
        only_odd_lots: It trades in odd lots and in no other market.
        has_options: It has option series, once it has been listed for a while.
        listed_from: The first day on which it may trade, if there is a session.
        listed_until: The last one, None if it stays.
        renamed_on: From that day on it goes by `later_code` and `later_company`; None if it keeps its name.
        later_code: The four letters afterwards.
        later_company: The short name afterwards.
    """

    code: str
    ticker: str
    isin: str
    company: str
    company_number: int
    share_class: str
    segment: str
    codbdi: str
    sector: int
    fatcot: int = 1
    lot: int = 1
    anchor: float
    beta: float
    noise: float
    turnover: float
    ticket: float = 1.0
    free_float: int = 0
    only_odd_lots: bool = False
    has_options: bool = False
    listed_from: date = _FOUNDED
    listed_until: date | None = None
    renamed_on: date | None = None
    later_code: str = ""
    later_company: str = ""

    def is_renamed(self, day: date) -> bool:
        """Whether it goes by its later name on a day."""
        return self.renamed_on is not None and self.renamed_on <= day

    def code_on(self, day: date) -> str:
        """The four letters of a day."""
        return self.later_code if self.is_renamed(day) else self.code

    def ticker_on(self, day: date) -> str:
        """The cash ticker of a day."""
        return self.code_on(day) + self.ticker.removeprefix(self.code)

    def company_on(self, day: date) -> str:
        """The short name of a day."""
        return self.later_company if self.is_renamed(day) else self.company

    def especi(self, rights: str = "") -> str:
        """ESPECI: share class, rights ("ED": ex dividend) and segment, each in its columns."""
        return f"{self.share_class:<4}{rights:<4}{self.segment}".rstrip()

    @property
    def is_share(self) -> bool:
        """Whether it is a share or a unit, which have odd lots and forwards."""
        return self.sector != FUND_SECTOR

    def is_listed(self, day: date) -> bool:
        """Whether it may trade on a day."""
        return self.listed_from <= day and (self.listed_until is None or day <= self.listed_until)


def isin_with_check_digit(body: str) -> str:
    """Append the check digit of ISO 6166 to the first eleven characters of an ISIN."""
    digits = "".join(str(int(character, 36)) for character in body)
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    total = sum(value // 10 + value % 10 for value in doubled)
    return f"{body}{-total % 10}"


def build_universe(seed: int, tickers: int) -> tuple[Listing, ...]:
    """List that many tickers at a time: about 3/4 shares, and real-estate funds, receipts and ETFs.

    One share trades in odd lots only, one ETF is quoted per 1,000 units, half of the companies have options.

    Returns:
        Everything that is ever listed: first those that are from the beginning, then the others as they come.

    Raises:
        ValueError: fewer than 30 tickers, of which no market can be made, or more than 600.
    """
    if not 30 <= tickers <= 600:
        raise ValueError(f"a simulated market has 30 to 600 tickers, not {tickers}")
    rng = np.random.default_rng([seed, _UNIVERSE_STREAM])
    etfs, receipts, funds = tickers // 25, tickers // 12, tickers // 10
    founders = _list_shares(rng, tickers - etfs - receipts - funds)
    kinds: tuple[tuple[int, dict[str, Any]], ...] = (
        (funds, {"codbdi": FUND_CODBDI, "share_class": "CI", "beta": 0.15, "noise": 0.007, "size": 6e5}),
        (receipts, {"codbdi": "34", "share_class": "DRN", "beta": 0.3, "noise": 0.016, "size": 5e5}),
        (etfs, {"codbdi": _ETF, "share_class": "CI", "beta": 1.0, "noise": 0.002, "size": 4e7}),
    )
    for count, traits in kinds:
        founders += _list_funds(rng, count, founders[-1].company_number + 1, **traits)
    # A price per 1,000 units: the unit itself is worth cents
    founders[-1] = replace(founders[-1], fatcot=1000, anchor=0.05)
    listings = _give_free_float(rng, _give_options(_come_and_go(rng, _make_popular(founders))))
    return tuple(_rename(np.random.default_rng([seed, _NAMES_STREAM]), listings))


def _list_shares(rng: np.random.Generator, count: int) -> list[Listing]:
    issues: list[tuple[int, str]] = []
    while len(issues) < count:
        company = issues[-1][0] + 1 if issues else 0
        classes = _ISSUES[rng.choice(len(_ISSUES), p=_ISSUES_SHARE)]
        issues += [(company, share_class) for share_class in classes]
    issues = issues[:count]
    companies = issues[-1][0] + 1
    sector = rng.integers(len(SECTORS), size=companies)
    segment = rng.choice(_SEGMENTS, size=companies, p=_SEGMENTS_SHARE)
    traits = [_draw_traits(rng) for _ in range(companies)]
    turnover = _spread(rng, count, median=2.5e7, sigma=1.5)
    least_traded = int(np.argmin(turnover))
    return [
        Listing(
            **_identity(company, share_class),
            # Novo Mercado admits only common shares
            segment="N1" if segment[company] == "NM" and share_class != "ON" else str(segment[company]),
            codbdi="08" if position % 40 == 7 else "02",
            sector=int(sector[company]),
            lot=100,
            **_of_class(rng, traits[company]),
            turnover=_THIN[1] if position == least_traded else float(turnover[position]),
            only_odd_lots=position == least_traded,
        )
        for position, (company, share_class) in enumerate(issues)
    ]


def _of_class(rng: np.random.Generator, traits: dict[str, Any]) -> dict[str, Any]:
    """A company's traits for one of its share classes, which does not cost what the others do."""
    return traits | {"anchor": traits["anchor"] * float(rng.uniform(0.9, 1.15))}


def _draw_traits(rng: np.random.Generator) -> dict[str, Any]:
    """What drives the price of a company's shares."""
    return {
        "anchor": float(np.exp(rng.normal(np.log(17.0), 0.75))),
        "beta": float(rng.uniform(0.5, 1.5)),
        "noise": float(rng.uniform(0.008, 0.020)),
    }


def _list_funds(
    rng: np.random.Generator,
    count: int,
    first_company: int,
    *,
    codbdi: str,
    share_class: str,
    beta: float,
    noise: float,
    size: float,
) -> list[Listing]:
    turnover = _spread(rng, count, median=size, sigma=1.4)
    price = np.exp(rng.normal(np.log(70.0), 0.45, size=count))
    return [
        Listing(
            **_identity(first_company + position, share_class),
            segment="",
            codbdi=codbdi,
            sector=FUND_SECTOR,
            anchor=float(price[position]),
            beta=beta,
            noise=noise,
            turnover=float(turnover[position]),
        )
        for position in range(count)
    ]


def _identity(company: int, share_class: str) -> dict[str, Any]:
    """The names of one of a company's papers, which follow from the company's number and are its alone."""
    letters = string.ascii_uppercase
    # From ZXAA to ZXZZ, and then from ZXA0 to ZXZ9
    ends, number = (letters, company) if company < 26 * 26 else (string.digits, company - 26 * 26)
    code = "ZX" + letters[number // len(ends)] + ends[number % len(ends)]
    return {
        "code": code,
        "ticker": code + _SUFFIX[share_class],
        "isin": isin_with_check_digit(f"BR{code}{_ISIN_TYPE[share_class]}"),
        "company": _name(company),
        "company_number": company,
        "share_class": share_class,
    }


def _name(company: int) -> str:
    """The short name of a company: "SIMULADA 001"; some have a slash in it, as B3's have in "S/A"."""
    number = company + 1
    return (
        f"SIMULADA {number // 10}/{number % 10}"
        if number < 100 and number % 20 == 12
        else f"SIMULADA {number:03d}"
    )


def _rename(rng: np.random.Generator, listings: list[Listing]) -> list[Listing]:
    """Let one company in five have another name one day: codes from ZX0A on, which no other has."""
    renamed: list[Listing] = []
    names = 0
    companies = listings[-1].company_number + 1
    for _, group in groupby(listings, key=lambda paper: paper.company_number):
        papers = list(group)
        lead = papers[0]
        first = max(lead.listed_from, EPOCH) + _SETTLED / 2
        last = (lead.listed_until or _LAST_CHANGE) - _SETTLED / 4
        changes, when = rng.random(2).tolist()
        if lead.is_share and changes < _RENAMED and first < last and names < 10 * 26:
            digit, letter = divmod(names, 26)
            later: dict[str, Any] = {
                "renamed_on": first + timedelta(days=int(when * (last - first).days)),
                "later_code": f"ZX{digit}{string.ascii_uppercase[letter]}",
                "later_company": _name(companies + names),
            }
            names += 1
            papers = [replace(paper, **later) for paper in papers]
        renamed += papers
    return renamed


def _spread(rng: np.random.Generator, count: int, *, median: float, sigma: float) -> NDArray[np.float64]:
    """Log-normal quantiles in random order, but a tenth is thin: every seed has its giants and its dwarfs."""
    normal = NormalDist()
    turnover = median * np.exp(sigma * np.array([normal.inv_cdf((n + 0.5) / count) for n in range(count)]))
    turnover[: count // 10] = np.geomspace(*_THIN, count // 10)
    return rng.permutation(turnover)


def _come_and_go(rng: np.random.Generator, founders: list[Listing]) -> list[Listing]:
    """Let companies arrive and others leave, from EPOCH to `_LAST_CHANGE`."""
    every = _CHANGE_EVERY * max(1.0, 150 / len(founders))
    giant = float(np.quantile([paper.turnover for paper in founders], 0.9))
    companies = [list(papers) for _, papers in groupby(founders, key=lambda paper: paper.company_number)]
    mortal = [
        number
        for number, papers in enumerate(companies)
        if papers[0].codbdi != _ETF and all(NEVER_THIN <= paper.turnover < giant for paper in papers)
    ]
    for change in range(1, int((_LAST_CHANGE - EPOCH).days / every)):
        arrival, departure = (
            EPOCH + timedelta(days=int((change + phase) * every + rng.uniform(0, _JITTER)))
            for phase in (0.0, 0.5)
        )
        settled = [n for n in mortal if companies[n][0].listed_from <= departure - _SETTLED]
        leaving = int(rng.choice(settled))
        mortal.remove(leaving)
        mortal.append(len(companies))
        companies.append(_newcomers(rng, companies[leaving], len(companies), arrival))
        companies[leaving] = [replace(paper, listed_until=departure) for paper in companies[leaving]]
    return [paper for papers in companies for paper in papers]


def _newcomers(
    rng: np.random.Generator, model: Iterable[Listing], company: int, arrival: date
) -> list[Listing]:
    """The papers of a company like another one."""
    traits, sector, growth = _draw_traits(rng), int(rng.integers(len(SECTORS))), rng.uniform(-0.5, 0.5)
    return [
        replace(
            paper,
            **_identity(company, paper.share_class),
            **(_of_class(rng, traits) | {"sector": sector, "codbdi": "02"} if paper.is_share else {}),
            turnover=max(paper.turnover * float(np.exp(growth)), NEVER_THIN),
            listed_from=arrival,
        )
        for paper in model
    ]


def _make_popular(founders: list[Listing]) -> list[Listing]:
    """Let the two most traded shares be dealt in small trades: often in more than 99,999 a session."""
    popular = _most_traded([founder for founder in founders if founder.is_share])[:2]
    return [replace(founder, ticket=_POPULAR if founder in popular else 1.0) for founder in founders]


def _give_options(listings: list[Listing]) -> list[Listing]:
    """Give options to one class of each of the most traded companies: a series' code does not name it."""
    shares = [listing for listing in listings if listing.is_share]
    companies: set[int] = set()
    tickers: set[str] = set()
    for share in _most_traded(shares):
        if share.company_number not in companies and len(companies) < len(shares) // 2:
            companies.add(share.company_number)
            tickers.add(share.ticker)
    return [replace(listing, has_options=listing.ticker in tickers) for listing in listings]


def _give_free_float(rng: np.random.Generator, listings: list[Listing]) -> list[Listing]:
    """Free float grows with turnover, but not in step with it."""
    return [
        replace(
            listing,
            free_float=round(
                3e9 * (listing.turnover / 1e7) ** 0.7 * float(np.exp(rng.normal(0, 0.4))) / listing.anchor
            )
            * listing.is_share,
        )
        for listing in listings
    ]


def _most_traded(shares: list[Listing]) -> list[Listing]:
    return sorted(shares, key=lambda share: (-share.turnover, share.ticker))

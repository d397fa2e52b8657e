"""Who is listed in the simulated market. Every company, fund, ticker and ISIN is made up.

Tickers begin with ZX, which no company at B3 uses, and companies are called SIMULADA 001, 002, ...; only the
name of the index, IBOV, and its ISIN are real, because queries and the portfolio call ask for them.
"""

from dataclasses import dataclass, replace
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

_UNIVERSE_STREAM = 0
_INDEX_LEVEL = 130_000  # points, at anchor prices
_SUFFIX = {"ON": "3", "PN": "4", "PNA": "5", "UNT": "11", "DRN": "34", "CI": "11"}
_ISIN_TYPE = {"ON": "ACNOR", "PN": "ACNPR", "PNA": "ACNPA", "UNT": "CDAM0", "DRN": "BDR00", "CI": "CTF00"}
_ISSUES = (("ON",), ("ON", "PN"), ("PN",), ("ON", "PNA"), ("UNT",))
_ISSUES_SHARE = (0.64, 0.22, 0.03, 0.03, 0.08)
_SEGMENTS = ("NM", "N2", "N1", "")
_SEGMENTS_SHARE = (0.55, 0.10, 0.15, 0.20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A ticker and what drives its price and its trading.

    Attributes:
        code: The four letters that its ticker and its option series begin with.
        ticker: Cash ticker.
        isin: ISIN, with its check digit.
        company: Short name.
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
        theoretical_quantity: Its quantity in the index, 0 outside.
        only_odd_lots: It trades in odd lots and in no other market.
        has_options: It has option series.
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
    theoretical_quantity: int = 0
    only_odd_lots: bool = False
    has_options: bool = False

    def especi(self, rights: str = "") -> str:
        """ESPECI: share class, rights ("ED": ex dividend) and segment, each in its columns."""
        return f"{self.share_class:<4}{rights:<4}{self.segment}".rstrip()

    @property
    def is_share(self) -> bool:
        """Whether it is a share or a unit, which have odd lots and forwards."""
        return self.sector != FUND_SECTOR


@dataclass(frozen=True, slots=True)
class Universe:
    """The listings and the divisor that makes their index stand at 130,000 points at anchor prices."""

    listings: tuple[Listing, ...]
    reductor_units: int  # in units of 0.00000001, as B3 publishes it


def isin_with_check_digit(body: str) -> str:
    """Append the check digit of ISO 6166 to the first eleven characters of an ISIN."""
    digits = "".join(str(int(character, 36)) for character in body)
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    total = sum(value // 10 + value % 10 for value in doubled)
    return f"{body}{-total % 10}"


def build_universe(seed: int, tickers: int) -> Universe:
    """List that many tickers: about 3/4 shares, and real-estate funds, receipts and ETFs.

    One share trades in odd lots only, one ETF is quoted per 1,000 units, 5/8 of the shares make the index,
    half of the companies have options.

    Raises:
        ValueError: fewer than 30 tickers, of which no market can be made, or more than 600.
    """
    if not 30 <= tickers <= 600:
        raise ValueError(f"a simulated market has 30 to 600 tickers, not {tickers}")
    rng = np.random.default_rng([seed, _UNIVERSE_STREAM])
    etfs, receipts, funds = tickers // 25, tickers // 12, tickers // 10
    shares = _list_shares(rng, tickers - etfs - receipts - funds)
    others = [
        *_list_funds(
            rng, funds, len(shares), codbdi="12", share_class="CI", beta=0.15, noise=0.007, size=6e5
        ),
        *_list_funds(
            rng,
            receipts,
            len(shares) + funds,
            codbdi="34",
            share_class="DRN",
            beta=0.3,
            noise=0.016,
            size=5e5,
        ),
        *_list_funds(
            rng,
            etfs,
            len(shares) + funds + receipts,
            codbdi="14",
            share_class="CI",
            beta=1.0,
            noise=0.002,
            size=4e7,
        ),
    ]
    # A price per 1,000 units: the unit itself is worth cents
    others[-1] = replace(others[-1], fatcot=1000, anchor=0.05)
    shares = _compose_index(rng, _add_options(shares))
    value = sum(listing.anchor * listing.theoretical_quantity for listing in shares)
    return Universe((*shares, *others), round(value / _INDEX_LEVEL * 10**8))


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
    price = np.exp(rng.normal(np.log(17.0), 0.75, size=companies))
    beta = rng.uniform(0.5, 1.5, size=companies)
    noise = rng.uniform(0.009, 0.021, size=companies)
    turnover = _spread(rng, count, median=2.5e7, sigma=1.5)
    class_premium = rng.uniform(0.9, 1.15, size=count)
    least_traded = int(np.argmin(turnover))
    return [
        _listing(
            company,
            share_class,
            # Novo Mercado admits only common shares
            segment="N1" if segment[company] == "NM" and share_class != "ON" else str(segment[company]),
            codbdi="08" if position % 40 == 7 else "02",
            sector=int(sector[company]),
            lot=100,
            anchor=float(price[company] * class_premium[position]),
            beta=float(beta[company]),
            noise=float(noise[company]),
            turnover=2e4 if position == least_traded else float(turnover[position]),
            only_odd_lots=position == least_traded,
        )
        for position, (company, share_class) in enumerate(issues)
    ]


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
        _listing(
            first_company + position,
            share_class,
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


def _listing(company: int, share_class: str, **traits: Any) -> Listing:
    code = "ZX" + chr(ord("A") + company // 26) + chr(ord("A") + company % 26)
    return Listing(
        code=code,
        ticker=code + _SUFFIX[share_class],
        isin=isin_with_check_digit(f"BR{code}{_ISIN_TYPE[share_class]}"),
        company=f"SIMULADA {company + 1:03d}",
        company_number=company,
        share_class=share_class,
        **traits,
    )


def _spread(rng: np.random.Generator, count: int, *, median: float, sigma: float) -> NDArray[np.float64]:
    """Log-normal quantiles in random order: every seed has its giants and its dwarfs."""
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((rank + 0.5) / count) for rank in range(count)])
    return median * np.exp(sigma * rng.permutation(quantiles))


def _add_options(shares: list[Listing]) -> list[Listing]:
    """Give options to one class of each of the most traded companies: a series' code does not name it."""
    companies: set[int] = set()
    tickers: set[str] = set()
    for share in _most_traded(shares):
        if share.company_number not in companies and len(companies) < len(shares) // 2:
            companies.add(share.company_number)
            tickers.add(share.ticker)
    return [replace(share, has_options=share.ticker in tickers) for share in shares]


def _compose_index(rng: np.random.Generator, shares: list[Listing]) -> list[Listing]:
    members = _most_traded(shares)[: len(shares) * 5 // 8]
    # Free float grows with turnover, but not in step with it
    value = {
        share.ticker: 3e9 * (share.turnover / 1e7) ** 0.7 * float(np.exp(rng.normal(0, 0.4)))
        for share in members
    }
    return [
        replace(share, theoretical_quantity=round(value.get(share.ticker, 0.0) / share.anchor))
        for share in shares
    ]


def _most_traded(shares: list[Listing]) -> list[Listing]:
    return sorted(shares, key=lambda share: (-share.turnover, share.ticker))

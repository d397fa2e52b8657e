"""How much of a simulated market has adjusted prices, by how often B3's service was asked.

`python -m benchmarks.coverage`. Ten years of a market whose service forgets and leaves out as B3's does: the
share of papers and sessions, of those with a close, that the oracle (`sandbox.b3.truth`) gives factors to. A
test holds that the job's own are the oracle's in every session (`tests/simulator/test_simulated_issuers.py`).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from benchmarks.figures import table
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.truth import spans
from scraper.b3.calendar import sessions_between

SESSIONS = sessions_between(date(2016, 1, 4), date(2025, 12, 30))
LAST_YEARS = (1, 3, 5, 10)


def main() -> None:
    """Measure, and print the table."""
    market = SimulatedMarket(seed=8, tickers=50, quotes=120)
    closes: dict[str, list[date]] = defaultdict(list)
    for session in SESSIONS:
        for isin in market.cash(session)["codisi"].tolist():
            closes[isin.decode()].append(session)
    listings = {listing.isin: listing for listing in market.listings if listing.isin in closes}
    every_month = [*(SESSIONS[0] + timedelta(days=days) for days in range(0, 3_640, 30)), SESSIONS[-1]]
    rows = []
    for how, asked in (("every 30 days", every_month), ("once, at the end", [SESSIONS[-1]])):
        shares = []
        for years in LAST_YEARS:
            first = SESSIONS[-1] - timedelta(days=365 * years)
            covered = known = 0
            for isin, listing in listings.items():
                own = closes[isin]
                told = spans(market, listing, first=own[0], last=own[-1], asked=asked)
                days = [day for day in own if day >= first]
                known += len(days)
                covered += sum(
                    any(s.first <= day <= s.last for s in told if s.reason is None) for day in days
                )
            shares.append(f"{100 * covered / known:.1f}")
        rows.append((how, *shares))
    print(table(["asked", *(f"last {years} years [percent]" for years in LAST_YEARS)], rows))


if __name__ == "__main__":
    main()

"""Where B3 serves corporate actions: the question is in the address, as Base64 of compact JSON.

The calls are those of B3's own pages and documented nowhere. That of a fund is as public projects make it:
without the fund's number in the register (CNPJ), "0" in its place.
"""

import base64
import json
from typing import Any
from urllib.parse import quote

_COMPANIES = "/listedCompaniesProxy/CompanyCall/"
_FUNDS = "/fundsProxy/fundsCall/"
_LANGUAGE = "pt-br"
_FUND_TYPE = 7
"""Real-estate funds."""

PAGE_SIZE = 99
"""Rows of a page. B3 answers nothing for 200 and more; up to 121 were seen to work."""


def of_supplement(base_url: str, issuer: str) -> str:
    """The address of a company's cash of about twelve months, and its shares and rights since ever.

    Args:
        base_url: Scheme and host.
        issuer: Issuing code.
    """
    query = {"issuingCompany": issuer, "language": _LANGUAGE}
    return f"{base_url}{_COMPANIES}GetListedSupplementCompany/{_encoded(query)}"


def of_fund_supplement(base_url: str, issuer: str) -> str:
    """The same of a fund."""
    query = {"cnpj": "0", "identifierFund": issuer, "typeFund": _FUND_TYPE}
    return f"{base_url}{_FUNDS}GetListedSupplementFunds/{_encoded(query)}"


def of_cash_history(base_url: str, trading_name: str, page: int) -> str:
    """The address of a page of a company's cash since 1995.

    Args:
        base_url: Scheme and host.
        trading_name: NOMRES. A "/" in it is left out, as B3 has no rows for a name with one.
        page: Number of the page, from 1.
    """
    query = {
        "language": _LANGUAGE,
        "pageNumber": page,
        "pageSize": PAGE_SIZE,
        "tradingName": asked_name(trading_name),
    }
    return f"{base_url}{_COMPANIES}GetListedCashDividends/{_encoded(query)}"


def asked_name(trading_name: str) -> str:
    """A NOMRES as B3 is to be asked for it."""
    return trading_name.replace("/", "").strip()


def _encoded(query: dict[str, Any]) -> str:
    encoded = base64.b64encode(json.dumps(query, separators=(",", ":")).encode()).decode()
    return quote(encoded, safe="=")  # a "/" of Base64 is none of the path

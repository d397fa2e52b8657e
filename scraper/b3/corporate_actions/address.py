"""Where B3 serves corporate actions: the question is in the address, as Base64 of compact JSON.

The calls are those of B3's own pages and documented nowhere. That of a fund is as public projects make it:
without the fund's number in the register (CNPJ), "0" in its place.
"""

import base64
import json
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from scraper.b3.corporate_actions.layout import Call

_SUPPLEMENT = "/listedCompaniesProxy/CompanyCall/GetListedSupplementCompany/"
_CASH_HISTORY = "/listedCompaniesProxy/CompanyCall/GetListedCashDividends/"
_FUND_SUPPLEMENT = "/fundsProxy/fundsCall/GetListedSupplementFunds/"
_LANGUAGE = "pt-br"
_FUND_TYPE = 7
"""Real-estate funds."""

_OF_WHOM = {
    Call.SUPPLEMENT: (_SUPPLEMENT, "issuingCompany"),
    Call.CASH_HISTORY: (_CASH_HISTORY, "tradingName"),
    Call.FUNDS: (_FUND_SUPPLEMENT, "identifierFund"),
}

PAGE_SIZE = 99
"""Rows of a page. B3 answers nothing for 200 and more; up to 121 were seen to work."""


class Question(NamedTuple):
    """What an address asks for.

    Attributes:
        call: Which of B3's calls.
        of_whom: Issuing code; of a cash history the trading name, as `asked_name` makes it.
    """

    call: Call
    of_whom: str


def of_supplement(base_url: str, issuer: str) -> str:
    """The address of a company's cash of about twelve months, and its shares and rights since ever.

    Args:
        base_url: Scheme and host.
        issuer: Issuing code.
    """
    query = {"issuingCompany": issuer, "language": _LANGUAGE}
    return f"{base_url}{_SUPPLEMENT}{_encoded(query)}"


def of_fund_supplement(base_url: str, issuer: str) -> str:
    """The same of a fund."""
    query = {"cnpj": "0", "identifierFund": issuer, "typeFund": _FUND_TYPE}
    return f"{base_url}{_FUND_SUPPLEMENT}{_encoded(query)}"


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
    return f"{base_url}{_CASH_HISTORY}{_encoded(query)}"


def asked_name(trading_name: str) -> str:
    """A NOMRES as B3 is to be asked for it."""
    return trading_name.replace("/", "").strip()


def question_of(address: str) -> Question | None:
    """What an address of one of these calls asks for; None if it is none of theirs."""
    for call, (path, name) in _OF_WHOM.items():
        _, found, encoded = address.partition(path)
        if found:
            try:
                query = json.loads(base64.b64decode(unquote(encoded), validate=True))
                return Question(call, str(query[name]))
            except (ValueError, KeyError, TypeError):
                return None
    return None


def _encoded(query: dict[str, Any]) -> str:
    encoded = base64.b64encode(json.dumps(query, separators=(",", ":")).encode()).decode()
    return quote(encoded, safe="=")  # a "/" of Base64 is none of the path

"""Where B3 serves the theoretical portfolio of an index: the question is in the address, as Base64."""

import base64
import json

BASE_URL = "https://sistemaswebb3-listados.b3.com.br"

_PATH = "/indexProxy/indexCall/GetPortfolioDay/"
_PAGE_SIZE = 120


def of_page(base_url: str, index: str, page: int) -> str:
    """The address of a page of an index's current portfolio, listed by sector (segment 2).

    Args:
        base_url: Scheme and host.
        index: Code of the index, such as IBOV.
        page: Number of the page, from 1.
    """
    query = {
        "language": "pt-br",
        "pageNumber": page,
        "pageSize": _PAGE_SIZE,
        "index": index,
        "segment": "2",
    }
    encoded = base64.b64encode(json.dumps(query, separators=(",", ":")).encode()).decode()
    return f"{base_url}{_PATH}{encoded}"


def index_of(address: str) -> str | None:
    """The index whose portfolio an address asks for; None if it is no address of a portfolio's page."""
    try:
        query = json.loads(base64.b64decode(address.partition(_PATH)[2], validate=True))
        return str(query["index"])
    except (ValueError, KeyError, TypeError):
        return None

"""Where B3 serves the levels of an index: the question is in the address, as Base64 of compact JSON."""

import base64
import json
from typing import NamedTuple
from urllib.parse import quote, unquote

_PATH = "/indexStatisticsProxy/IndexCall/GetPortfolioDay/"


class Question(NamedTuple):
    """What an address asks for: an index, by its code, and a year."""

    code: str
    year: int


def of_year(base_url: str, index: str, year: int) -> str:
    """The address of an index's levels of a year.

    Args:
        base_url: Scheme and host.
        index: Code of the index, such as IBOV.
        year: The year.
    """
    query = {"index": index, "language": "pt-br", "year": str(year)}
    encoded = base64.b64encode(json.dumps(query, separators=(",", ":")).encode()).decode()
    return f"{base_url}{_PATH}{quote(encoded, safe='=')}"  # a "/" of Base64 is none of the path


def question_of(address: str) -> Question | None:
    """What an address of the levels of an index asks for; None if it is none."""
    try:
        query = json.loads(base64.b64decode(unquote(address.partition(_PATH)[2]), validate=True))
        return Question(str(query["index"]), int(query["year"]))
    except (ValueError, KeyError, TypeError):
        return None

"""The types of results as Athena names them: a decimal has its precision and scale beside its name.

MiniStack says of each decimal that it has 38 digits and none after the point, by which awswrangler and others
would cut off its cents. It knows DuckDB's types by their names alone; the scale is that of the values.

https://docs.aws.amazon.com/athena/latest/APIReference/API_ColumnInfo.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

from ministack.services import athena as service

Answer = tuple[int, dict[str, str], bytes]
Run = Callable[..., Coroutine[Any, Any, dict[str, Any]]]

_OK = 200
_MOST_DIGITS = 38
_DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")

athena: Any = service  # MiniStack has no types


def install() -> None:
    """Have decimals told with their digits."""
    athena._run_duckdb = _with_scales(athena._run_duckdb)
    athena._get_query_results = _apart(athena._get_query_results)


def of_trino(kind: str) -> str:
    """Athena's name of one of Trino's types; a decimal's keeps its digits, which are told apart later."""
    if _DECIMAL.fullmatch(kind):
        return kind
    name = re.sub(r"\(.*\)", "", kind)
    return "float" if name == "real" else name


def _with_scales(run: Run) -> Run:
    async def run_with_scales(*arguments: Any) -> dict[str, Any]:
        result = await run(*arguments)
        result["column_types"] = [
            f"decimal({_MOST_DIGITS},{_scale([row[place] for row in result['rows']])})"
            if kind == "decimal"
            else kind
            for place, kind in enumerate(result["column_types"])
        ]
        return result

    return run_with_scales


def _scale(values: Sequence[Any]) -> int:
    """The digits after the point of a column; all its values have the same."""
    exponents = (value.as_tuple().exponent for value in values if isinstance(value, Decimal))
    return max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)


def _apart(get_results: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
    def get(request: dict[str, Any]) -> Answer:
        status, headers, body = get_results(request)
        if status != _OK:
            return status, headers, body
        answer = json.loads(body)
        for column in answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]:
            if digits := _DECIMAL.fullmatch(column["Type"]):
                column.update(Type="decimal", Precision=int(digits[1]), Scale=int(digits[2]))
        return status, headers, json.dumps(answer).encode()

    return get

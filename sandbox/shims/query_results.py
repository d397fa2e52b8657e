"""Athena's results at the address that Athena names: `<output location>/<query id>.csv`.

MiniStack takes that address, which ends with the object's name, for a folder, and stores the result one level
below, where awswrangler and everyone else who reads results from S3 does not find it.
"""

from __future__ import annotations

from typing import Any

from ministack.services import athena as service

athena: Any = service  # MiniStack has no types


def install() -> None:
    """Have results stored where GetQueryExecution says that they are."""
    save = athena._save_query_results

    async def save_in_its_folder(query_id: str) -> None:
        configuration = athena._executions[query_id]["ResultConfiguration"]
        address = configuration["OutputLocation"]
        configuration["OutputLocation"] = f"{address.rpartition('/')[0]}/"
        try:
            await save(query_id)
        finally:
            configuration["OutputLocation"] = address

    athena._save_query_results = save_in_its_folder

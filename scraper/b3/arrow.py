"""Arrow types of the raw schema: what the readers build and the Parquet files hold."""

from collections.abc import Iterable

import pandas as pd
import pyarrow as pa

from scraper.b3.columns import Column


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Derives the Arrow schema of a raw table from its columns.

    Args:
        columns: `COTAHIST_COLUMNS`, `PORTFOLIO_COLUMNS`, `ACTION_COLUMNS` or `LEVEL_COLUMNS`.

    Returns:
        The same columns in the same order: string, bigint (int64), int (int32), date (date32), decimal
        (decimal128).
    """
    return pa.schema([(column.name, _arrow_type(column.glue_type)) for column in columns])


def to_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    """Wraps Arrow arrays into a DataFrame, each column with its Arrow type (`pandas.ArrowDtype`)."""
    return batch.to_pandas(types_mapper=pd.ArrowDtype)


def _arrow_type(glue_type: str) -> pa.DataType:
    if glue_type.startswith("decimal("):
        precision, scale = glue_type.removeprefix("decimal(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    plain: dict[str, pa.DataType] = {
        "string": pa.string(),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "date": pa.date32(),
    }
    return plain[glue_type]

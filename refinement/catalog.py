"""The refined tables in the Glue Data Catalog."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import (
        ColumnOutputTypeDef,
        ColumnTypeDef,
        PartitionInputTypeDef,
        StorageDescriptorTypeDef,
        TableTypeDef,
    )

    AnyColumn = ColumnTypeDef | ColumnOutputTypeDef  # as the Glue API takes it, and as it answers

from lake.keys import COMPACT_FOLDER, WIDE_FOLDER, partition_folder
from refinement import aws, log
from refinement.columns import (
    COLUMNS,
    COMPACT_COLUMNS,
    COMPACT_KEYS,
    COMPACT_SUFFIX,
    INDEX,
    PARTITION_KEYS,
    Field,
    Types,
    of_index,
)
from refinement.errors import RefineError

GLUE_CALLS = 8  # in flight; Glue allows an account few calls a second, and the client slows down by itself
_CATALOG_BATCH = 100  # partitions that one call of the Glue API takes


class Table(NamedTuple):
    """What the job keeps in the catalog of one of its tables.

    Attributes:
        name: Its name.
        location: Its folder, without a slash at the end.
        description: What a reader finds in it.
        columns: Its columns.
        keys: Its partition keys, `trade_date` first.
        parameters: Its properties, beside those of every Parquet table.
        indexes: By which keys the catalog is to find partitions.
    """

    name: str
    location: str
    description: str
    columns: tuple[Field, ...]
    keys: tuple[Field, ...]
    parameters: Mapping[str, str] = {}
    indexes: tuple[tuple[str, ...], ...] = ()


def wide_table(name: str, bucket: str, sessions: int = 0, index: str = INDEX) -> Table:
    """The table of one file for each session and ticker; of the newest so many sessions, or of all with 0.

    Its comments name the index that its weights are of.
    """
    older = f", and those older than the newest {sessions:,}" if sessions else ""
    return Table(
        name=name,
        location=f"s3://{bucket}/{WIDE_FOLDER}",
        description="One row per stock and trading session of B3, over all markets. A partition for each "
        "session and ticker, about 330,000 a year: for one ticker in few sessions. For more "
        f"sessions use {name}{COMPACT_SUFFIX}, which alone has those that were refined with --compact_only"
        f"{older}.",
        columns=of_index(COLUMNS, index),
        keys=PARTITION_KEYS,
        # Athena asks the catalog for the partitions of a query alone, and the catalog finds them by an index.
        # It hands on what a query says of texts, not of dates: for its queries one begins with the ticker. By
        # the other the job finds a session's
        parameters={"partition_filtering.enabled": "true"},
        indexes=(("trade_date", "ticker"), ("ticker", "trade_date")),
    )


def compact_table(name: str, bucket: str, index: str = INDEX) -> Table:
    """The table of one file for each session, of the wide table's name; comments name the weights' index."""
    return Table(
        name=f"{name}{COMPACT_SUFFIX}",
        location=f"s3://{bucket}/{COMPACT_FOLDER}",
        description=f"The rows of {name}, one file a session, sorted by ticker: for whatever spans sessions. "
        "Sessions that were refined with --compact_only, as deep history is, are in this table alone.",
        columns=of_index(COMPACT_COLUMNS, index),
        keys=COMPACT_KEYS,
    )


class Catalog:
    """One of the refined tables in the Glue Data Catalog.

    The job owns the table: it creates it, adds columns and properties to it, and keeps its partitions equal
    to the folders of the sessions that it refines. Columns and properties that somebody else added stay.

    Attributes:
        name: Database and table, with a dot between.
    """

    def __init__(self, glue: GlueClient, *, database: str, table: Table) -> None:
        """A table that may not exist yet."""
        self._glue = glue
        self._database = database
        self._table = table
        self.name = f"{database}.{table.name}"
        self._columns: list[AnyColumn] = []

    def check(self) -> None:
        """Look whether the table can be the job's, and change nothing.

        Raises:
            RefineError: The table that is there has another location, other partition keys, or a column of
                another type.
        """
        with suppress(self._glue.exceptions.EntityNotFoundException):
            self._existing()

    def prepare(self) -> None:
        """Create the database and the table where missing; add columns, properties and index that it lacks.

        Raises:
            RefineError: As `check` does.
        """
        try:
            self._adopt()
        except self._glue.exceptions.EntityNotFoundException:
            try:
                self._create()
            except self._glue.exceptions.AlreadyExistsException:  # another run has just created it
                self._adopt()

    def synchronise(self, rows: Iterable[tuple[str, str]], sessions: Iterable[str] = ()) -> dict[str, int]:
        """Make the partitions of some sessions those of their rows: first register, then unregister.

        Args:
            rows: Date and ticker of every row of the sessions.
            sessions: Further sessions, which may have no row, and then have no partition.

        Returns:
            How many partitions were registered, updated and unregistered.

        Raises:
            RefineError: The catalog refused some of them.
        """
        wanted = list(dict.fromkeys(row[: len(self._table.keys)] for row in rows))
        registered = self._registered({values[0] for values in wanted}.union(sessions))
        # Of their columns, partitions need no comments
        columns: list[AnyColumn] = [{"Name": name, "Type": kind} for name, kind in _types(self._columns)]
        names = [key.name for key in self._table.keys]
        new: list[PartitionInputTypeDef] = []
        changed: list[PartitionInputTypeDef] = []
        for values in wanted:
            location = f"{partition_folder(self._table.location, names, values)}/"
            partition: PartitionInputTypeDef = {
                "Values": values,
                "StorageDescriptor": storage_descriptor(location, columns),
            }
            if values not in registered:
                new.append(partition)
            elif registered[values] != (location, _types(columns)):
                changed.append(partition)
        stale = sorted(registered.keys() - set(wanted))
        aws.in_parallel(self._register, aws.portions(new, _CATALOG_BATCH), GLUE_CALLS)
        aws.in_parallel(self._update, aws.portions(changed, _CATALOG_BATCH), GLUE_CALLS)
        aws.in_parallel(self._unregister, stale, GLUE_CALLS)
        return {"registered": len(new), "updated": len(changed), "unregistered": len(stale)}

    def sessions(self, among: Iterable[dt.date]) -> set[dt.date]:
        """Those of some sessions that have a partition."""
        days = {str(session) for session in among}
        return {dt.date.fromisoformat(values[0]) for values in self._registered(days)} if days else set()

    def unregister(self, session: dt.date) -> int:
        """Take the partitions of a session out of the table; how many there were."""
        partitions = sorted(self._registered({str(session)}))
        aws.in_parallel(self._unregister, partitions, GLUE_CALLS)
        return len(partitions)

    def _create(self) -> None:
        try:
            self._glue.get_database(Name=self._database)
        except self._glue.exceptions.EntityNotFoundException:
            with suppress(self._glue.exceptions.AlreadyExistsException):
                self._glue.create_database(DatabaseInput={"Name": self._database})
        columns = glue_columns(self._table.columns)
        indexes: Any = {"PartitionIndexes": self._indexes()} if self._table.indexes else {}
        self._glue.create_table(
            DatabaseName=self._database,
            TableInput={
                "Name": self._table.name,
                "Description": self._table.description,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet", **self._table.parameters},
                "PartitionKeys": glue_columns(self._table.keys),
                "StorageDescriptor": storage_descriptor(f"{self._table.location}/", columns),
            },
            **indexes,
        )
        self._columns = columns
        log.line(f"table {self.name} created")

    def _adopt(self) -> None:
        """Use the table that is there, and add what it lacks."""
        table = self._existing()
        descriptor = table["StorageDescriptor"]
        existing = descriptor.get("Columns", [])
        ours: dict[str, Any] = {column["Name"]: column for column in glue_columns(self._table.columns)}
        kept: list[Any] = [{**column, **ours.pop(column["Name"], {})} for column in existing]
        self._columns = [*kept, *ours.values()]
        # UpdateTable replaces the table: what it is not given is lost
        former: Any = {key: value for key, value in table.items() if key in _TABLE_INPUT and value}
        changed: Any = {
            **former,
            "Description": self._table.description,
            "Parameters": {**former.get("Parameters", {}), **self._table.parameters},
            "StorageDescriptor": {**descriptor, "Columns": self._columns},
        }
        if changed != former:
            self._glue.update_table(DatabaseName=self._database, TableInput=changed)
            log.line(f"table {self.name} updated; new columns: {', '.join(ours) or 'none'}")
        if self._table.indexes:
            self._require_indexes()

    def _require_indexes(self) -> None:
        where: Any = {"DatabaseName": self._database, "TableName": self._table.name}
        pages = self._glue.get_paginator("get_partition_indexes").paginate(**where)
        there = [
            [key["Name"] for key in each["Keys"]]
            for page in pages
            for each in page["PartitionIndexDescriptorList"]
        ]
        for index in self._indexes():
            if index["Keys"] not in there:
                with suppress(self._glue.exceptions.AlreadyExistsException):  # by another run
                    self._glue.create_partition_index(**where, PartitionIndex=index)
                log.line(f"table {self.name} gets an index of its partitions, {index['IndexName']}")

    def _indexes(self) -> list[Any]:
        return [{"Keys": [*keys], "IndexName": "_".join(keys)} for keys in self._table.indexes]

    def _existing(self) -> TableTypeDef:
        """The table that is there, which has to be one that the job can use."""
        table = self._glue.get_table(DatabaseName=self._database, Name=self._table.name)["Table"]
        descriptor = table["StorageDescriptor"]
        location, partition_keys = descriptor.get("Location", ""), table.get("PartitionKeys", [])
        there = dict(_types(descriptor.get("Columns", [])))
        comparisons = (
            ("location", self._table.location, location.rstrip("/")),
            ("partition keys", _types(glue_columns(self._table.keys)), _types(partition_keys)),
            *(
                (f"column {name}", kind, there[name])
                for name, kind, _ in self._table.columns
                if name in there
            ),
        )
        problems = [
            f"{what}: expected {ours}, found {theirs}" for what, ours, theirs in comparisons if ours != theirs
        ]
        if problems:
            raise RefineError(
                f"table {self.name} is not the one that this job writes: "
                f"{'; '.join(problems)}. Nothing was written. If it is another pipeline's, give this one a "
                "name of its own: refined_table, or stack_name. If its pipeline is gone, `python -m "
                "stacks.tables --drop` takes the table out of the catalog and leaves its files; then run the "
                "job over every session."
            )
        return table

    def _registered(self, sessions: set[str]) -> dict[tuple[str, ...], tuple[str, Types]]:
        """Location and columns of the registered partitions of sessions, by the partitions' values."""
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database,
            TableName=self._table.name,
            Expression=f"trade_date >= '{min(sessions)}' AND trade_date <= '{max(sessions)}'",
        )
        registered = {}
        for partition in (partition for page in pages for partition in page["Partitions"]):
            # The expression saves time; what may be unregistered is decided by the values themselves
            if partition["Values"][0] in sessions:
                descriptor = partition.get("StorageDescriptor", {})
                location, columns = descriptor.get("Location", ""), descriptor.get("Columns", [])
                registered[tuple(partition["Values"])] = location, _types(columns)
        return registered

    def _register(self, partitions: Sequence[PartitionInputTypeDef]) -> None:
        created = self._glue.batch_create_partition(
            DatabaseName=self._database, TableName=self._table.name, PartitionInputList=partitions
        )
        # One that is there by now was registered by another run of the same session
        self._require_none([error for error in created.get("Errors", []) if not _already_exists(error)])

    def _update(self, partitions: Sequence[PartitionInputTypeDef]) -> None:
        entries: Any = [{"PartitionValueList": each["Values"], "PartitionInput": each} for each in partitions]
        updated = self._glue.batch_update_partition(
            DatabaseName=self._database, TableName=self._table.name, Entries=entries
        )
        self._require_none(updated.get("Errors", []))

    def _unregister(self, values: tuple[str, ...]) -> None:
        # One that is not there was unregistered by another run of the same session
        with suppress(self._glue.exceptions.EntityNotFoundException):
            self._glue.delete_partition(
                DatabaseName=self._database, TableName=self._table.name, PartitionValues=values
            )

    def _require_none(self, errors: Sequence[Any]) -> None:
        if errors:
            raise RefineError(
                f"{len(errors)} partitions were not registered in {self.name}, the first because of "
                f"{errors[0]}. The files are published: run the job again for the session."
            )


# What GetTable tells and UpdateTable takes
_TABLE_INPUT = {
    *("Name", "Description", "Owner", "Retention"),
    *("PartitionKeys", "StorageDescriptor", "TableType", "Parameters"),
}


def storage_descriptor(location: str, columns: Sequence[AnyColumn]) -> StorageDescriptorTypeDef:
    """Where a table's or a partition's rows lie, as Parquet."""
    return {
        "Columns": columns,
        "Location": location,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {
            "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        },
    }


def glue_columns(fields: Iterable[Field]) -> list[AnyColumn]:
    """Columns as the Glue API takes them."""
    return [{"Name": name, "Type": kind, "Comment": comment} for name, kind, comment in fields]


def _types(columns: Iterable[AnyColumn]) -> Types:
    return [(column["Name"], column.get("Type", "")) for column in columns]


def _already_exists(error: Any) -> bool:
    return bool(error["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException")

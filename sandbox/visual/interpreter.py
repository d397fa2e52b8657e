"""Runs the nodes of a visual Glue job on Spark: what Glue's generated script does with each, done here.

Glue writes the script itself, from the nodes, and shows it in Glue Studio. What it writes for a node type is
told where that type is interpreted: as read off such scripts ("Script generated for node ...") in public
repositories, and, for what they call, off the Python half of `awsglue` (github.com/awslabs/aws-glue-libs) and
AWS's Glue guide. A node type, option or operation that is not told is refused: better no run than one that
differs from Glue's.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import Any

import boto3
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name by which every PySpark code base knows it

from sandbox.visual.glue import (
    DynamicFrame,
    DynamicFrameCollection,
    GlueContext,
    GlueError,
    S3ParquetSink,
    get_resolved_options,
)

Nodes = Mapping[str, Mapping[str, Any]]
Result = DynamicFrame | DynamicFrameCollection | None


def run(nodes: Nodes, argv: Sequence[str], spark: SparkSession) -> None:
    """Run every node, as a job run of Glue would.

    Args:
        nodes: The job's `CodeGenConfigurationNodes`.
        argv: The job's arguments, such as `["--trade_date", "2031-03-14"]`.
        spark: The session to run on; the nodes' own code may change its settings.

    Raises:
        GlueError: A node cannot be run as Glue does.
        Exception: What a node's code, Spark or AWS raises.
    """
    Interpreter(nodes, argv, spark).results()


class Interpreter:
    """Runs nodes, each after those that it takes its input from.

    Args:
        nodes: The job's `CodeGenConfigurationNodes`.
        argv: The job's arguments.
        spark: The session to run on.
    """

    def __init__(self, nodes: Nodes, argv: Sequence[str], spark: SparkSession) -> None:
        self._nodes = nodes
        self._argv = argv
        self._spark = spark
        self._context = GlueContext(spark)
        self._types: dict[str, Callable[[Any, dict[str, Any]], Result]] = {
            "S3ParquetSource": self._read,
            "CustomCode": self._run_code,
            "SelectFromCollection": self._select,
            "Filter": self._filter,
            "RenameField": self._rename,
            "Aggregate": self._aggregate,
            "Join": self._join,
            "SparkSQL": self._query,
            "S3GlueParquetTarget": self._write,
        }

    def results(self, *wanted: str, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run the wanted nodes and their ancestors, by default all.

        Args:
            wanted: Their ids.
            known: What nodes have made in another run, by their id: they are not run again.

        Returns:
            What each node has made, by its id: a DynamicFrame, a collection of them after CustomCode, nothing
            after a target.
        """
        results: dict[str, Any] = dict(known or {})
        inputs = {
            node: [] if node in results else self._node(node)[1].get("Inputs", []) for node in self._nodes
        }
        needed = set(wanted or self._nodes)
        unvisited = list(needed)
        while unvisited:
            new = set(inputs[unvisited.pop()]) - needed
            needed |= new
            unvisited += new
        needed -= results.keys()
        # A job run has a session of its own: to Spark's cache, the same folders are the same data
        self._spark.catalog.clearCache()
        with _arguments(self._argv):
            for node in TopologicalSorter(inputs).static_order():
                if node in needed:
                    kind, properties = self._node(node)
                    if kind not in self._types:
                        raise GlueError(f"{node}: a node of type {kind} cannot be run here")
                    taken = {name: results[name] for name in inputs[node]}
                    results[node] = self._types[kind](properties, taken)
        return results

    def _node(self, node: str) -> tuple[str, Mapping[str, Any]]:
        ((kind, properties),) = self._nodes[node].items()
        return kind, properties

    def _read(self, source: Mapping[str, Any], _: dict[str, Any]) -> DynamicFrame:
        """S3ParquetSource: `create_dynamic_frame.from_options` with the paths, `recurse`, format "parquet".

        Keys that are part of the files' paths come as columns of texts.
        """
        return self._context.read_parquet(source["Paths"])

    def _run_code(self, code: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> DynamicFrameCollection:
        """CustomCode: a function of the given name, with the code for its body.

        Glue calls it with its context and a collection of the inputs, whose keys are names of its own, and
        expects a collection. Its script has imported `sys`, `getResolvedOptions`, `DynamicFrame` and
        `DynamicFrameCollection`, among others.
        """
        names: dict[str, Any] = {
            "sys": sys,
            "getResolvedOptions": get_resolved_options,
            "DynamicFrame": DynamicFrame,
            "DynamicFrameCollection": DynamicFrameCollection,
        }
        header = f"def {code['ClassName']}(glueContext, dfc) -> DynamicFrameCollection:\n"
        script = compile(header + textwrap.indent(code["Code"], "    "), f"<{code['Name']}>", "exec")
        exec(script, names)  # noqa: S102 - the code of the job, which is the stack's own
        made = names[code["ClassName"]](self._context, DynamicFrameCollection(inputs, self._context))
        if not isinstance(made, DynamicFrameCollection):
            raise GlueError(f"{code['Name']}: expected a DynamicFrameCollection, found {type(made).__name__}")
        return made

    def _select(
        self, selection: Mapping[str, Any], inputs: dict[str, DynamicFrameCollection]
    ) -> DynamicFrame:
        """SelectFromCollection: the frame whose key comes at the index."""
        (collection,) = inputs.values()
        return collection.select(list(collection.keys())[selection["Index"]])

    def _filter(self, node: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> DynamicFrame:
        """Filter: `Filter.apply` with a lambda of the record.

        EQ becomes `row["column"] == value`, REGEX `bool(re.match("pattern", row["column"]))`, which looks at
        the text's beginning; several are joined by `and`. Where the lambda raises a TypeError, as `re.match`
        does of null, the record is left out (`DynamicFrame.filter` in awsglue/dynamicframe.py).
        """
        (frame,) = inputs.values()
        if node["LogicalOperator"] != "AND" or any(each.get("Negated") for each in node["Filters"]):
            raise GlueError(f"{node['Name']}: a filter by OR or NOT cannot be run here")
        data = frame.toDF()
        for expression in node["Filters"]:
            data = data.where(self._condition(expression))
        return DynamicFrame.of_records(data)

    @staticmethod
    def _condition(expression: Mapping[str, Any]) -> Column:
        column, constant = expression["Values"]
        if (column["Type"], constant["Type"]) != ("COLUMNEXTRACTED", "CONSTANT"):
            raise GlueError(f"a filter compares a column with a constant; found {expression['Values']}")
        (value,) = constant["Value"]
        match expression["Operation"]:
            case "EQ":
                return F.col(_path(column["Value"])) == int(value)
            case "REGEX":
                return F.col(_path(column["Value"])).rlike(f"^(?:{value})")
            case other:
                raise GlueError(f"a filter by {other} cannot be run here")

    def _rename(self, node: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> DynamicFrame:
        """RenameField: `RenameField.apply` with the old name and the new."""
        (frame,) = inputs.values()
        data = frame.toDF()
        old, new = _path(node["SourcePath"]), _path(node["TargetPath"])
        if old not in data.columns:
            raise GlueError(f"{node['Name']}: expected a column {old}, found {data.columns}")
        return DynamicFrame(data.withColumnRenamed(old, new))

    def _aggregate(self, node: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> DynamicFrame:
        """Aggregate: `groupBy` the groups, `agg` of the functions that PySpark has under the same names.

        So columns come in that order, groups first, and have the names that Spark gives them: `sum(voltot)`,
        `count(DISTINCT series)`.
        """
        (frame,) = inputs.values()
        groups = [_path(group) for group in node["Groups"]]
        aggregates = [getattr(F, each["AggFunc"])(_path(each["Column"])) for each in node["Aggs"]]
        return DynamicFrame(frame.toDF().groupBy(*groups).agg(*aggregates))

    def _join(self, node: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> DynamicFrame:
        """Join: of type left, a join of the two DataFrames on their keys, which keeps the columns of both.

        The other types differ: "equijoin" is `Join.apply`, a join of records, which writes the right side's
        columns with a leading dot where the left has one of the same name.
        """
        if node["JoinType"] != "left":
            raise GlueError(f"{node['Name']}: a join of type {node['JoinType']} cannot be run here")
        sides = [
            (inputs[side["From"]].toDF(), [_path(key) for key in side["Keys"]]) for side in node["Columns"]
        ]
        (left, left_keys), (right, right_keys) = sides
        both = set(left.columns) & set(right.columns)
        if both:
            raise GlueError(f"{node['Name']}: both sides have {sorted(both)}, which would be ambiguous")
        equal = [left[one] == right[other] for one, other in zip(left_keys, right_keys, strict=True)]
        return DynamicFrame(left.join(right, equal, "left"))

    def _query(self, node: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> DynamicFrame:
        """SparkSQL: each input becomes a temporary view by its alias, then `spark.sql` of the query."""
        for alias in node["SqlAliases"]:
            inputs[alias["From"]].toDF().createOrReplaceTempView(alias["Alias"])
        return DynamicFrame(self._spark.sql(node["SqlQuery"]))

    def _write(self, node: Mapping[str, Any], inputs: dict[str, DynamicFrame]) -> None:
        """S3GlueParquetTarget: `getSink` with path, partition keys and the catalog's table, `writeFrame`.

        With update behavior LOG alone: under UPDATE_IN_DATABASE Glue puts a frame's columns over the table's,
        and what it makes of a frame without rows is not known.
        """
        (frame,) = inputs.values()
        policy = node["SchemaChangePolicy"]
        if (policy["EnableUpdateCatalog"], policy["UpdateBehavior"]) != (True, "LOG"):
            raise GlueError(f"{node['Name']}: a target with the policy {policy} cannot be run here")
        rows = frame.toDF()
        sink = S3ParquetSink(
            boto3.client("glue"),
            path=node["Path"],
            partition_keys=[_path(key) for key in node["PartitionKeys"]],
        )
        sink.write(rows, compression=node["Compression"])
        sink.register(rows, database=policy["Database"], table=policy["Table"])


def _path(path: Sequence[str]) -> str:
    """A column's name of its path; the columns of nested ones are not interpreted."""
    (name,) = path
    if not re.fullmatch(r"\w+", name):
        raise GlueError(f"the path {name!r} is not the name of a column without special characters")
    return name


@contextmanager
def _arguments(argv: Sequence[str]) -> Iterator[None]:
    """The job's arguments where its code looks for them."""
    before = sys.argv
    sys.argv = ["job", *argv]
    try:
        yield
    finally:
        sys.argv = before

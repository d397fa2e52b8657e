"""The visual job's graph before any run: a request that Glue takes, no loose end, drawn as it is."""

from __future__ import annotations

import ast
import builtins
import json
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

import pytest
import sqlglot
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from sqlglot.optimizer.qualify import qualify

from glue_scripts import visual
from glue_scripts.visual import build_nodes
from lake import keys
from refinement import columns
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS
from tools.docs import graph as picture

Node = tuple[str, dict[str, Any]]

NODES = build_nodes(
    raw_bucket="raw-bucket",
    refined_bucket="refined-bucket",
    refined_database="default",
    refined_table="bovespa_daily",
)


def node(name: str) -> Node:
    ((kind, properties),) = NODES[name].items()
    return kind, properties


def of_type(*kinds: str) -> dict[str, dict[str, Any]]:
    return {name: node(name)[1] for name in NODES if node(name)[0] in kinds}


def upstream(name: str) -> set[str]:
    """The nodes that a node's input comes from, near and far."""
    reached: set[str] = set()
    unvisited = [name]
    while unvisited:
        new = set(INPUTS[unvisited.pop()]) - reached
        reached |= new
        unvisited += new
    return reached


INPUTS = {name: list(node(name)[1].get("Inputs", [])) for name in NODES}
ORDER = list(TopologicalSorter(INPUTS).static_order())  # raises CycleError of a cycle


class TestRequest:
    @pytest.mark.parametrize("operation", ["CreateJob", "UpdateJob"])
    def test_is_one_that_glue_takes(self, operation: str) -> None:
        glue = ServiceModel(Loader().load_service_model("glue", "service-2"), "glue")
        job = {
            "Role": "role",
            "Command": {"Name": "glueetl"},
            "JobMode": "VISUAL",
            "CodeGenConfigurationNodes": NODES,
        }
        request = {"Name": "n", **job} if operation == "CreateJob" else {"JobName": "n", "JobUpdate": job}
        shape = glue.operation_model(operation).input_shape
        assert shape is not None
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        assert list(_violations(request, shape)) == []

    def test_survives_the_way_through_json(self) -> None:
        assert json.loads(json.dumps(NODES)) == NODES

    def test_fits_into_a_template_beside_the_rest(self) -> None:
        """CloudFormation passes 4 KB of a string and 1 MB of a template; a Lambda event takes 256 KB."""
        assert len(json.dumps(NODES)) < 100_000

    def test_keeps_the_arguments_whole_which_may_be_tokens(self) -> None:
        names = ("raw_bucket", "refined_bucket", "refined_database", "refined_table")
        nodes = json.dumps(build_nodes(**{name: f"${{Token[{name}.1]}}" for name in names}))
        for name in names:
            assert f"${{Token[{name}.1]}}" in nodes


def _violations(value: Any, shape: Shape | None) -> Iterator[str]:
    """What ParamValidator passes over: enumerations and patterns."""
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            yield from _violations(member, shape.members[name])
    elif isinstance(shape, ListShape):
        for member in value:
            yield from _violations(member, shape.member)
    elif isinstance(shape, MapShape):
        for key, member in value.items():
            yield from _violations(key, shape.key)
            yield from _violations(member, shape.value)
    elif isinstance(shape, StringShape):
        if shape.enum and value not in shape.enum:
            yield f"{value} is none of {shape.enum}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(_python(pattern), value):
            yield f"{value!r} does not match {pattern}"


def _python(pattern: str) -> str:
    """A pattern of Java's without the surrogates, which Python's strings do not have."""
    return pattern.replace("\\uD800\\uDC00-\\uDBFF\\uDFFF", "\\U00010000-\\U0010FFFF")


class TestWiring:
    def test_every_input_exists_and_nothing_goes_round(self) -> None:
        assert {source for sources in INPUTS.values() for source in sources} <= set(NODES)
        assert len(ORDER) == len(NODES)

    def test_every_node_leads_to_a_target(self) -> None:
        targets = of_type("S3GlueParquetTarget")
        assert set().union(*map(upstream, targets)) | set(targets) == set(NODES)
        assert {name for name, sources in INPUTS.items() if not sources} == set(of_type("S3ParquetSource"))

    def test_nothing_is_written_before_rows_and_tables_have_been_checked_and_the_sessions_cleared(
        self,
    ) -> None:
        for target in of_type("S3GlueParquetTarget"):
            assert "node-clear" in upstream(target)
        assert "node-prepare" in upstream("node-clear")
        assert "node-reconcile" in upstream("node-prepare")

    def test_every_box_has_a_name_of_its_own_that_makes_a_variable(self) -> None:
        names = [node(name)[1]["Name"] for name in NODES]
        assert len(set(names)) == len(names)
        # Glue makes variables of them: letters, digits and underscores survive
        assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z0-9_ ]*", name)] == []
        assert [name for name in NODES if not re.fullmatch(r"node-[a-z]+", name)] == []

    def test_sides_of_joins_and_aliases_of_queries_are_the_inputs(self) -> None:
        for properties in of_type("Join").values():
            assert [side["From"] for side in properties["Columns"]] == properties["Inputs"]
            assert len({len(side["Keys"]) for side in properties["Columns"]}) == 1
        for properties in of_type("SparkSQL").values():
            assert [alias["From"] for alias in properties["SqlAliases"]] == properties["Inputs"]

    def test_custom_code_makes_collections_that_are_selected_from(self) -> None:
        for name, properties in of_type("CustomCode").items():
            indices = [
                selection["Index"]
                for selection in of_type("SelectFromCollection").values()
                if selection["Inputs"] == [name]
            ]
            assert sorted(indices) == list(range(len(properties["OutputSchemas"])))

    def test_standard_nodes_do_what_they_can(self) -> None:
        assert set(of_type("CustomCode")) == {
            *("node-choose", "node-reconcile", "node-prepare", "node-adjust", "node-list", "node-clear")
        }
        assert of_type("DynamicTransform") == {}
        assert len(of_type("RenameField")) == 2
        assert len(of_type("S3ParquetSource")) == 2
        functions = [each["AggFunc"] for each in node("node-sum")[1]["Aggs"]]
        assert functions.count("sum") == 9
        assert "count" in functions
        assert "gs_" not in json.dumps(NODES)

    def test_weights_are_of_the_first_index_of_the_settings(self) -> None:
        names = {"raw_bucket": "r", "refined_bucket": "f", "refined_database": "d", "refined_table": "t"}
        (properties,) = build_nodes(**names, index="SMLL")["node-index"].values()
        assert properties["Name"] == "Keep the SMLL"
        assert properties["Filters"][0]["Values"][1]["Value"] == ["^SMLL$"]

    def test_the_renames_are_of_real_columns_that_are_neither_grouped_nor_aggregated(self) -> None:
        renamed = {properties["SourcePath"][0] for properties in of_type("RenameField").values()}
        aggregate = node("node-sum")[1]
        used = {column for each in aggregate["Aggs"] for column in each["Column"]}
        grouped = {column for (column,) in aggregate["Groups"]}
        assert renamed == {"preult", "premed"}
        assert renamed <= {column.name for column in COTAHIST_COLUMNS}
        assert not renamed & (used | grouped)

    def test_the_targets_are_the_scripts_tables(self) -> None:
        tables = {
            keys.WIDE_FOLDER: ("bovespa_daily", columns.PARTITION_KEYS),
            keys.COMPACT_FOLDER: (f"bovespa_daily{columns.COMPACT_SUFFIX}", columns.COMPACT_KEYS),
        }
        targets = {target["Path"]: target for target in of_type("S3GlueParquetTarget").values()}
        assert targets.keys() == {f"s3://refined-bucket/{folder}/" for folder in tables}
        for folder, (table, key_fields) in tables.items():
            target = targets[f"s3://refined-bucket/{folder}/"]
            assert target["PartitionKeys"] == [[key.name] for key in key_fields]
            # LOG: the columns are the table's own, whatever the target is given
            assert target["SchemaChangePolicy"] == {
                "EnableUpdateCatalog": True,
                "UpdateBehavior": "LOG",
                "Table": table,
                "Database": "default",
            }

    def test_a_compact_session_is_one_task_s_and_sorted_by_ticker(self) -> None:
        """What one task writes into a folder is one file; a test on Spark counts them."""
        query = node("node-compact")[1]["SqlQuery"]
        assert "REPARTITION(8, trade_date)" in query
        assert query.endswith("SORT BY trade_date, ticker")


class TestColumns:
    def test_every_column_that_a_node_names_is_produced_upstream(self) -> None:
        produced: dict[str, list[list[str]]] = {}
        for name in ORDER:
            kind, properties = node(name)
            inputs = {source: produced[source][0] for source in INPUTS[name]}
            produced[name] = _produced(kind, properties, inputs, produced)
        assert [produced[name][0] for name in of_type("S3GlueParquetTarget")] == [
            [field.name for field in (*columns.COLUMNS, *columns.PARTITION_KEYS)],
            [field.name for field in (*columns.COMPACT_COLUMNS, *columns.COMPACT_KEYS)],
        ]

    def test_the_raw_columns_are_those_of_the_script_and_of_the_raw_tables(self) -> None:
        assert visual.QUOTES == {"trade_date": "date", **columns.QUOTE_COLUMNS}
        assert dict(visual.PORTFOLIOS) == {"portfolio_date": "date", **columns.PORTFOLIO_COLUMNS}

    def test_the_refined_columns_are_the_scripts(self) -> None:
        scripts = {
            "node-refined": (*columns.COLUMNS, *columns.PARTITION_KEYS),
            "node-compact": (*columns.COMPACT_COLUMNS, *columns.COMPACT_KEYS),
        }
        for name, fields in scripts.items():
            (schema_of_rows,) = node(name)[1]["OutputSchemas"]
            assert [(column["Name"], column["Type"]) for column in schema_of_rows["Columns"]] == [
                (field.name, field.type) for field in fields
            ]


def _produced(
    kind: str, properties: dict[str, Any], inputs: dict[str, list[str]], produced: dict[str, list[list[str]]]
) -> list[list[str]]:
    """The columns that a node makes of its inputs', a list a frame; each one that it names is there."""
    columns = next(iter(inputs.values()), [])
    made = [columns]
    match kind:
        case "S3ParquetSource" | "CustomCode":
            made = [[column["Name"] for column in each["Columns"]] for each in properties["OutputSchemas"]]
        case "SelectFromCollection":
            made = [produced[properties["Inputs"][0]][properties["Index"]]]
        case "Filter":
            named = [each["Values"][0]["Value"][0] for each in properties["Filters"]]
            assert set(named) <= set(columns)
        case "RenameField":
            (old,), (new,) = properties["SourcePath"], properties["TargetPath"]
            assert old in columns
            assert new not in columns
            made = [[new if column == old else column for column in columns]]
        case "Aggregate":
            groups = [group for (group,) in properties["Groups"]]
            aggregates = [(each["AggFunc"], *each["Column"]) for each in properties["Aggs"]]
            assert {*groups, *(column for _, column in aggregates)} <= set(columns)
            spark = {"countDistinct": "count(DISTINCT {})"}
            named = [spark.get(function, f"{function}({{}})").format(each) for function, each in aggregates]
            made = [[*groups, *named]]
        case "Join":
            for side in properties["Columns"]:
                assert {key for (key,) in side["Keys"]} <= set(inputs[side["From"]])
            both = [column for side in properties["Columns"] for column in inputs[side["From"]]]
            assert len(set(both)) == len(both)
            made = [both]
        case "SparkSQL":
            tables: dict[str, object] = {
                alias["Alias"]: dict.fromkeys(inputs[alias["From"]], "string")
                for alias in properties["SqlAliases"]
            }
            query = sqlglot.parse_one(properties["SqlQuery"], dialect="spark")
            query = qualify(
                query, schema=tables, dialect="spark"
            )  # raises OptimizeError of an unknown column
            (declared,) = properties["OutputSchemas"]
            names = query.named_selects  # type: ignore[attr-defined]  # a query has them
            assert sorted(names) == sorted(column["Name"] for column in declared["Columns"])
            made = [names]
        case "S3GlueParquetTarget":
            assert {key for (key,) in properties["PartitionKeys"]} <= set(columns)
        case _:
            raise AssertionError(f"a node of type {kind}")
    return made


class TestGeneratedScript:
    """Glue puts queries between ''' and code under a `def`; neither may end what holds it."""

    def test_no_query_ends_its_quotes_or_escapes(self) -> None:
        for properties in of_type("SparkSQL").values():
            query = properties["SqlQuery"]
            assert "'''" not in query
            assert "\\" not in query
            assert not query.endswith("'")

    def test_every_code_is_a_function_body_that_returns(self) -> None:
        for properties in of_type("CustomCode").values():
            body = ast.parse(properties["Code"]).body
            assert isinstance(body[-1], ast.Return)
            assert properties["ClassName"].isidentifier()
            assert '"""' not in properties["Code"]

    def test_code_uses_nothing_that_the_script_does_not_have(self) -> None:
        given = {"sys", "getResolvedOptions", "DynamicFrame", "DynamicFrameCollection", "glueContext", "dfc"}
        for properties in of_type("CustomCode").values():
            code = ast.parse(properties["Code"])
            # What a local variable is annotated with is never evaluated
            unread = [each.annotation for each in ast.walk(code) if isinstance(each, ast.AnnAssign)]
            passed_over = {part for annotation in unread for part in ast.walk(annotation)}
            names = [
                each for each in ast.walk(code) if isinstance(each, ast.Name) and each not in passed_over
            ]
            stored = {each.id for each in names if isinstance(each.ctx, ast.Store)}
            arguments = {each.arg for each in ast.walk(code) if isinstance(each, ast.arg)}
            imported = {
                alias.asname or alias.name
                for each in ast.walk(code)
                if isinstance(each, ast.Import | ast.ImportFrom)
                for alias in each.names
            }
            known = given | stored | arguments | imported | set(dir(builtins))
            assert {each.id for each in names} <= known

    def test_a_purge_states_that_it_spares_nothing(self) -> None:
        code = node("node-clear")[1]["Code"]
        assert code.count("purge_s3_path(") == code.count('purge_s3_path(path, {"retentionPeriod": 0})') == 1


class TestPicture:
    def test_is_that_of_the_nodes(self) -> None:
        assert picture.FILE.read_text() == picture.draw(NODES), "run `python -m tools.docs.graph`"

    def test_shows_every_box_once(self) -> None:
        drawn = re.sub(r"<[^>]+>", " ", picture.draw(NODES))
        text = " ".join(drawn.split())
        for name in NODES:
            assert text.count(node(name)[1]["Name"]) == 1, name

"""What the pipeline costs: worked out by hand for round figures, and the document as its figures say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from benchmarks import cost, figures
from operating import aws_prices as prices
from tools.docs.markers import replaced


def _reports(**reads: Any) -> dict[str, figures.Report]:
    """Benchmarks whose market is a tenth of B3's, so that what grows with it is tenfold."""
    return {
        "range_run": {
            "machine": {"cpus": 2},
            "runs": [
                {
                    "span": span,
                    "compact_only": False,
                    "files": 100,
                    "seconds": seconds,
                    "phases": {"start": 5.0, "rows": 10.0, "files": 2.0, "adjustment": 1.0},
                }
                for span, seconds in [(cost.DAY, 45.0), (cost.DAY, 46.0), (cost.DAY, 99.0), ("a month", 60.0)]
            ],
        },
        "reads": {
            "market": {"tickers": 138.3, "sessions": 10, "quotes": 12_226},
            "files": {
                "raw_bytes_a_quote": 50,
                "wide_bytes": 3_000,
                "compact_bytes": 14_000,
                "compact_footer_bytes": 4_000,
            },
            "queries": [],
            **reads,
        },
        "handler_memory": {"import_seconds": 2.0, "handler_seconds": 1.0, "quotes": 12_226},
    }


def _query(name: str, **tables: dict[str, int]) -> dict[str, Any]:
    return {"name": name, "reads": tables}


def _lines(**reads: Any) -> dict[str, cost.Line]:
    return {line.name: line for line in cost.operation(cost.measure(_reports(**reads)))}


def test_a_smaller_market_s_figures_are_taken_to_a_session_of_b3() -> None:
    measured = cost.measure(_reports())

    assert measured.job_seconds == 46 - 5 - 1  # the median, without its start and the adjustment
    assert measured.wide_bytes == 3_000 * 1_383
    assert measured.compact_bytes == 4_000 + 10 * 10_000  # the footer does not grow
    assert measured.raw_bytes == 50 * 12_226


def test_the_job_is_billed_for_its_start_and_its_work_on_both_workers() -> None:
    glue = _lines()["Glue job"]

    # 60 s assumed, 40 s measured and 1 s for events and factors, 2 DPU, 0.44 USD a DPU-hour
    assert glue.day == pytest.approx(Decimal("0.024689"), abs=Decimal("0.000001"))
    assert glue.month == 21 * glue.day
    assert glue.year == 252 * glue.day


def test_each_file_is_a_put_and_each_scraper_run_asks_what_is_there() -> None:
    puts = _lines()["S3 PUT and LIST"]

    # 1,383 wide, a compact, one of members, 3 raw, 9 listings, 13 for events and factors, 2 for each of 80
    # issuers;
    # 64 requests in each of 3 runs; 0.005 USD a thousand
    assert puts.day == Decimal("0.00785") + Decimal("0.00096")
    assert puts.month == 21 * Decimal("0.00785") + 30 * Decimal("0.00096")
    assert puts.year == 252 * Decimal("0.00785") + 365 * Decimal("0.00096")


def test_storage_grows_with_every_session_of_the_year() -> None:
    storage = _lines()["S3 storage"]

    stored = Decimal(50 * 12_226 + 3_000 * 1_383 + 104_000) / 10**9
    assert storage.month == pytest.approx(252 * stored * Decimal("0.023"))
    # Months of 1, 2, ..., 12 times 21 sessions: 78 times 21
    assert storage.year == pytest.approx(1_638 * stored * Decimal("0.023"))


def test_a_named_query_costs_its_least_of_athena_and_each_of_its_requests() -> None:
    chunks = {"objects": 10, "requests": 20, "footer_bytes": 1_000, "column_bytes": 500, "file_bytes": 4_000}
    lines = _lines(queries=[_query("most_traded", wide=chunks), _query("one ticker, a year", wide=chunks)])

    # 10 MB at 5 USD a TB, and ten times 20 requests at 0.0004 USD a thousand; of the named query alone
    assert lines["Athena, and its S3 GETs"].day == Decimal("0.00005") + Decimal("0.00008")


def test_a_query_for_one_ticker_opens_as_many_files_however_many_tickers_there_are() -> None:
    chunks = {
        "objects": 250,
        "requests": 500,
        "footer_bytes": 1_000,
        "column_bytes": 500,
        "file_bytes": 4_000,
    }
    [(_, tables)] = cost.measure(_reports(queries=[_query("one ticker, a year", wide=chunks)])).queries

    assert tables == {"wide": cost.Reads(250, 500, 4_000)}


def test_what_a_compact_file_holds_grows_with_the_tickers_and_its_footer_does_not() -> None:
    chunks = {"objects": 20, "requests": 60, "footer_bytes": 1_000, "column_bytes": 500, "file_bytes": 4_000}
    [(_, tables)] = cost.measure(_reports(queries=[_query("the whole market", compact=chunks)])).queries

    assert tables == {"compact": cost.Reads(20, 60, 1_000 + 10 * 3_000)}


def test_what_a_raw_file_holds_grows_with_the_quotes_and_its_footer_does_not() -> None:
    chunks = {"objects": 20, "requests": 60, "footer_bytes": 1_000, "column_bytes": 500, "file_bytes": 4_000}
    [(_, tables)] = cost.measure(_reports(queries=[_query("data_quality", raw=chunks)])).queries

    assert tables == {"raw": cost.Reads(20, 60, 1_000 + 10 * 3_000)}


def test_an_index_more_costs_its_answers_and_requests() -> None:
    # 90 runs of 3 s at 16.6667 USD a million and of 4 requests at 0.005 a thousand; 21 sessions of 2 PUTs and
    # of 2 GETs at 0.0004 a thousand; 252 times 10 kB at 0.023 a GB
    expected = 90 * (Decimal("0.0000500001") + Decimal("0.00002"))
    expected += 21 * (Decimal("0.00001") + Decimal("0.0000008")) + Decimal("0.00005796")
    assert cost.of_another_index() == expected


def test_partitions_cost_nothing_until_the_catalog_s_million_is_used_up() -> None:
    # 21 sessions of 1,383 partitions, twice as many entries in their indexes, and a compact partition are
    # 87,150 a month: a million in the 12th
    assert cost.catalog_month(11) == 0
    assert cost.catalog_month(12) == (12 * 87_150 - 1_000_000) * Decimal("0.00001")
    assert cost.first_paid_month() == 12
    assert cost.catalog_objects(cost.BOUND) < 1_000_000


def test_the_monitoring_costs_nothing_in_an_account_that_has_no_other() -> None:
    # Beside ten others of each: 9 metrics at 0.30, 4 alarms at 0.10, a dashboard at 3.00
    line = _lines()["CloudWatch metrics, alarms, dashboard"]
    assert [line.day, line.month, line.year] == [0, 0, 0]
    assert cost.monitoring_month(others=10) == Decimal("2.70") + Decimal("0.40") + Decimal("3.00")
    # Beside five: four metrics too many, and the dashboard
    assert cost.monitoring_month(others=5) == Decimal("1.20") + Decimal("3.00")


@pytest.mark.parametrize(
    ("name", "region", "price"),
    [
        ("GLUE_DPU_HOUR", "us-east-1", "0.44"),
        ("GLUE_DPU_HOUR", "sa-east-1", "0.69"),
        ("CATALOG_OBJECT_MONTH", "sa-east-1", "0.00001"),  # the same as in us-east-1
    ],
)
def test_a_price_is_that_of_its_region(name: str, region: str, price: str) -> None:
    assert prices.of(name, region) == Decimal(price)


def test_a_region_without_prices_is_refused() -> None:
    with pytest.raises(KeyError, match="eu-west-1"):
        prices.of("S3_PUT", "eu-west-1")


@pytest.fixture
def kept() -> dict[str, figures.Report]:
    return {name: json.loads((figures.KEPT / f"{name}.json").read_text()) for name in cost.REPORTS}


def test_the_document_is_what_the_kept_figures_cost(kept: dict[str, figures.Report]) -> None:
    text = (figures.DOCS / "cost.md").read_text(encoding="utf-8")
    expected = text
    for name, block in cost.blocks(kept).items():
        expected = replaced(expected, name, block, document="cost.md")

    assert text == expected, "run `make cost`"


def test_daily_operation_stays_under_a_dollar_a_month(kept: dict[str, figures.Report]) -> None:
    bill = cost.operation(cost.measure(kept))

    assert sum(line.month for line in bill) < 1

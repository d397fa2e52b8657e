"""What the functions tell of themselves: JSON lines and embedded metrics, by Powertools for AWS Lambda.

Both go to standard output, which Lambda passes to CloudWatch Logs line by line; CloudWatch makes metrics of
those lines that are in the embedded metric format. Every line carries what it is about and the invocation.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from scraper.runtime.log_context import current
from scraper.runtime.metrics import NAMESPACE, Metric

powertools = Logger(utc=True, use_rfc3339=True)
"""Formats the lines. `inject_lambda_context` and `append_keys` say what all lines of an invocation carry."""

_ALSO_WITH_METRICS = ("session_date", "year", "scheduled_time", "function_request_id")


class _About(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.update(current())
        return True


_about = _About()


def log_json_lines() -> None:
    """Have everything that this process logs come out as JSON lines, ours from level INFO on."""
    logging.captureWarnings(True)
    handler = powertools.logger_handler
    handler.addFilter(_about)
    logging.getLogger().handlers[:] = [handler]  # in place of Lambda's own, whose lines know of no session
    logging.getLogger("scraper").setLevel(logging.INFO)


def emit(values: Mapping[Metric, float], *, at: datetime | None = None) -> None:
    """Print metrics, with what the invocation's lines carry.

    Args:
        values: The metrics.
        at: The instant that they are of, by default the present. CloudWatch takes those of two weeks.
    """
    blob = EphemeralMetrics(namespace=NAMESPACE)
    for metric, value in values.items():
        unit = MetricUnit.NoUnit if metric is Metric.VOLUME_INGESTED else MetricUnit.Count
        blob.add_metric(metric, unit, value)
    told = powertools.get_current_keys()
    for name in _ALSO_WITH_METRICS:
        if name in told:
            blob.add_metadata(name, told[name])
    if at is not None:
        blob.set_timestamp(at)
    blob.flush_metrics()

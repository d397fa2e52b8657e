"""Alarms on an expression, which MiniStack's CloudFormation refuses, and their evaluation windows.

The emulator keeps such an alarm and describes it, as CloudWatch does; it does not evaluate it.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import provisioners as service

provisioners: Any = service  # MiniStack has no types

Properties = dict[str, Any]

_OF_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit")


def install() -> None:
    """Have alarms recorded with all that the template says."""
    record = provisioners._cw_metric_alarm_record

    def complete(name: str, properties: Properties) -> Any:
        said = {key: properties[key] for key in ("Metrics", "EvaluationWindow") if key in properties}
        if "Metrics" not in said:
            return record(name, properties) | said
        stand_in = {**properties, "Metrics": [], "MetricName": "-", "Namespace": "-"}
        alarm = {key: value for key, value in record(name, stand_in).items() if key not in _OF_ONE_METRIC}
        return alarm | said

    provisioners._cw_metric_alarm_record = complete

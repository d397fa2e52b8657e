"""A model of how CloudWatch evaluates an alarm on whole days, for tests of when somebody is told.

It knows of CloudWatch what its guide says, and nothing of the pipeline:

- A datapoint of a day is the statistic over the values whose time stamps lie in it; days go from midnight to
  midnight of the window's time zone, and only days that are over are looked at ("Alarm evaluation window").
- `FILL(metric, 1)` puts 1 for each day without a value, from the first to the last day that is asked for; of
  a metric without any value in them it makes nothing ("Using math expressions with CloudWatch metrics").
- CloudWatch asks for more days than the alarm's evaluation periods, and does not say how many more. What is
  missing is treated as the alarm says only if fewer values are there than the evaluation periods
  ("Configuring how CloudWatch alarms treat missing data"). So the model takes the number as a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

OK, ALARM = "OK", "ALARM"


@dataclass(frozen=True)
class Value:
    """What was told to CloudWatch: when it arrived, of which instant, and how much."""

    arrived: datetime
    of: datetime
    value: float


@dataclass(frozen=True)
class DailyAlarm:
    """An alarm on `FILL(metric, fill)` by whole days, at one day of `threshold` or more.

    Attributes:
        zone: The evaluation window's time zone.
        fill: What FILL puts for a day without a value; None without FILL.
        threshold: At which a day is bad.
        further_days: How many more days than one CloudWatch asks for.
    """

    zone: tzinfo
    fill: float | None
    threshold: float
    further_days: int

    @classmethod
    def of_template(cls, alarm: dict[str, Any], further_days: int) -> DailyAlarm:
        """The alarm that a template describes, if it is of the kind that is modelled here.

        Raises:
            AssertionError: It is not.
        """
        expression, metric = alarm["Metrics"]
        assert expression["Expression"] == f"FILL({metric['Id']}, 1)"
        assert (metric["MetricStat"]["Period"], metric["MetricStat"]["Stat"]) == (86400, "Minimum")
        assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "breaching")
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        zone = datetime.fromisoformat(
            f"2000-01-01T00:00:00{alarm['EvaluationWindow']['WallClockWindow']['Timezone']}"
        ).tzinfo
        assert zone is not None
        return cls(zone=zone, fill=1.0, threshold=alarm["Threshold"], further_days=further_days)

    def state(self, values: Sequence[Value], at: datetime) -> str:
        """The state that an evaluation at an instant comes to."""
        last = at.astimezone(self.zone).date() - timedelta(days=1)
        days = [last - timedelta(days=n) for n in range(self.further_days, -1, -1)]
        told: dict[date, list[float]] = {day: [] for day in days}
        for value in values:
            day = value.of.astimezone(self.zone).date()
            if day in told and value.arrived <= at:
                told[day].append(value.value)
        points = [min(told[day], default=None) for day in days]
        if self.fill is not None and any(point is not None for point in points):
            points = [self.fill if point is None else point for point in points]
        found = [point for point in points if point is not None]
        is_bad = not found or found[-1] >= self.threshold  # without any, missing data is breaching
        return ALARM if is_bad else OK

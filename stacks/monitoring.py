"""Monitoring: who is told when something is wrong, and the page that shows how the pipeline does.

Whatever is told goes to one SNS topic. What a metric shows is an alarm; what Glue and Athena report as an event
is an EventBridge rule, since neither has a metric of it. Each says what happened, what to do, and which section
of the runbook has the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import cast
from zoneinfo import ZoneInfo

from aws_cdk import Arn, ArnComponents, ArnFormat, Aws, Duration, Stack
from aws_cdk.aws_cloudwatch import (
    Alarm,
    AlarmStatusWidget,
    CfnAlarm,
    ComparisonOperator,
    Dashboard,
    GraphWidget,
    IMetric,
    IWidget,
    LogQueryVisualizationType,
    LogQueryWidget,
    MathExpression,
    Metric,
    Row,
    Stats,
    TextWidget,
    TreatMissingData,
)
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_events import EventField, EventPattern, Rule, RuleTargetInput
from aws_cdk.aws_events_targets import SnsTopic
from aws_cdk.aws_iam import PolicyStatement, ServicePrincipal
from aws_cdk.aws_lambda import IFunction
from aws_cdk.aws_s3 import Bucket
from aws_cdk.aws_sns import Topic
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from aws_cdk.aws_sqs import Queue
from constructs import Construct

from scraper.metrics import DIMENSION, NAMESPACE
from scraper.metrics import Metric as Name

INVARIANT_BROKEN = "invariant broken"
"""With which the job's message begins when the refined rows do not add up to the raw quotes."""

_NOON = 12
_SAO_PAULO = ZoneInfo("America/Sao_Paulo")
_A_MORNING = Duration.hours(6)
"""From one failure to the last one that is told with it: a morning's three runs are one message."""
_A_DAY = Duration.days(1)
_MEASURED_SINCE = "-P28D"


class Section(StrEnum):
    """A section of the runbook, by its anchor; also the name of its alarm or rule."""

    NO_NEW_SESSION = "no-new-session"
    SCRAPER_ERRORS = "scraper-errors"
    QUARANTINE_USED = "quarantine-used"
    DEAD_LETTERS_WAITING = "dead-letters-waiting"
    GLUE_RUN_FAILED = "glue-run-failed"
    GLUE_RUN_TOO_LONG = "glue-run-too-long"
    INVARIANT_BROKEN = "invariant-broken"
    ATHENA_CUTOFF_HIT = "athena-cutoff-hit"


def session_deadline(schedule_hours: Sequence[int]) -> time:
    """When D-1 is to be there, in São Paulo: half an hour after the last run of the morning.

    The run takes at most a quarter of one, and whoever is told is told before noon. Of a schedule without a
    morning it is the last run of the day.
    """
    morning = [hour for hour in schedule_hours if hour < _NOON]
    return time(max(morning or schedule_hours), 30)


def offset_of_midnight(deadline: time) -> str:
    """The offset from UTC of a place where it is midnight when it is that time in São Paulo, such as `+09:30`.

    CloudWatch evaluates whole days, from midnight to midnight of a time zone: by this one, from one day's
    deadline to the next day's. São Paulo has had no daylight saving time since 2019.
    """
    winter = datetime(2026, 7, 1, deadline.hour, deadline.minute, tzinfo=_SAO_PAULO)
    utc = timedelta(hours=deadline.hour, minutes=deadline.minute) - (winter.utcoffset() or timedelta())
    minutes = -(utc // timedelta(minutes=1)) % (24 * 60)
    if minutes > _NOON * 60:
        minutes -= 24 * 60
    hours, minutes = divmod(abs(minutes), 60) if minutes >= 0 else divmod(-minutes, 60)
    raise NotImplementedError

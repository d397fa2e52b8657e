"""Monitoring: who is told when something is wrong, and the page that shows how the pipeline does.

Whatever is told goes to one SNS topic. What a metric shows is an alarm; what Glue and Athena report as an
event is an EventBridge rule, as neither has a metric of it. Each says what happened, what to do, and which
section of the runbook has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from enum import StrEnum
from typing import cast

from aws_cdk import Aws, Duration, Stack
from aws_cdk.aws_cloudwatch import (
    Alarm,
    AlarmStatusWidget,
    CfnAlarm,
    ComparisonOperator,
    Dashboard,
    GraphWidget,
    IAlarm,
    IMetric,
    LogQueryWidget,
    MathExpression,
    Metric,
    TextWidget,
    TreatMissingData,
)
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_events import EventField, EventPattern, Rule, RuleTargetInput
from aws_cdk.aws_events_targets import SnsTopic
from aws_cdk.aws_iam import PolicyStatement, ServicePrincipal
from aws_cdk.aws_lambda import CfnFunction, Function
from aws_cdk.aws_logs import LogGroup
from aws_cdk.aws_s3 import Bucket
from aws_cdk.aws_sns import Topic
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from aws_cdk.aws_sqs import Queue
from constructs import Construct

from scraper.runtime.metrics import DIMENSION, NAMESPACE
from scraper.runtime.metrics import Metric as Name

INVARIANT_BROKEN = "invariant broken"
"""The words with which the job's message begins when the refined rows do not add up to the raw quotes."""

_SAO_PAULO_MINUTES = -3 * 60
"""From UTC. São Paulo has had no daylight saving time since 2019."""
_NOON = 12
_A_DAY_OF_MINUTES = 24 * 60

_DEFAULT_MEMORY_MB = 128  # Lambda's

_DAY = Duration.days(1)
_MORNING = Duration.hours(6)
"""A failure within so long of another one is told with it: a morning's three runs are one message."""


class Section(StrEnum):
    """A section of the runbook, by its anchor, which is also the name of its alarm or rule."""

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

    The run has a quarter of an hour at most, and whoever is told is told before noon. Of a schedule without a
    morning it is the last run of the day.
    """
    morning = [hour for hour in schedule_hours if hour < _NOON]
    return time(max(morning or schedule_hours), 30)


def offset_of_midnight(deadline: time) -> str:
    """The offset from UTC of where it is midnight when it is that time in São Paulo: `+09:30` of 11:30.

    CloudWatch evaluates whole days, from one midnight of a time zone to the next. By those of this place, it
    does so from one day's deadline to the next day's.
    """
    in_utc = deadline.hour * 60 + deadline.minute - _SAO_PAULO_MINUTES
    ahead = -in_utc % _A_DAY_OF_MINUTES
    if ahead > _A_DAY_OF_MINUTES // 2:
        ahead -= _A_DAY_OF_MINUTES
    hours, minutes = divmod(abs(ahead), 60)
    return f"{'-' if ahead < 0 else '+'}{hours:02}:{minutes:02}"


class Monitoring(Construct):
    """The topic, the alarms and rules that publish to it, and the dashboard.

    Attributes:
        topic: Where all of them publish.
        dashboard: The page.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarm_email: str | None,
        runbook_url: str,
        schedule_hours: tuple[int, ...],
        functions: Mapping[str, Function],
        dead_letters: Queue,
        job_name: str,
        job_workers: int,
        job_log: LogGroup,
        buckets: Mapping[str, Bucket],
        workgroup: str,
        scan_cutoff_mb: int,
    ) -> None:
        """Makes them.

        Args:
            scope: The stack.
            construct_id: Its name in the stack.
            alarm_email: An address that is subscribed to the topic; None for none.
            runbook_url: Address of the runbook, to which a section's anchor is appended.
            schedule_hours: Hours in São Paulo at which the scraper runs.
            functions: The functions by a short name; the scraper's is "scraper".
            dead_letters: S3 events for which no job run could be started.
            job_name: The Glue job.
            job_workers: Its workers.
            job_log: What its runs print.
            buckets: The buckets by a short name.
            workgroup: The Athena workgroup.
            scan_cutoff_mb: Megabytes at which Athena cancels a query of the workgroup.
        """
        super().__init__(scope, construct_id)
        self._stack = Stack.of(self).stack_name
        self._runbook_url = runbook_url
        self.topic = self._build_topic(alarm_email)
        alarms = [
            self._build_no_new_session(session_deadline(schedule_hours)),
            self._build_scraper_errors(functions["scraper"]),
            self._build_quarantine_used(),
            self._build_dead_letters_waiting(dead_letters),
        ]
        self._allow_alarms(alarms)
        self._rules: dict[Section, Rule] = {}
        self._build_job_rules(job_name)
        self._build_cutoff_rule(workgroup, scan_cutoff_mb)
        self.dashboard = Dashboard(
            self, "Dashboard", dashboard_name=self._stack, default_interval=Duration.days(28)
        )
        self._add_alarms(alarms)
        self._add_volumes()
        self._add_durations(functions, job_log, job_workers)
        self._add_cost_drivers(functions, workgroup, buckets)
        self._add_failures(functions, dead_letters)

    def _build_topic(self, email: str | None) -> Topic:
        # Without a key of its own: one that alarms and rules may use costs more in a month than all the rest.
        # SNS keeps what it stores on encrypted disks, and no message holds a secret.
        topic = Topic(self, "Topic", display_name=self._stack, enforce_ssl=True)
        if email is not None:
            topic.add_subscription(EmailSubscription(email))
        return topic

    # Alarms

    def _build_no_new_session(self, deadline: time) -> Alarm:
        missing = self._metric(Name.SESSIONS_MISSING, "Minimum")
        alarm = self._build_alarm(
            Section.NO_NEW_SESSION,
            # Of a day without a run there is no datapoint, and CloudWatch would go on with the day before
            MathExpression(
                expression="FILL(missing, 1)",
                using_metrics={"missing": missing},
                period=_DAY,
                label="Sessions missing after the best run of the morning",
            ),
            missing_data=TreatMissingData.BREACHING,
            happened=f"By {deadline:%H:%M} in São Paulo no run of the scraper had every session up to "
            "yesterday's in the raw bucket, or there was no run, as before a deployment's first morning.",
            to_do="Look at the scraper's log of this morning. If B3 was late, invoke the scraper again. If "
            "the exchange was closed on a day that is a session in the calendar, do nothing: tomorrow the "
            "alarm is over.",
        )
        cast(CfnAlarm, alarm.node.default_child).evaluation_window = CfnAlarm.EvaluationWindowProperty(
            wall_clock_window=CfnAlarm.WallClockWindowProperty(timezone=offset_of_midnight(deadline))
        )
        return alarm

    def _build_scraper_errors(self, scraper: Function) -> Alarm:
        return self._build_alarm(
            Section.SCRAPER_ERRORS,
            scraper.metric_errors(period=_MORNING),
            missing_data=TreatMissingData.NOT_BREACHING,
            happened="A run of the scraper failed: it could not fetch, read or write a file, or broke off.",
            to_do="Look for the lines of level ERROR in its log. What a run misses, the next one takes by "
            "itself; act if the last run of the morning failed, too.",
        )

    def _build_quarantine_used(self) -> Alarm:
        return self._build_alarm(
            Section.QUARANTINE_USED,
            self._metric(Name.FILES_QUARANTINED, "Sum", _MORNING),
            missing_data=TreatMissingData.NOT_BREACHING,
            happened="B3 served a file that the reader refused. It lies below quarantine/ in the raw "
            "bucket, the reason in its metadata; nothing of it is in the tables.",
            to_do="Read the reason. If B3's file is damaged, the next run takes the corrected one; if B3 has "
            "changed its layout, the reader has to follow.",
        )

    def _build_dead_letters_waiting(self, queue: Queue) -> Alarm:
        return self._build_alarm(
            Section.DEAD_LETTERS_WAITING,
            queue.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(5), statistic="Maximum"
            ),
            missing_data=TreatMissingData.NOT_BREACHING,
            happened="A new raw session did not start the Glue job, after three attempts; its event waits "
            "on the dead-letter queue, for 14 days.",
            to_do="Look at the starter's log for why, mend it, start the job for the session that the "
            "message names, and delete the message.",
        )

    def _build_alarm(
        self,
        section: Section,
        metric: IMetric,
        *,
        missing_data: TreatMissingData,
        happened: str,
        to_do: str,
    ) -> Alarm:
        """An alarm at a single datapoint of 1 or more."""
        alarm = Alarm(
            self,
            _words(section),
            alarm_name=f"{self._stack}-{section}",
            alarm_description=f"{happened} What to do: {to_do} Runbook: {self._section(section)}",
            metric=metric,
            threshold=1,
            comparison_operator=ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=missing_data,
        )
        alarm.add_alarm_action(SnsAction(self.topic))
        return alarm

    def _allow_alarms(self, alarms: Sequence[Alarm]) -> None:
        self.topic.add_to_resource_policy(
            PolicyStatement(
                principals=[ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "ArnEquals": {"aws:SourceArn": [alarm.alarm_arn for alarm in alarms]},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )

    # Rules

    def _build_job_rules(self, job_name: str) -> None:
        run, state = EventField.from_path("$.detail.jobRunId"), EventField.from_path("$.detail.state")
        # Not the run's message itself: EventBridge would not escape the quotes in it
        look = (
            f"aws glue get-job-run --job-name {EventField.from_path('$.detail.jobName')} --run-id {run} "
            "--query 'JobRun.[Arguments,ErrorMessage]'"
        )
        is_broken = {"wildcard": f"*{INVARIANT_BROKEN}*"}
        failed = {"jobName": [job_name], "state": ["FAILED", "TIMEOUT", "ERROR", "EXPIRED"]}
        self._build_rule(
            Section.GLUE_RUN_FAILED,
            EventPattern(
                source=["aws.glue"],
                detail_type=["Glue Job State Change"],
                detail={**failed, "message": [{"exists": False}, {"anything-but": is_broken}]},
            ),
            happened=f"Run {run} of the Glue job ended in state {state}. What it had not yet published "
            "is as it was before.",
            to_do=f"See which session and why ({look}), mend it, and start the job for it again.",
        )
        self._build_rule(
            Section.INVARIANT_BROKEN,
            EventPattern(
                source=["aws.glue"],
                detail_type=["Glue Job State Change"],
                detail={**failed, "message": [is_broken]},
            ),
            happened=f"Run {run} of the Glue job refused to publish: the refined rows did not add up to "
            "the raw quotes. Nothing of the session was written.",
            to_do=f"See the session and the figures expected and found ({look}), and compare them with "
            "the raw table before anything is run again.",
        )
        self._build_rule(
            Section.GLUE_RUN_TOO_LONG,
            EventPattern(
                source=["aws.glue"],
                detail_type=["Glue Job Run Status"],
                detail={"jobName": [job_name]},
            ),
            happened=f"Run {run} of the Glue job is in state {state} and has taken more than half of its "
            "time-out.",
            to_do="Look at its log for how far it is; it ends by itself at the time-out. If it hangs, "
            "stop it and start the job for the session again.",
        )

    def _build_cutoff_rule(self, workgroup: str, scan_cutoff_mb: int) -> None:
        query = EventField.from_path("$.detail.queryExecutionId")
        self._build_rule(
            Section.ATHENA_CUTOFF_HIT,
            EventPattern(
                source=["aws.athena"],
                detail_type=["Athena Query State Change"],
                # The event does not say why; a query that a person cancels is told, too
                detail={"workgroupName": [workgroup], "currentState": ["CANCELLED"]},
            ),
            happened=f"Athena cancelled query {query}: by the limit of {scan_cutoff_mb} MB that a query of "
            "this workgroup may scan, unless somebody did.",
            to_do=f"aws athena get-query-execution --query-execution-id {query} tells which. Restrict the "
            "query to the sessions and columns that it needs, or ask the compact table.",
        )

    def _build_rule(self, section: Section, pattern: EventPattern, *, happened: str, to_do: str) -> None:
        rule = Rule(
            self,
            _words(section),
            # Its name is CloudFormation's: EventBridge takes 64 characters, which a stack's name may fill
            description=f"Tells the alarms' topic: {section}. Runbook: {self._section(section)}",
            event_pattern=pattern,
        )
        text = f"{self._stack}, {section}: {happened} What to do: {to_do} Runbook: {self._section(section)}"
        rule.add_target(SnsTopic(self.topic, message=RuleTargetInput.from_text(text)))
        self._rules[section] = rule

    def _section(self, section: Section) -> str:
        return f"{self._runbook_url}#{section}"

    # The dashboard, from top to bottom

    def _add_alarms(self, alarms: Sequence[IAlarm]) -> None:
        text = (
            f"**{self._stack}**: what the alarms say, what came in, how long it took, what costs, what "
            f"failed. What to do: {self._runbook_url}"
        )
        self.dashboard.add_widgets(TextWidget(markdown=text, width=24, height=1))
        self.dashboard.add_widgets(AlarmStatusWidget(alarms=list(alarms), title="Alarms", width=24, height=3))

    def _add_volumes(self) -> None:
        self.dashboard.add_widgets(
            self._graph("Sessions ingested, a day", self._metric(Name.SESSIONS_INGESTED, "Sum")),
            self._graph("Rows ingested, a day", self._metric(Name.ROWS_INGESTED, "Sum")),
            self._graph("Volume ingested, a day [BRL]", self._metric(Name.VOLUME_INGESTED, "Sum")),
        )

    def _add_durations(self, functions: Mapping[str, Function], log: LogGroup, workers: int) -> None:
        longest = [
            function.metric_duration(period=_DAY, statistic="Maximum", label=name)
            for name, function in functions.items()
        ]
        self.dashboard.add_widgets(
            self._graph("Functions, longest run of a day [ms]", *longest),
            LogQueryWidget(
                title="Glue job, newest runs: seconds from its first line, by phase, and in DPU-seconds",
                log_group_names=[log.log_group_name],
                query_lines=[
                    "fields @timestamp",
                    r"parse @message /^ *(?<seconds>[0-9.]+) s  done: [^;]+; (?<phases>.+)  "
                    r"\[run=(?<run>\S+) session_date=(?<session_date>\S+)\]/",
                    "filter ispresent(run)",
                    "sort @timestamp desc",
                    f"display session_date, seconds, seconds * {workers} as dpu_seconds, phases, run",
                    "limit 30",
                ],
                width=16,
                height=6,
            ),
        )

    def _add_cost_drivers(
        self, functions: Mapping[str, Function], workgroup: str, buckets: Mapping[str, Bucket]
    ) -> None:
        durations = {
            name: function.metric_duration(period=_DAY, statistic="Sum")
            for name, function in functions.items()
        }
        gib_seconds = " + ".join(
            f"{name} / 1000 * {_memory_mb(function) / 1024:g}" for name, function in functions.items()
        )
        search = f'Namespace="AWS/Athena" MetricName="ProcessedBytes" WorkGroup="{workgroup}"'
        self.dashboard.add_widgets(
            self._graph(
                "Functions, a day [GiB s]",
                MathExpression(
                    expression=gib_seconds, using_metrics=durations, period=_DAY, label="all functions"
                ),
            ),
            self._graph(
                "Athena, scanned a day [bytes]",
                MathExpression(
                    expression=f"SEARCH('{search}', 'Sum', {_DAY.to_seconds()})", period=_DAY, label=""
                ),
            ),
            self._graph(
                "Buckets [bytes]",
                *[
                    Metric(
                        namespace="AWS/S3",
                        metric_name="BucketSizeBytes",
                        dimensions_map={"BucketName": bucket.bucket_name, "StorageType": "StandardStorage"},
                        statistic="Average",
                        period=_DAY,
                        label=name,
                    )
                    for name, bucket in buckets.items()
                ],
            ),
        )

    def _add_failures(self, functions: Mapping[str, Function], queue: Queue) -> None:
        files = [
            self._metric(Name.SESSIONS_MISSING, "Minimum"),
            self._metric(Name.FILES_QUARANTINED, "Sum"),
            self._metric(Name.FILES_FAILED, "Sum"),
            self._metric(Name.ACTIONS_FAILED, "Sum"),
            self._metric(Name.NEWS_IN_FILES, "Sum"),
            self._metric(Name.ODD_VALUES_KEPT, "Sum"),
        ]
        errors = [
            function.metric_errors(period=_DAY, label=f"{name}, errors")
            for name, function in functions.items()
        ]
        told = [
            Metric(
                namespace="AWS/Events",
                metric_name="TriggeredRules",
                dimensions_map={"RuleName": rule.rule_name},
                statistic="Sum",
                period=_DAY,
                label=section,
            )
            for section, rule in self._rules.items()
        ]
        waiting = queue.metric_approximate_number_of_messages_visible(
            period=_DAY, statistic="Maximum", label="dead letters waiting"
        )
        self.dashboard.add_widgets(
            self._graph("Files, a day", *files),
            self._graph("Functions and dead letters, a day", *errors, waiting),
            self._graph("Glue and Athena, told a day", *told),
        )

    def _metric(self, name: Name, statistic: str, period: Duration = _DAY) -> Metric:
        return Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={DIMENSION: self._stack},
            statistic=statistic,
            period=period,
        )

    @staticmethod
    def _graph(title: str, *metrics: IMetric) -> GraphWidget:
        return GraphWidget(title=title, left=list(metrics), width=8, height=6)


def _memory_mb(function: Function) -> float:
    return cast(CfnFunction, function.node.default_child).memory_size or _DEFAULT_MEMORY_MB


def _words(section: Section) -> str:
    return "".join(word.capitalize() for word in section.split("-"))

"""The settings of a deployment: the context of `cdk.json` and `cdk -c key=value`, read once and checked.

`cdk.json` holds every value, this module what each one means and which values it may have. The command line
passes text for whatever type (`-c schedule_hours=7,9,11`), so each reader accepts both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from aws_cdk import RemovalPolicy
from aws_cdk.aws_logs import RetentionDays

REPOSITORY = Path(__file__).resolve().parent.parent

CREATE_KEY = "create"
"""The setting `kms_key` that has the stack create a key."""

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_REMOVAL_POLICIES = {
    # What a first deployment that failed has made is nobody's data, and is removed with it
    "retain": RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    "destroy": RemovalPolicy.DESTROY,
}
_RETENTIONS = {
    1: RetentionDays.ONE_DAY,
    3: RetentionDays.THREE_DAYS,
    5: RetentionDays.FIVE_DAYS,
    7: RetentionDays.ONE_WEEK,
    14: RetentionDays.TWO_WEEKS,
    30: RetentionDays.ONE_MONTH,
    60: RetentionDays.TWO_MONTHS,
    90: RetentionDays.THREE_MONTHS,
    180: RetentionDays.SIX_MONTHS,
    365: RetentionDays.ONE_YEAR,
}


class JobMode(StrEnum):
    """What the refine job is deployed as: a script, or a graph that Glue Studio opens."""

    SCRIPT = "script"
    VISUAL = "visual"


class ConfigError(ValueError):
    """A setting that is missing, unknown, or not what it has to be."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one deployment.

    Attributes:
        stack_name: Name of the CloudFormation stack and of what has to have a name in the account: the
            workgroup and the log groups of the job. Two pipelines in one account and region need two names.
        existing_role: Name or ARN of a role that every function, the job and the schedule use, so that the
            stack has no IAM resource and is deployed by the caller's credentials; None for roles of its own.
        removal_policy: What becomes of buckets and their data when the stack is deleted.
        kms_key: What encrypts buckets, queues, topics, logs and query results: None for keys of AWS's own
            (S3-managed), `CREATE_KEY` for a key that the stack creates, or the ARN of a key.
        operators: IAM principals that may write the raw bucket beside the pipeline's own roles, to load
            sessions from a terminal: ARNs, or `user/<name>` and `role/<path and name>` of the stack's own
            account, with `*` for any characters. Nobody but the job writes the refined bucket.
        raw_database: Glue database with the raw tables; the stack creates it. By default it has the stack's
            name: `bovespa` for BovespaPipeline, `other_name` for OtherName.
        refined_database: Glue database of the refined table; the job creates it where it is missing.
        refined_table: The refined table; the job creates it. By default `bovespa_daily` for BovespaPipeline,
            `other_name_daily` for OtherName.
        wide_sessions: How many sessions the refined table keeps, the newest; 0 keeps all. The compact table
            has every session all the same. The Data Catalog charges for partitions beyond its first million
            objects, and the refined table has some 1,400 a session, in each of its two indexes once more.
        quotes_base_url: Address below which B3 serves COTAHIST.
        index_base_url: Address below which B3 serves portfolios and levels of indices, and corporate actions.
        index_codes: Indices whose portfolios and levels are taken, and whose members are listed, as IBOV and
            SMLL. `index_weight`, `sector` and the columns beside them in the refined table are of the first.
        lookback_sessions: How many sessions back a run looks for missing ones.
        corporate_actions_calls: How many calls for corporate actions a run makes at most, at two seconds
            each, for four minutes; 0 for none.
        extra_ca_file: A PEM file with further certificates to verify B3's hosts by; None for the usual ones.
        pandas_layer_arn: A layer version to use instead of AWS's own AWSSDKPandas; None for that one.
        schedule_hours: Hours of the day, in São Paulo, at which the scraper runs.
        glue_job_mode: Whether the job is deployed as a script or as a graph; both make the same table.
        glue_worker_count: G.1X workers of the job, its driver among them.
        glue_concurrent_runs: How many runs of the job go at a time; the others wait for their turn. As a
            graph it has one, whatever is set: what Glue's own targets do beside each other is not documented.
        glue_timeout_minutes: Minutes after which a job run is stopped.
        athena_scan_cutoff_mb: Megabytes at which Athena cancels a query of the workgroup.
        athena_notebook: Whether there is a Spark workgroup, too, whose notebooks run in Athena's console.
        query_result_days: Days for which query results are kept.
        log_retention: How long logs are kept.
        alarm_email: An address that alarms are sent to, once it has confirmed; None for none.
        runbook_url: Address of the runbook, for the alarms to name; by default its path in this repository.
        tags: Tags of every resource.
    """

    stack_name: str
    existing_role: str | None
    removal_policy: RemovalPolicy
    kms_key: str | None
    operators: tuple[str, ...]
    raw_database: str
    refined_database: str
    refined_table: str
    wide_sessions: int
    quotes_base_url: str
    index_base_url: str
    index_codes: tuple[str, ...]
    lookback_sessions: int
    corporate_actions_calls: int
    extra_ca_file: Path | None
    pandas_layer_arn: str | None
    schedule_hours: tuple[int, ...]
    glue_job_mode: JobMode
    glue_worker_count: int
    glue_concurrent_runs: int
    glue_timeout_minutes: int
    athena_scan_cutoff_mb: int
    athena_notebook: bool
    query_result_days: int
    log_retention: RetentionDays
    alarm_email: str | None
    runbook_url: str
    tags: Mapping[str, str]

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> Self:
        """Read the settings from the context of a CDK app.

        Args:
            context: All of the app's context. Keys with a `:`, `/` or `@` in them are the CDK's own.

        Raises:
            ConfigError: A setting is missing, unknown, or not what it has to be.
        """
        read = _Reader(context)
        stack_name = read.text("stack_name", r"[A-Za-z][A-Za-z0-9-]{0,99}", "letters, digits and hyphens")
        own_name = _catalogued(stack_name)
        mode = JobMode(read.choice("glue_job_mode", list(JobMode)))
        runs = read.integer("glue_concurrent_runs", 1, 50)
        config = cls(
            stack_name=stack_name,
            existing_role=read.optional_text(
                "existing_role",
                r"(arn:[^:*]+:iam::\d{12}:role/)?[\w+=,.@/-]*[\w+=,.@-]",
                "the name of a role, such as LabRole, or its ARN",
            ),
            removal_policy=_REMOVAL_POLICIES[read.choice("removal_policy", _REMOVAL_POLICIES)],
            kms_key=read.optional_text(
                "kms_key",
                rf"{CREATE_KEY}|arn:[^:]+:kms:[^:]+:\d{{12}}:key/[\w-]+",
                f"nothing, {CREATE_KEY!r}, or the ARN of a KMS key",
            ),
            operators=read.optional_texts(
                "operators",
                r"(arn:[^:*]+:iam::\d{12}:)?(user|role)/[\w+=,.@*/-]+",
                "IAM users and roles such as user/ana, role/admin, or their ARNs",
            ),
            raw_database=read.identifier("raw_database", default=own_name),
            refined_database=read.identifier("refined_database"),
            refined_table=read.identifier("refined_table", default=f"{own_name}_daily"),
            wide_sessions=read.integer("wide_sessions", 0, 10_000),
            quotes_base_url=read.address("quotes_base_url"),
            index_base_url=read.address("index_base_url"),
            index_codes=read.texts(
                "index_codes", r"[A-Z0-9]{1,12}", "index codes separated by commas, such as IBOV,SMLL"
            ),
            lookback_sessions=read.integer("lookback_sessions", 1, 250),
            corporate_actions_calls=read.integer("corporate_actions_calls", 0, 200),
            extra_ca_file=read.optional_file("extra_ca_file"),
            pandas_layer_arn=read.optional_text(
                "pandas_layer_arn",
                r"arn:[^:]+:lambda:[^:]+:\d{12}:layer:[^:]+:\d+",
                "the ARN of a layer version",
            ),
            schedule_hours=read.integers("schedule_hours", 0, 23),
            glue_job_mode=mode,
            glue_worker_count=read.integer("glue_worker_count", 2, 50),
            glue_concurrent_runs=runs if mode is JobMode.SCRIPT else 1,
            glue_timeout_minutes=read.integer("glue_timeout_minutes", 5, 2880),
            athena_scan_cutoff_mb=read.integer("athena_scan_cutoff_mb", 10, 1_000_000),
            athena_notebook=read.boolean("athena_notebook"),
            query_result_days=read.integer("query_result_days", 1, 3650),
            log_retention=_RETENTIONS[
                int(read.choice("log_retention_days", [str(days) for days in _RETENTIONS]))
            ],
            alarm_email=read.optional_text("alarm_email", r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address"),
            runbook_url=read.text("runbook_url", r"[^\s#]+", "an address without blanks and without #"),
            tags=read.pairs("tags"),
        )
        if config.raw_database == config.refined_database:
            raise ConfigError(
                f"raw_database and refined_database are both {config.raw_database!r}, expected two names: "
                "the stack owns the first database and the job the second"
            )
        if config.wide_sessions and config.glue_job_mode is JobMode.VISUAL:
            raise ConfigError(
                f"wide_sessions is {config.wide_sessions} and glue_job_mode is {JobMode.VISUAL.value!r}: the "
                "visual job takes no session out of its tables; set wide_sessions to 0, or glue_job_mode to "
                f"{JobMode.SCRIPT.value!r}"
            )
        if config.existing_role:
            config.refuse_beside_existing_role()
        read.refuse_unknown()
        return config

    def refuse_beside_existing_role(self) -> None:
        """Refuse settings that need permissions which nobody can give a role that is there already.

        Raises:
            ConfigError: One of them is set.
        """
        wrong = {
            "kms_key": self.kms_key and "whether the role may use a key, its owner's policies say",
            "athena_notebook": self.athena_notebook
            and "Athena for Apache Spark has not been shown to run with a role of that kind",
        }
        for key, reason in wrong.items():
            if reason:
                raise ConfigError(
                    f"{key} is set, and existing_role is {self.existing_role!r}: {reason}; leave {key} as it "
                    "is in cdk.json"
                )


def context_of(settings: Sequence[str]) -> dict[str, object]:
    """The context of `cdk.json`, and over it settings as the CDK's command line takes them.

    Raises:
        ConfigError: One is not name=value.
    """
    context: dict[str, object] = json.loads((REPOSITORY / "cdk.json").read_text(encoding="utf-8"))["context"]
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise ConfigError(f"-c {setting}: expected a setting of cdk.json as name=value")
        context[name] = value
    return context


class _Reader:
    """Takes settings out of a context, and remembers which."""

    def __init__(self, context: Mapping[str, object]) -> None:
        self._context = context
        self._known: set[str] = set()

    def text(self, key: str, pattern: str, expected: str) -> str:
        return _match(key, str(self._value(key)).strip(), pattern, expected)

    def optional_text(self, key: str, pattern: str, expected: str) -> str | None:
        return self.text(key, pattern, expected) if self._given(key) else None

    def identifier(self, key: str, default: str | None = None) -> str:
        """A name in the Glue Data Catalog that Athena takes without surprise."""
        if default is not None and not self._given(key):
            return default
        return self.text(
            key, r"[a-z][a-z0-9_]{0,127}", "a name of lower-case letters, digits and underscores"
        )

    def address(self, key: str) -> str:
        value = str(self._value(key)).rstrip("/")
        parts = urlsplit(value)
        # The scraper speaks plain HTTP to this machine alone: to the sandbox's B3
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not secure or not parts.hostname or parts.query or parts.fragment:
            raise _wrong(key, value, "https://<host>, or http:// on this machine")
        return value

    def optional_file(self, key: str) -> Path | None:
        if not self._given(key):
            return None
        path = REPOSITORY / str(self._value(key))  # an absolute path stays as it is
        if not path.is_file():
            raise _wrong(
                key, str(path), "a file that exists; a relative path starts at the folder of cdk.json"
            )
        return path

    def choice(self, key: str, choices: Mapping[str, object] | Sequence[str]) -> str:
        value = str(self._value(key))
        if value not in choices:
            raise _wrong(key, value, f"one of {', '.join(choices)}")
        return value

    def boolean(self, key: str) -> bool:
        value = self._value(key)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text not in ("true", "false"):
            raise _wrong(key, value, "true or false")
        return text == "true"

    def integer(self, key: str, lowest: int, highest: int) -> int:
        return _integer(key, self._value(key), lowest, highest)

    def integers(self, key: str, lowest: int, highest: int) -> tuple[int, ...]:
        return tuple(sorted({_integer(key, item, lowest, highest) for item in self._items(key)}))

    def texts(self, key: str, pattern: str, expected: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_match(key, item, pattern, expected) for item in self._items(key)))

    def optional_texts(self, key: str, pattern: str, expected: str) -> tuple[str, ...]:
        return self.texts(key, pattern, expected) if self._value(key) and self._given(key) else ()

    def pairs(self, key: str) -> Mapping[str, str]:
        """A mapping, on the command line written `-c tags=project=bovespa,owner=me`."""
        value = self._value(key)
        if isinstance(value, Mapping):
            return {str(name): str(text) for name, text in value.items()}
        pairs = [item.partition("=") for item in self._items(key)]
        for name, equals, _ in pairs:
            if not name or not equals:
                raise _wrong(key, value, "name=value pairs, separated by commas")
        return {name: text for name, _, text in pairs}

    def refuse_unknown(self) -> None:
        """Refuse plain keys that nothing has read, so that a slip of the pen is not silently ignored."""
        unknown = sorted(
            key for key in self._context if re.fullmatch(r"[\w-]+", key) and key not in self._known
        )
        if unknown:
            raise ConfigError(
                f"unknown setting {', '.join(unknown)}: there are {', '.join(sorted(self._known))}"
            )

    def _given(self, key: str) -> bool:
        return str(self._value(key)).strip() != ""

    def _items(self, key: str) -> list[str]:
        value = self._value(key)
        items = value if isinstance(value, list) else str(value).split(",")
        texts = [str(item).strip() for item in items if str(item).strip()]
        if not texts:
            raise _wrong(key, value, "at least one value")
        return texts

    def _value(self, key: str) -> object:
        self._known.add(key)
        if key not in self._context:
            raise ConfigError(f"{key} is not set: add it to the context in cdk.json, or pass -c {key}=...")
        return self._context[key]


def _catalogued(stack_name: str) -> str:
    """What a stack's name becomes in the catalog, so that two stacks of an account do not share a table."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", stack_name.removesuffix("Pipeline") or stack_name)
    return words.lower().strip("_")


def _match(key: str, value: str, pattern: str, expected: str) -> str:
    if not re.fullmatch(pattern, value):
        raise _wrong(key, value, expected)
    return value


def _integer(key: str, value: object, lowest: int, highest: int) -> int:
    # Node hands numbers over as floats; a boolean is no number here
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    if not re.fullmatch(r"-?\d+", text) or not lowest <= int(text) <= highest:
        raise _wrong(key, value, f"a whole number from {lowest} to {highest}")
    return int(text)


def _wrong(key: str, value: object, expected: str) -> ConfigError:
    return ConfigError(f"{key} is {value!r}, expected {expected} (cdk.json, or -c {key}=...)")

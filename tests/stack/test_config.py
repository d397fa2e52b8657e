from __future__ import annotations

from pathlib import Path

import pytest
from aws_cdk import RemovalPolicy
from aws_cdk.aws_logs import RetentionDays

import app
from stacks.config import Config, ConfigError, JobMode
from tests.stack.synthesis import CONTEXT


def _config(**settings: object) -> Config:
    return Config.from_context({**CONTEXT, **settings})


def test_the_settings_in_cdk_json_are_complete() -> None:
    config = _config()

    assert config.stack_name == "BovespaPipeline"
    assert config.removal_policy is RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    assert config.raw_database == "bovespa"
    assert (config.refined_database, config.refined_table) == ("default", "bovespa_daily")
    assert config.glue_job_mode is JobMode.SCRIPT
    assert config.glue_concurrent_runs == 3
    assert config.wide_sessions == 0
    assert config.athena_notebook is False
    assert config.kms_key is None
    assert config.operators == ("user/*", "role/aws-reserved/sso.amazonaws.com/*")
    assert config.index_codes == ("IBOV",)
    assert config.schedule_hours == (7, 9, 11)
    assert config.log_retention is RetentionDays.ONE_MONTH
    assert config.extra_ca_file is None
    assert config.pandas_layer_arn is None
    assert config.alarm_email is None
    assert config.runbook_url == "docs/runbook.md"


@pytest.mark.parametrize(
    ("stack_name", "raw_database", "refined_table"),
    [
        ("OtherName", "other_name", "other_name_daily"),
        ("Bovespa-Test", "bovespa_test", "bovespa_test_daily"),
        ("BovespaPipeline2", "bovespa_pipeline2", "bovespa_pipeline2_daily"),
        ("Pipeline", "pipeline", "pipeline_daily"),
        ("b", "b", "b_daily"),
    ],
)
def test_two_stacks_of_an_account_share_no_table(
    stack_name: str, raw_database: str, refined_table: str
) -> None:
    config = _config(stack_name=stack_name)
    assert (config.raw_database, config.refined_table) == (raw_database, refined_table)
    given = _config(stack_name=stack_name, raw_database="mine", refined_table="my_table")
    assert (given.raw_database, given.refined_table) == ("mine", "my_table")


def test_the_graph_has_one_run_at_a_time_whatever_is_set() -> None:
    """What several of Glue's own targets do beside each other is not documented."""
    assert _config(glue_concurrent_runs="5").glue_concurrent_runs == 5
    assert _config(glue_concurrent_runs="5", glue_job_mode="visual").glue_concurrent_runs == 1


def test_the_command_line_says_everything_in_text() -> None:
    config = _config(
        removal_policy="destroy",
        index_codes="IBOV, SMLL",
        lookback_sessions="3",
        corporate_actions_calls="0",
        wide_sessions="250",
        athena_notebook="true",
        schedule_hours="11,7",
        glue_worker_count="4",
        log_retention_days="7",
        tags="project=bovespa,owner=research",
    )

    assert config.removal_policy is RemovalPolicy.DESTROY
    assert config.index_codes == ("IBOV", "SMLL")
    assert config.lookback_sessions == 3
    assert config.corporate_actions_calls == 0
    assert config.wide_sessions == 250
    assert config.athena_notebook is True
    assert config.schedule_hours == (7, 11)
    assert config.glue_worker_count == 4
    assert config.log_retention is RetentionDays.ONE_WEEK
    assert config.tags == {"project": "bovespa", "owner": "research"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("stack_name", "Bovespa Pipeline", "letters, digits and hyphens"),
        ("existing_role", "a role", "the name of a role, such as LabRole"),
        ("existing_role", "arn:aws:iam::1:role/x", "the name of a role, such as LabRole"),
        ("existing_role", "arn:aws:iam::111122223333:user/ana", "the name of a role, such as LabRole"),
        ("existing_role", "a/", "the name of a role, such as LabRole"),
        ("removal_policy", "delete", "one of retain, destroy"),
        ("kms_key", "yes", "nothing, 'create', or the ARN of a KMS key"),
        ("kms_key", "alias/bovespa", "nothing, 'create', or the ARN of a KMS key"),
        ("kms_key", "arn:aws:kms:sa-east-1:111122223333:alias/bovespa", "the ARN of a KMS key"),
        ("operators", "ana", "user/ana, role/admin"),
        ("operators", "*", "user/ana, role/admin"),
        ("operators", "arn:aws:iam::*:role/admin", "or their ARNs"),
        ("raw_database", "Bovespa", "lower-case"),
        ("refined_table", "bovespa-daily", "underscores"),
        ("wide_sessions", "-1", "whole number from 0 to 10000"),
        ("wide_sessions", "all", "whole number from 0 to 10000"),
        ("quotes_base_url", "bvmf.bmfbovespa.com.br", "https://<host>"),
        ("quotes_base_url", "http://bvmf.bmfbovespa.com.br", "https://<host>"),
        ("index_base_url", "https://", "https://<host>"),
        ("index_base_url", "https://example.com?page=1", "https://<host>"),
        ("index_codes", "", "at least one value"),
        ("index_codes", "ibov", "such as IBOV"),
        ("lookback_sessions", "ten", "whole number from 1 to 250"),
        ("lookback_sessions", "0", "whole number from 1 to 250"),
        ("lookback_sessions", 2.5, "whole number"),
        ("corporate_actions_calls", "-1", "whole number from 0 to 200"),
        ("corporate_actions_calls", "201", "whole number from 0 to 200"),
        ("extra_ca_file", "no-such-file.pem", "a file that exists"),
        ("pandas_layer_arn", "arn:aws:lambda:sa-east-1:layer:Mine", "ARN of a layer version"),
        ("schedule_hours", "7,24", "whole number from 0 to 23"),
        ("glue_job_mode", "notebook", "one of script, visual"),
        ("glue_worker_count", True, "whole number from 2 to 50"),
        ("glue_timeout_minutes", "1", "whole number from 5"),
        ("athena_scan_cutoff_mb", "9", "whole number from 10"),
        ("athena_notebook", "yes", "true or false"),
        ("athena_notebook", "True", "true or false"),
        ("athena_notebook", 1, "true or false"),
        ("athena_notebook", "", "true or false"),
        ("query_result_days", "-1", "whole number from 1"),
        ("log_retention_days", "31", "one of 1, 3, 5, 7, 14, 30"),
        ("alarm_email", "analyst", "an e-mail address"),
        ("alarm_email", "analyst@example", "an e-mail address"),
        ("alarm_email", "a@example.com b@example.com", "an e-mail address"),
        ("runbook_url", "", "an address without blanks and without #"),
        ("runbook_url", "docs/runbook.md#no-new-session", "an address without blanks and without #"),
        ("tags", "project", "name=value"),
    ],
)
def test_a_setting_of_no_use_is_refused_by_its_key(key: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} is .*{expected}"):
        _config(**{key: value})


@pytest.mark.parametrize("key", [key for key in CONTEXT if ":" not in key])
def test_a_missing_setting_is_refused_by_its_key(key: str) -> None:
    context = {name: value for name, value in CONTEXT.items() if name != key}

    with pytest.raises(ConfigError, match=f"^{key} is not set"):
        Config.from_context(context)


def test_there_may_be_no_operators() -> None:
    assert _config(operators="").operators == _config(operators=[]).operators == ()


def test_a_misspelt_setting_is_refused_and_the_cdk_s_own_context_is_not() -> None:
    _config(**{"aws:cdk:bundling-stacks": ["**"], "@aws-cdk/core:newStyleStackSynthesis": True})

    with pytest.raises(ConfigError, match="unknown setting glue_workers"):
        _config(glue_workers=3)


def test_raw_and_refined_data_need_two_databases() -> None:
    with pytest.raises(ConfigError, match="raw_database and refined_database"):
        _config(raw_database="bovespa", refined_database="bovespa")


def test_the_visual_job_cannot_bound_the_wide_table() -> None:
    with pytest.raises(ConfigError, match=r"^wide_sessions is 250 and glue_job_mode is 'visual': .* set "):
        _config(wide_sessions=250, glue_job_mode="visual")

    assert _config(wide_sessions=0, glue_job_mode="visual").wide_sessions == 0


def test_the_slash_at_the_end_of_an_address_does_not_count() -> None:
    assert _config(quotes_base_url="http://127.0.0.1:8080/").quotes_base_url == "http://127.0.0.1:8080"


def test_an_extra_ca_file_is_found_wherever_it_lies(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.touch()

    assert _config(extra_ca_file=str(certificate)).extra_ca_file == certificate


def test_the_first_index_may_be_another_than_the_ibov() -> None:
    assert _config(index_codes="SMLL,IBXX").index_codes == ("SMLL", "IBXX")


def test_codes_with_a_blank_between_them_are_refused_with_what_to_write() -> None:
    with pytest.raises(
        ConfigError, match=r"'IBOV SMLL', expected index codes separated by commas, such as IBOV,SMLL"
    ):
        _config(index_codes="IBOV SMLL")


def test_the_app_ends_with_a_line_for_a_setting_that_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise ConfigError("index_codes is of no use")

    monkeypatch.setattr(app, "build", refuse)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == "Setting refused: index_codes is of no use"

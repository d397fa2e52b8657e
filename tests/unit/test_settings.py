"""The scraper's settings, and the versions that its function is deployed with."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from scraper.b3.cotahist import address as cotahist
from scraper.b3.index_portfolio import address as index_portfolio
from scraper.runtime.settings import BUNDLE, Settings, SettingsError

MINIMUM = {"RAW_BUCKET": "raw"}


def test_what_is_not_set_is_b3_itself_and_the_ibov() -> None:
    assert Settings.from_environment(MINIMUM | {"INDEX_CODES": " "}) == Settings(
        raw_bucket="raw",
        refined_bucket=None,
        quotes_base_url=cotahist.BASE_URL,
        index_base_url=index_portfolio.BASE_URL,
        index_codes=("IBOV",),
        lookback_sessions=10,
        corporate_actions_calls=100,
        session_deadline=time(11, 30),
        extra_ca_file=None,
    )


def test_every_setting_is_read() -> None:
    environment = {
        "RAW_BUCKET": "raw",
        "REFINED_BUCKET": "refined",
        "QUOTES_BASE_URL": "https://quotes.example",
        "INDEX_BASE_URL": "http://127.0.0.1:8080",
        "INDEX_CODES": "ibov, SMLL",
        "LOOKBACK_SESSIONS": "3",
        "CORPORATE_ACTIONS_CALLS": "0",
        "SESSION_DEADLINE": "09:05",
        "EXTRA_CA_FILE": "extra-ca.pem",
    }
    assert Settings.from_environment(environment) == Settings(
        raw_bucket="raw",
        refined_bucket="refined",
        quotes_base_url="https://quotes.example",
        index_base_url="http://127.0.0.1:8080",
        index_codes=("IBOV", "SMLL"),
        lookback_sessions=3,
        corporate_actions_calls=0,
        session_deadline=time(9, 5),
        extra_ca_file=BUNDLE / "extra-ca.pem",
    )


def test_the_extra_ca_file_is_relative_to_the_folder_that_holds_the_package() -> None:
    settings = Settings.from_environment(MINIMUM | {"EXTRA_CA_FILE": "scraper/__init__.py"})
    assert settings.extra_ca_file is not None
    assert settings.extra_ca_file.is_file()
    absolute = Settings.from_environment(MINIMUM | {"EXTRA_CA_FILE": "/etc/extra.pem"})
    assert absolute.extra_ca_file == Path("/etc/extra.pem")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAW_BUCKET", ""),
        ("QUOTES_BASE_URL", "http://bvmf.bmfbovespa.com.br"),
        ("INDEX_BASE_URL", "sistemaswebb3-listados.b3.com.br"),
        ("INDEX_CODES", "IBOV,,SMLL"),
        ("INDEX_CODES", "../IBOV"),
        ("LOOKBACK_SESSIONS", "0"),
        ("LOOKBACK_SESSIONS", "ten"),
        ("CORPORATE_ACTIONS_CALLS", "-1"),
        ("SESSION_DEADLINE", "11"),
        ("SESSION_DEADLINE", "24:00"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}"):
        Settings.from_environment(MINIMUM | {name: value})


def test_what_the_function_is_bundled_with_is_what_the_tests_run_with() -> None:
    repository = Path(__file__).resolve().parents[2]

    def pins(file: str) -> dict[str, str]:
        lines = (repository / file).read_text().splitlines()
        names = (line.partition("==") for line in lines if line and not line.startswith("#"))
        return {name: version for name, _, version in names}

    bundled = pins("scraper/requirements-lambda.txt")
    assert bundled.items() <= pins("constraints.txt").items()
    assert {"requests", "exchange-calendars"} < bundled.keys()
    # Those of the layer and of the runtime: a second copy would not fit
    assert not bundled.keys() & {"pandas", "numpy", "pyarrow", "awswrangler", "boto3", "botocore"}

"""The two ends between which the scraper works, for its tests: a B3 that a test fills, and a raw bucket.

And what its functions print on the way.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow.parquet as pq
import pytest

from lake.keys import CANARY_MEMORY
from sandbox.b3.formats import (
    CashDividend,
    HistoricCash,
    IssuerActions,
    PortfolioRow,
    Quote,
    daily_member_name,
    daily_zip_name,
    encode_cash_history,
    encode_levels,
    encode_portfolio,
    encode_session,
    encode_supplement,
    zip_file,
)
from sandbox.b3.server import (
    B3Server,
    CashHistoryRequest,
    Document,
    LevelsRequest,
    PortfolioRequest,
    SupplementRequest,
)
from sandbox.b3.universe import isin_with_check_digit
from sandbox.b3.years import annual_zip_name, write_year
from scraper.b3.client import B3Client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Shelves:
    """A source for the simulated B3: the files that a test puts on it.

    Attributes:
        files: ZIPs by their name.
        pages: Pages of a portfolio by the index's code.
        levels_of: Levels by session, by the index's code; of the IBOV, and of an index of which there is a
            portfolio, there are none yet.
        actions: What is known of issuers, by their codes.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, list[bytes]] = {}
        self.levels_of: dict[str, dict[date, Decimal]] = {"IBOV": {}}
        self.actions: dict[str, IssuerActions] = {}

    def put_session(self, session: date, *quotes: Quote) -> None:
        text = encode_session(session, quotes or [Quote()])
        self.files[daily_zip_name(session)] = zip_file(text, daily_member_name(session))

    def put_year(self, year: int, sessions: Mapping[date, Sequence[Quote]], **form: Any) -> bytes:
        """The annual ZIP of these sessions, in their order; `form` is of `sandbox.b3.years.write_year`."""
        name = annual_zip_name(year)
        with TemporaryDirectory() as folder:
            write_year(Path(folder, name), sessions.items(), year=year, **form)
            self.files[name] = Path(folder, name).read_bytes()
        return self.files[name]

    def put_portfolio(self, day: date, *tickers: str, index: str = "IBOV", page_size: int = 120) -> None:
        """A portfolio of which the first ticker has what the others, 10 percent each, leave."""
        first, *others = tickers
        weights = dict.fromkeys(others, Decimal(10)) | {first: Decimal(100 - 10 * len(others))}
        rows = [
            PortfolioRow(
                ticker=ticker,
                asset="SIMULADA",
                share_class="ON      NM",
                weight=weight,
                theoretical_quantity=5_000_000_000,
                sector="Bens Indls / Máqs e Equips",
            )
            for ticker, weight in weights.items()
        ]
        answers = encode_portfolio(day, rows, page_size=page_size)
        self.levels_of.setdefault(index, {})
        self.pages[index] = [json.dumps(answer).encode() for answer in answers]

    def quotes(self, name: str) -> Document | None:
        content = self.files.get(name)
        return None if content is None else Document(body=content, content_type="application/zip")

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        pages = self.pages.get(request.index, [])
        if request.page_number > len(pages):
            return None
        return Document(body=pages[request.page_number - 1], content_type="application/json")

    def levels(self, request: LevelsRequest) -> Document | None:
        levels = self.levels_of.get(request.index)
        if levels is None:
            return None
        of_year = {day: level for day, level in levels.items() if day.year == request.year}
        return Document(body=json.dumps(encode_levels(of_year)).encode(), content_type="application/json")

    def put_actions(self, actions: IssuerActions) -> None:
        self.actions[actions.issuer] = actions

    def supplement(self, request: SupplementRequest) -> Document | None:
        actions = self.actions.get(request.issuer)
        if actions is None or actions.is_fund != request.is_fund or not actions.is_listed:
            return None
        body = json.dumps(encode_supplement(actions)).encode()
        return Document(body=body, content_type="application/json")

    def cash_history(self, request: CashHistoryRequest) -> Document | None:
        names = {each.trading_name.replace("/", ""): each for each in self.actions.values()}
        actions = names.get(request.trading_name)
        page = encode_cash_history(
            actions.history if actions else (),
            page_number=request.page_number,
            page_size=request.page_size,
        )
        return Document(body=json.dumps(page).encode(), content_type="application/json")


def client(b3: B3Server, **settings: Any) -> B3Client:
    """A client that tries twice and never pauses."""
    hurried: dict[str, Any] = {"attempts": 2, "sleep": lambda _: None, "actions_pause": 0}
    return B3Client(quotes_base_url=b3.base_url, index_base_url=b3.base_url, **(hurried | settings))


def isin(issuer: str) -> str:
    """That of an issuer's common share."""
    return isin_with_check_digit(f"BR{issuer}ACNOR")


def paid(issuer: str, last: date, *, rate: str = "0.5", **values: Any) -> CashDividend:
    """A dividend to whoever had the share on that day."""
    return CashDividend(
        isin=isin(issuer),
        label="DIVIDENDO",
        rate=Decimal(rate),
        last_date_prior=last,
        approved_on=last,
        **values,
    )


def historic(value: str | int, last: date, **values: Any) -> HistoricCash:
    """The same in the history of a company."""
    given: dict[str, Any] = {"type_stock": "ON", "corporate_action": "DIVIDENDO", "value": Decimal(value)}
    days: dict[str, Any] = dict.fromkeys(("last_date_prior", "approved_on", "closing_price_date"), last)
    return HistoricCash(**(given | days | {"closing_price": Decimal(10)} | values))


class Log:
    """What a function has printed so far: a JSON object a line."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._printed: list[dict[str, Any]] = []

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [line for line in self._read() if "_aws" not in line]

    def metrics(self) -> list[dict[str, Any]]:
        """The lines that CloudWatch makes metrics of."""
        return [line for line in self._read() if "_aws" in line]

    def _read(self) -> list[dict[str, Any]]:
        self._printed += map(json.loads, self._captured.readouterr().out.splitlines())
        return self._printed


class Bucket:
    """A bucket that keeps every version, and what is in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.s3: S3Client = boto3.client("s3")
        self.s3.create_bucket(Bucket=name)
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def keys(self) -> list[str]:
        """Every key but that of the canary, whose memory any new session changes."""
        return [key for key in self._keys() if key != CANARY_MEMORY]

    def _keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def versions(self) -> set[tuple[str, str]]:
        """Key and version of everything that was ever written: the same before and after means no write."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name)
        return {(item["Key"], item["VersionId"]) for page in pages for item in page.get("Versions", [])}

    def content(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Of a Parquet file."""
        return pq.read_table(io.BytesIO(self.content(key))).to_pylist()

    def metadata(self, key: str) -> dict[str, str]:
        return self.s3.head_object(Bucket=self.name, Key=key)["Metadata"]

    def put(self, key: str, content: bytes = b"x") -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=content)

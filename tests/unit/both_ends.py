"""The two ends between which the scraper works, for its tests: a B3 that a test fills, and a raw bucket."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import boto3

from sandbox.b3.formats import (
    PortfolioRow,
    Quote,
    daily_member_name,
    daily_zip_name,
    encode_portfolio,
    encode_session,
    zip_file,
)
from sandbox.b3.server import Document, PortfolioRequest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Shelves:
    """A source for the simulated B3: the files that a test puts on it.

    Attributes:
        files: ZIPs by their name.
        pages: Pages of a portfolio by the index's code.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, list[bytes]] = {}

    def put_session(self, session: date, *quotes: Quote) -> None:
        text = encode_session(session, quotes or [Quote()])
        self.files[daily_zip_name(session)] = zip_file(text, daily_member_name(session))

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
        self.pages[index] = [json.dumps(answer).encode() for answer in answers]

    def quotes(self, name: str) -> Document | None:
        content = self.files.get(name)
        return None if content is None else Document(body=content, content_type="application/zip")

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        pages = self.pages.get(request.index, [])
        if request.page_number > len(pages):
            return None
        return Document(body=pages[request.page_number - 1], content_type="application/json")


class Bucket:
    """A bucket that keeps every version, and what is in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.s3: S3Client = boto3.client("s3")
        self.s3.create_bucket(Bucket=name)
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def keys(self) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def versions(self) -> set[tuple[str, str]]:
        """Key and version of everything that was ever written: the same before and after means no write."""
        listing = self.s3.list_object_versions(Bucket=self.name)
        return {(item["Key"], item["VersionId"]) for item in listing.get("Versions", [])}

    def content(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def metadata(self, key: str) -> dict[str, str]:
        return self.s3.head_object(Bucket=self.name, Key=key)["Metadata"]

    def put(self, key: str, content: bytes = b"x") -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=content)

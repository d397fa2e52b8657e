"""The raw bucket: which sessions it holds, and how Parquet and refused bytes get into it.

Its keys are the contract with the starter function, the Glue job and the raw tables (`lake.keys`):

- `raw/cotahist/`: of each session `daily.parquet`, the one key whose arrival starts the Glue job, or
  `backfill.parquet` in its place for history that was loaded in bulk; a partition holds one of the two
- `raw/cotahist_revisions/`: the lines in which the daily and the annual file of a session differ
- `raw/index_portfolio/`: of each portfolio's date a file an index
- `raw/corporate_actions/`: of each issuer all that B3 has said, merged as it comes
- `raw/index_level/`: of each index and year the levels, as B3 served them last
- `quarantine/<source>/YYYY-MM-DD/<SHA-256>.<extension>`, of a year's file `quarantine/<source>/YYYY/...`;
  the day is the session's, or that of the run that was served what is no session's
- `backfill/`: what was loaded of a year, or why it was not; `canary/`: what the canary has seen;
  `corporate_actions/`: of which issuers corporate actions were asked for, and what each paper's last
  distribution number was

Same content, same bytes: nothing of the clock goes into a file. Content that is there is not written again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import ClientError

from lake import keys
from scraper.b3.arrow import arrow_schema
from scraper.b3.columns import Column
from scraper.b3.corporate_actions.layout import issuer_of
from scraper.b3.corporate_actions.reader import merge
from scraper.b3.cotahist.layout import CASH_MARKET, COTAHIST_COLUMNS, FUND
from scraper.b3.errors import ScraperError
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS
from scraper.b3.oddities import Oddity, TrailerCount, told

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

READER_VERSION = "2"
"""Raise it when the readers make other rows of the same bytes: what older ones wrote is then written anew."""

TRAILER_COUNT, ODDITIES = "trailer-count", "oddities"
"""Names in an object's metadata and its Parquet footer; what readers of version 1 wrote has neither."""

LAST_SESSION = "last-session"
"""Likewise, of levels: the last session that there is one of."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONNECTIONS = 32
"""Requests at once: those of the uploads of several years."""
_WRITES = 5
"""How often an object that others write, too, is tried."""
_OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"})
"""How S3 says that an object is no longer what it was when it was read."""
_METADATA_LIMIT = 1024
"""Characters of a reason. S3 takes 2 KB of metadata with an object, names and values together."""
_ADDRESS_LIMIT = 512
"""Characters of an address, for the same reason. B3's have up to 200."""
_ADDRESS = re.compile(r"(\S+?)(?=, |: found )")
"""The address with which a reader's error begins."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where content comes from; kept as metadata of the S3 object and in the Parquet file's footer.

    Attributes:
        source: Address that it was downloaded from.
        sha256: SHA-256 of what was read, in hexadecimal: of the COTAHIST text, as B3 may pack the same text
            anew, or of the portfolio's pages.
        trailer_count: What the trailer counts; None of a portfolio.
        oddities: What of the file was kept although it is odd.
        last_session: Of levels, the last session; None of all else.
    """

    source: str
    sha256: str
    trailer_count: TrailerCount | None = None
    oddities: tuple[Oddity, ...] = ()
    last_session: date | None = None

    def metadata(self) -> dict[str, str]:
        """As key-value metadata, with the version of the readers."""
        metadata = {"source": self.source, "source-sha256": self.sha256, "reader-version": READER_VERSION}
        if self.trailer_count is not None:
            metadata[TRAILER_COUNT] = self.trailer_count
        if self.oddities:
            metadata[ODDITIES] = told(self.oddities)
        if self.last_session is not None:
            metadata[LAST_SESSION] = self.last_session.isoformat()
        return metadata

    def is_of(self, metadata: Mapping[str, str]) -> bool:
        """Whether an object with this metadata holds the same content, read in the same way."""
        own = self.metadata()
        return all(metadata.get(name) == own[name] for name in ("source-sha256", "reader-version"))


@dataclass(frozen=True, slots=True)
class Partition:
    """What the partition of a session holds, as a listing says.

    Attributes:
        daily: Whether it has a `daily.parquet`.
        backfill: MD5 of its `backfill.parquet`, in hexadecimal, None if it has none. It is the ETag: of an
            object that was not put in one part and encrypted by S3 alone, that is no MD5 and equals none.
    """

    daily: bool = False
    backfill: str | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Bytes that a reader refused.

    Attributes:
        key: Their key.
        kept: When they were put there, in full seconds.
        address: Where B3 served them; their own where that is not known.
        lengths: Bytes of each page of a portfolio; empty of quotes, and where it is not known.
    """

    key: str
    kept: datetime
    address: str
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedActions:
    """What a merge of corporate actions has made.

    Attributes:
        key: The issuer's key.
        table: All that B3 has said of the issuer, of `ACTION_SCHEMA`.
        new: Events that were not known before.
    """

    key: str
    table: pa.Table
    new: int


@dataclass(frozen=True, slots=True)
class NamedIssuer:
    """An issuer as a session's quotes name it.

    Attributes:
        issuer: Issuing code.
        trading_name: NOMRES.
        is_fund: Whether the paper is of a real-estate fund.
    """

    issuer: str
    trading_name: str
    is_fund: bool


class OvertakenError(ScraperError):
    """Others keep writing an object between our reading and our writing it."""


def encode_session(quotes: pa.Table, lineage: Lineage) -> bytes:
    """A session's quotes as the Parquet file of a backfill. Same rows and lineage, same bytes.

    Args:
        quotes: Rows of `cotahist.COTAHIST_SCHEMA`, in however many batches.
        lineage: Where they come from.
    """
    return _parquet(quotes.combine_chunks().replace_schema_metadata(lineage.metadata()))


class RawBucket:
    """Reads and writes the raw bucket.

    Args:
        name: Its name.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: Any method, when S3 refuses.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._s3: S3Client = boto3.client("s3", config=Config(max_pool_connections=_CONNECTIONS))

    def sessions_present(self, sessions: Collection[date]) -> set[date]:
        """Those of the sessions that the bucket holds, daily or backfilled.

        One whose partition holds both files is not among them: a writer ended between put and delete, and the
        next one has to put that right.
        """
        return {session for session in sessions if len(self._files(session)) == 1}

    def find_session(self, session: date, lineage: Lineage) -> str | None:
        """The key that holds exactly this content of a session; None if it is to be written."""
        files = self._files(session)
        if len(files) != 1:
            return None
        key = files.pop()
        return key if self._holds(key, lineage) else None

    def write_session(self, quotes: pd.DataFrame, *, session: date, lineage: Lineage) -> str:
        """Write a session's quotes, in place of what its partition holds.

        Args:
            quotes: At least one row, with the columns of `COTAHIST_COLUMNS`.
            session: The day of the session.
            lineage: Where they come from.

        Returns:
            The key that was written.
        """
        daily, backfill = keys.daily(session), keys.backfill(session)
        self._write(quotes, daily, COTAHIST_COLUMNS, lineage)
        # What was made of the file that was there before: a backfilled copy, and what it differed in
        for key in (backfill, keys.revisions(session)):
            if self._exists(key):
                self._s3.delete_object(Bucket=self._name, Key=key)
        return daily

    def partitions(self, year: int) -> dict[date, Partition]:
        """The partitions of a year's sessions, by one sweep of the listing."""
        found: dict[date, Partition] = {}
        for item in self._listed(f"{keys.SESSIONS}{year}-"):
            if match := keys.SESSION_KEY.fullmatch(item["Key"]):
                session = date.fromisoformat(match[1])
                before = found.get(session, Partition())
                if match[2] == "daily":
                    found[session] = Partition(daily=True, backfill=before.backfill)
                else:
                    found[session] = Partition(daily=before.daily, backfill=item["ETag"].strip('"'))
        return found

    def put_backfill(self, content: bytes, *, session: date, lineage: Lineage) -> None:
        """Write the Parquet file of a backfilled session, which `encode_session` made."""
        key = keys.backfill(session)
        self._s3.put_object(Bucket=self._name, Key=key, Body=content, Metadata=lineage.metadata())

    def delete_backfill(self, session: date) -> None:
        """Delete the backfilled file of a session, which may be gone already."""
        self._s3.delete_object(Bucket=self._name, Key=keys.backfill(session))

    def read_daily(self, session: date) -> bytes | None:
        """The daily file of a session; None if it has none."""
        try:
            return self._s3.get_object(Bucket=self._name, Key=keys.daily(session))["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None

    def revisions(self, year: int) -> dict[date, str]:
        """The sessions of a year whose files were found to differ, with the MD5 of what was kept of it.

        As of `Partition.backfill`, it may be no MD5 and equal none.
        """
        return {
            date.fromisoformat(match[1]): item["ETag"].strip('"')
            for item in self._listed(f"{keys.REVISIONS}{year}-")
            if (match := keys.REVISION_KEY.fullmatch(item["Key"]))
        }

    def put_revisions(self, content: bytes, *, session: date, lineage: Lineage) -> None:
        """Write the Parquet file of the lines in which the files of a session differ."""
        key = keys.revisions(session)
        self._s3.put_object(Bucket=self._name, Key=key, Body=content, Metadata=lineage.metadata())

    def delete_revisions(self, session: date) -> None:
        """Delete what was kept of a session's differences, which may be gone already."""
        self._s3.delete_object(Bucket=self._name, Key=keys.revisions(session))

    def read_manifest(self, year: int) -> dict[str, Any] | None:
        """What was loaded of a year, as `write_manifest` wrote it; None if there is nothing."""
        return self._read_json(keys.manifest(year))

    def write_manifest(self, year: int, manifest: Mapping[str, Any]) -> None:
        """Write what was loaded of a year, as JSON; a failure report of that year goes."""
        self._write_json(keys.manifest(year), manifest)
        report = keys.failure(year)
        if self._exists(report):
            self._s3.delete_object(Bucket=self._name, Key=report)

    def read_failure(self, year: int) -> dict[str, Any] | None:
        """Why a year was not loaded, as `write_failure` wrote it; None if there is no report."""
        return self._read_json(keys.failure(year))

    def write_failure(self, year: int, report: Mapping[str, Any]) -> None:
        """Write why a year was not loaded, as JSON."""
        self._write_json(keys.failure(year), report)

    def read_canary(self) -> dict[str, Any] | None:
        """What the canary has seen, as `write_canary` wrote it; None if there is nothing.

        Raises:
            ValueError: It is no JSON.
        """
        return self._read_json(keys.CANARY_MEMORY)

    def write_canary(self, memory: Mapping[str, Any]) -> None:
        """Write what the canary has seen, as JSON."""
        self._write_json(keys.CANARY_MEMORY, memory)

    def find_portfolio(self, index: str, portfolio_date: date, lineage: Lineage) -> str | None:
        """The key that holds exactly this content of a portfolio; None if it is to be written."""
        key = keys.portfolio(index, portfolio_date)
        return key if self._exists(key) and self._holds(key, lineage) else None

    def write_portfolio(
        self, portfolio: pd.DataFrame, *, index: str, portfolio_date: date, lineage: Lineage
    ) -> str:
        """Write an index portfolio, in place of the one of that index and date.

        Args:
            portfolio: At least one row, with the columns of `PORTFOLIO_COLUMNS`.
            index: Code of the index.
            portfolio_date: The portfolio's own date.
            lineage: Where it comes from.

        Returns:
            The key that was written.
        """
        key = keys.portfolio(index, portfolio_date)
        self._write(portfolio, key, PORTFOLIO_COLUMNS, lineage)
        return key

    def levels_until(self, index: str, year: int) -> date | None:
        """The last session of a year that the bucket has a level of an index of; None if there is none."""
        key = keys.index_levels(index, year)
        if not self._exists(key):
            return None
        last = self._s3.head_object(Bucket=self._name, Key=key)["Metadata"].get(LAST_SESSION)
        return None if last is None else date.fromisoformat(last)

    def levels_written(self, index: str) -> dict[int, datetime]:
        """The years that the bucket has levels of an index of, and when those were written."""
        return {
            int(match[2]): item["LastModified"]
            for item in self._listed(f"{keys.INDEX_LEVELS}{index}_")
            if (match := keys.LEVELS_KEY.fullmatch(item["Key"]))
        }

    def find_levels(self, index: str, year: int, lineage: Lineage) -> str | None:
        """The key that holds exactly this content of a year's levels; None if it is to be written."""
        key = keys.index_levels(index, year)
        return key if self._exists(key) and self._holds(key, lineage) else None

    def write_levels(self, levels: pd.DataFrame, *, index: str, year: int, lineage: Lineage) -> str:
        """Write the levels of an index, in place of those of that year.

        Args:
            levels: At least one row, with the columns of `LEVEL_COLUMNS`.
            index: Code of the index.
            year: The year.
            lineage: Where they come from.

        Returns:
            The key that was written.
        """
        key = keys.index_levels(index, year)
        self._write(levels, key, LEVEL_COLUMNS, lineage)
        return key

    def read_actions(self, issuer: str) -> pa.Table | None:
        """All that B3 has said of an issuer's corporate actions; None if nothing is known."""
        content, _ = self._read_tagged(keys.corporate_actions(issuer))
        return None if content is None else pq.read_table(pa.BufferReader(content))

    def merge_actions(self, issuer: str, said: pa.Table, *, lineage: Lineage) -> MergedActions:
        """Add what B3 says of an issuer's corporate actions to what it has said before.

        Nothing that it no longer says is lost, and nothing that another writer adds in between. The lineage
        of the last answer is the object's metadata, and not in the file, which is of many answers.

        Args:
            issuer: Issuing code.
            said: Of `ACTION_SCHEMA`.
            lineage: Where it comes from.

        Raises:
            OvertakenError: Others keep writing the object.
        """
        key = keys.corporate_actions(issuer)
        for _ in range(_WRITES):
            content, tag = self._read_tagged(key)
            before = [] if content is None else [pq.read_table(pa.BufferReader(content))]
            table = merge([*before, said])
            merged = MergedActions(key, table, table.num_rows - sum(each.num_rows for each in before))
            encoded = _parquet(table)
            if encoded == content or self._put_tagged(key, encoded, tag, lineage.metadata()):
                return merged
        raise OvertakenError(
            f"s3://{self._name}/{key}: written by others {_WRITES} times meanwhile; run again"
        )

    def session_keys(self) -> dict[date, str]:
        """The key of each session's quotes, in one sweep of the listing."""
        return {
            date.fromisoformat(match[1]): item["Key"]
            for item in self._listed(keys.SESSIONS)
            if (match := keys.SESSION_KEY.fullmatch(item["Key"]))
        }

    def named_issuers(self, key: str) -> set[NamedIssuer]:
        """The issuers of the papers that traded in the cash market, by the quotes of a session.

        Args:
            key: The session's key.
        """
        columns = ["tpmerc", "codneg", "nomres", "codbdi"]
        content = self._s3.get_object(Bucket=self._name, Key=key)["Body"].read()
        quotes = pq.read_table(pa.BufferReader(content), columns=columns)
        cash = quotes.filter(pc.equal(quotes["tpmerc"], pa.scalar(CASH_MARKET)))
        rows = zip(*(cash[name].to_pylist() for name in columns[1:]), strict=True)
        return {
            NamedIssuer(issuer, name, bulletin == FUND)
            for ticker, name, bulletin in rows
            if (issuer := issuer_of(ticker)) is not None
        }

    def read_actions_memory(self) -> dict[str, Any] | None:
        """What `write_actions_memory` wrote; None if there is nothing.

        Raises:
            ValueError: It is no JSON.
        """
        return self._read_json(keys.ACTIONS_MEMORY)

    def write_actions_memory(self, memory: Mapping[str, Any]) -> None:
        """Write which distribution numbers were seen and which issuers asked for, as JSON."""
        self._write_json(keys.ACTIONS_MEMORY, memory)

    def read_actions_backfill(self) -> dict[str, Any] | None:
        """What `write_actions_backfill` wrote; None if there is nothing.

        Raises:
            ValueError: It is no JSON.
        """
        return self._read_json(keys.ACTIONS_BACKFILL)

    def write_actions_backfill(self, progress: Mapping[str, Any]) -> None:
        """Write how far the backfill of corporate actions is, as JSON."""
        self._write_json(keys.ACTIONS_BACKFILL, progress)

    def quarantine(
        self, pieces: Sequence[bytes], *, source: str, day: date, extension: str, address: str, reason: str
    ) -> str:
        """Keep bytes that a reader refused, once, with address and reason as metadata.

        Args:
            pieces: The bytes as B3 served them: a file, or the pages of a portfolio. They are kept joined by
                line ends, and their lengths as metadata, as a page may have line ends itself.
            source: Short name of what they should have been.
            day: The day that they are filed under.
            extension: Of the file name, without dot.
            address: Where they were served; of pages, the first one's.
            reason: Why they were refused; what S3 metadata cannot hold is escaped as in a Python literal.

        Returns:
            The key under which they lie.
        """
        content = b"\n".join(pieces)
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"{keys.QUARANTINE}{source}/{day.isoformat()}/{sha256}.{extension}"
        if not self._exists(key):
            metadata = _refused(address, reason)
            if extension == "json":
                metadata["lengths"] = ",".join(str(len(piece)) for piece in pieces)
            self._s3.put_object(Bucket=self._name, Key=key, Body=content, Metadata=metadata)
        return key

    def quarantine_year(
        self, path: Path, *, source: str, year: int, sha256: str, address: str, reason: str
    ) -> str:
        """Keep the ZIP of a year that a reader refused, as `quarantine` does, without reading it whole.

        Args:
            path: The ZIP as B3 served it.
            source: Short name of what it should have been.
            year: The year that it is filed under.
            sha256: SHA-256 of its bytes, in hexadecimal.
            address: Where it was served.
            reason: Why it was refused.

        Returns:
            The key under which it lies.
        """
        key = f"{keys.QUARANTINE}{source}/{year}/{sha256}.zip"
        if not self._exists(key):
            metadata = _refused(address, reason)
            self._s3.upload_file(str(path), self._name, key, ExtraArgs={"Metadata": metadata})
        return key

    def quarantined(self, source: str, filed: str) -> list[Quarantined]:
        """What lies in quarantine of a source under a day or a year, the newest first."""
        items = self._listed(f"{keys.QUARANTINE}{source}/{filed}/")
        return [
            self._quarantined(item["Key"], item["LastModified"])
            for item in sorted(items, key=lambda item: item["LastModified"], reverse=True)
        ]

    def quarantined_days(self, source: str, first: date, last: date) -> list[date]:
        """The days from the first to the last under which something of a source lies in quarantine."""
        prefix = f"{keys.QUARANTINE}{source}/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._name, Prefix=prefix, StartAfter=f"{prefix}{first}"
        )
        found = set[date]()
        for item in (item for page in pages for item in page.get("Contents", [])):
            filed = item["Key"].removeprefix(prefix).partition("/")[0]
            if filed > str(last):
                break
            if _DAY.fullmatch(filed):
                found.add(date.fromisoformat(filed))
        return sorted(found)

    def read_quarantined(self, refused: Quarantined) -> list[bytes]:
        """The bytes that were refused, in their pieces."""
        content = self._s3.get_object(Bucket=self._name, Key=refused.key)["Body"].read()
        return _pieces(content, refused.lengths) if refused.key.endswith(".json") else [content]

    def download_quarantined(self, refused: Quarantined, path: Path) -> None:
        """Write the bytes that were refused to a file."""
        self._s3.download_file(self._name, refused.key, str(path))

    def session_written(self, session: date) -> datetime | None:
        """When the daily file of a session was written; None if there is none."""
        return self._modified(keys.daily(session))

    def announce(self, session: date) -> None:
        """Write the daily file of a session over itself, as it is: S3 tells of it again."""
        key = keys.daily(session)
        metadata = self._s3.head_object(Bucket=self._name, Key=key)["Metadata"]
        self._s3.copy_object(
            Bucket=self._name,
            Key=key,
            CopySource={"Bucket": self._name, "Key": key},
            Metadata=metadata,
            MetadataDirective="REPLACE",  # S3 copies an object onto itself only if something is said anew
        )

    def portfolio_written(self, index: str, portfolio_date: date) -> datetime | None:
        """When the portfolio of an index and a date was written; None if there is none."""
        return self._modified(keys.portfolio(index, portfolio_date))

    def manifest_written(self, year: int) -> datetime | None:
        """When the manifest of a year was written; None if there is none."""
        return self._modified(keys.manifest(year))

    def _quarantined(self, key: str, kept: datetime) -> Quarantined:
        metadata = self._s3.head_object(Bucket=self._name, Key=key)["Metadata"]
        # Until readers of version 2 the address stood in the reason alone
        stated = _ADDRESS.match(metadata.get("reason", ""))
        address = metadata.get("source") or (stated[1] if stated else f"s3://{self._name}/{key}")
        lengths = tuple(map(int, filter(None, metadata.get("lengths", "").split(","))))
        return Quarantined(key, kept, address, lengths)

    def _modified(self, key: str) -> datetime | None:
        listing = self._s3.list_objects_v2(Bucket=self._name, Prefix=key, MaxKeys=1)
        return next(
            (item["LastModified"] for item in listing.get("Contents", []) if item["Key"] == key), None
        )

    def _write(self, frame: pd.DataFrame, key: str, columns: Collection[Column], lineage: Lineage) -> None:
        # A run that finds nothing new, as most of a day's do, starts sooner without
        import awswrangler as wr  # noqa: PLC0415

        schema = arrow_schema(columns)
        # awswrangler leaves an empty file behind if it finds this out itself, halfway
        if list(frame.columns) != schema.names:
            raise ValueError(f"{key}: columns {list(frame.columns)}, expected {schema.names}")
        wr.s3.to_parquet(
            df=frame,
            path=f"s3://{self._name}/{key}",
            index=False,
            compression="snappy",
            dtype={column.name: column.glue_type for column in columns},
            pyarrow_additional_kwargs={"schema": schema.with_metadata(lineage.metadata())},
            s3_additional_kwargs={"Metadata": lineage.metadata()},
        )

    def _listed(self, prefix: str) -> Iterator[ObjectTypeDef]:
        """The objects whose keys begin with a prefix, as a listing has them, in the order of the keys."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix):
            yield from page.get("Contents", [])

    def _files(self, session: date) -> set[str]:
        return {key for key in (keys.daily(session), keys.backfill(session)) if self._exists(key)}

    def _exists(self, key: str) -> bool:
        # Asked for a missing object itself, S3 answers 403 to a role that may list certain prefixes only. Of
        # the keys that begin with this one, this one is listed first.
        listing = self._s3.list_objects_v2(Bucket=self._name, Prefix=key, MaxKeys=1)
        return any(item["Key"] == key for item in listing.get("Contents", []))

    def _holds(self, key: str, lineage: Lineage) -> bool:
        return lineage.is_of(self._s3.head_object(Bucket=self._name, Key=key)["Metadata"])

    def _read_tagged(self, key: str) -> tuple[bytes | None, str | None]:
        """An object's content and its ETag; None and None if there is none."""
        if not self._exists(key):
            return None, None
        try:
            answer = self._s3.get_object(Bucket=self._name, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return None, None  # deleted in between
        return answer["Body"].read(), answer["ETag"]

    def _put_tagged(self, key: str, content: bytes, tag: str | None, metadata: Mapping[str, str]) -> bool:
        """Write an object if it is what it was when it had this ETag; whether it was."""
        put = partial(self._s3.put_object, Bucket=self._name, Key=key, Body=content, Metadata=metadata)
        try:
            put(IfNoneMatch="*") if tag is None else put(IfMatch=tag)
        except ClientError as error:
            if error.response["Error"]["Code"] in _OVERTAKEN:
                return False
            raise
        return True

    def _read_json(self, key: str) -> dict[str, Any] | None:
        if not self._exists(key):
            return None
        try:
            document: dict[str, Any] = json.load(self._s3.get_object(Bucket=self._name, Key=key)["Body"])
        except self._s3.exceptions.NoSuchKey:
            return None  # deleted in between
        return document

    def _write_json(self, key: str, document: Mapping[str, Any]) -> None:
        body = json.dumps(document, indent=1, ensure_ascii=False).encode()
        self._s3.put_object(Bucket=self._name, Key=key, Body=body, ContentType="application/json")


def _parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file. Same rows and metadata, same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy")
    return sink.getvalue().to_pybytes()


def _refused(address: str, reason: str) -> dict[str, str]:
    """Metadata with address and reason; what S3 cannot hold is escaped as in a Python literal."""
    escaped = {
        name: value.encode("unicode_escape").decode("ascii")
        for name, value in (("source", address), ("reason", reason))
    }
    return {"source": escaped["source"][:_ADDRESS_LIMIT], "reason": escaped["reason"][:_METADATA_LIMIT]}


def _pieces(content: bytes, lengths: Sequence[int]) -> list[bytes]:
    """What was joined by line ends: by the lengths, or without them by where JSON texts end."""
    if sum(lengths) + len(lengths) - 1 == len(content):
        ends = list(itertools.accumulate(length + 1 for length in lengths))
        return [content[end - length - 1 : end - 1] for end, length in zip(ends, lengths, strict=True)]
    pieces, piece = [], b""
    for line in content.split(b"\n"):
        piece = piece + b"\n" + line if piece else line
        if _is_json(piece):
            pieces.append(piece)
            piece = b""
    return [*pieces, piece] if piece or not pieces else pieces


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

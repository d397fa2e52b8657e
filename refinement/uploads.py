"""Many small objects into a bucket of S3: what its client sends, without what the client does around it.

For each object the client works out anew where it goes and how, checks the parameters, asks some dozens of
handlers, and reads an answer that has nothing in it: of a file of four kilobytes that is most of the time.
Here it puts the first object. The requests for the others are the same but for key, content and checksum:
signed by botocore, sent by its HTTP session. What S3 does not take at once, the client puts after all, with
its repetitions, its patience and its errors.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from typing import Any, NamedTuple
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session

from refinement import aws, files

_SIGNED_FOR = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,")
_TAKEN = 200


class Uploads:
    """Puts objects into a bucket, from some threads at a time.

    Args:
        session: Whose credentials it uses.
        bucket: The bucket.
        calls: From how many threads.
    """

    def __init__(self, session: boto3.Session, bucket: str, calls: int) -> None:
        self._s3 = aws.s3_client(session, calls)
        # Otherwise each file takes two round trips: the client first asks S3 whether it would take the body
        self._s3.meta.events.register_last("before-call.s3", _without_expect)
        self._bucket = bucket
        self._credentials: Any = session.get_credentials()
        self._calls = calls
        self._first = threading.Lock()
        self._is_first = True
        self._way: _Way | None = None

    def objects(self, prefix: str, first: dt.date, last: dt.date) -> list[tuple[str, str, files.Object]]:
        """The objects below a prefix that ends where a date begins, of a range: date, key, object."""
        found = aws.objects_of(self._s3, self._bucket, prefix, first, last)
        return [(date, item["Key"], (item["Size"], item["ETag"])) for date, item in found]

    def put(self, key: str, body: bytes, there: files.Object | None) -> bool:
        """Put an object, unless it is there with the same bytes; return whether it was put.

        Raises:
            botocore.exceptions.ClientError: S3 does not take it.
        """
        checksum = files.Checksum.of(body)
        if there == (len(body), checksum.etag):
            return False
        with self._first:
            is_first, self._is_first = self._is_first, False
            if is_first:
                self._way = self._way_of_client(key, body, checksum.md5)
        if not is_first and not (self._way and self._is_sent(self._way, key, body, checksum.md5)):
            self._by_client(key, body, checksum.md5)
        return True

    def _by_client(self, key: str, body: bytes, md5: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentMD5=md5)

    def _way_of_client(self, key: str, body: bytes, md5: str) -> _Way | None:
        """Put an object by the client; return how it does, if it signs and spells keys as is known here."""
        sent: list[Any] = []

        def see(request: Any, **_: object) -> None:
            sent.append(request)

        self._s3.meta.events.register("before-send.s3.PutObject", see)
        self._by_client(key, body, md5)
        self._s3.meta.events.unregister("before-send.s3.PutObject", see)
        request = sent[-1]  # which S3 has taken, where it sent the client elsewhere first
        signed = _SIGNED_FOR.match(_text(request.headers.get("Authorization", "")))
        if not signed or not request.url.endswith(f"/{_quoted(key)}"):
            return None
        root = request.url.removesuffix(_quoted(key))
        agent = _text(request.headers.get("User-Agent", ""))
        return _Way(aws.http_session(root, self._calls), root, signed[1], agent)

    def _is_sent(self, way: _Way, key: str, body: bytes, md5: str) -> bool:
        headers = {"Content-MD5": md5, "User-Agent": way.agent}
        request = AWSRequest("PUT", way.root + _quoted(key), data=body, headers=headers)
        # With a checksum, and over TLS, the client does not sign the content either
        request.context["has_streaming_input"] = True
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", way.region).add_auth(request)
        try:
            return bool(way.http.send(request.prepare()).status_code == _TAKEN)
        except BotoCoreError:  # the client meets it again, or gets through
            return False


class _Way(NamedTuple):
    """By which session objects are put, below which address, signed for which region, under what name."""

    http: URLLib3Session
    root: str
    region: str
    agent: str


def _quoted(key: str) -> str:
    return quote(key, safe="/~")


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def _without_expect(params: dict[str, Any], **_: object) -> None:
    params["headers"].pop("Expect", None)

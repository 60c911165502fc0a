"""The few requests to S3 that objects need, through botocore.

botocore takes more than a millisecond to make a request and to read its answer, which for 10 000 small objects is most
of the time.  So the first request of a kind is its own, and the next ones are copies of it, with another key and a new
signature by botocore's signer.  Whatever is not answered with success is asked again by botocore, which knows about
redirects, retries and errors.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from botocore.response import StreamingBody

from mreg.stores.dvc.s3_options import client_options, open_session, read_extra

__all__ = ["Answer", "Found", "S3Client"]

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
_OWN = frozenset(
    {
        "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "content-md5", "content-length",
        "range", "if-match", "expect", "amz-sdk-invocation-id", "amz-sdk-request",
    }
)  # fmt: skip
"""Headers that belong to one request, not to all of its kind."""
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_BEYOND = frozenset({"416", "InvalidRange"})


@dataclass(frozen=True, slots=True)
class Found:
    """What S3 says of an object."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An object's bytes, on their way."""

    size: int
    """Of the whole object."""
    etag: str
    body: Any
    """``read(size)`` gives the bytes of the range that was asked for, and raises where they are cut off."""


class S3Client:
    """One bucket, and the prefix in it below which all keys lie."""

    def __init__(self, options: Mapping[str, Any], root: str, *, stall_s: float) -> None:
        """Makes no request yet.

        Args:
            options: DVC's of the remote, checked by it.
            root: The bucket, and perhaps a prefix in it.
            stall_s: Seconds that one answer may take, unless the options say so.

        Raises:
            Exception: The options do not fit each other.
        """
        self._bucket, _, prefix = root.partition("/")
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")
        self._extra = read_extra(options)
        session = open_session(options)
        self._client = session.create_client("s3", **client_options(options, stall_s))
        self._copies = _Copies(self._client, session.get_credentials())

    def get(self, key: str, start: int, stop: int, etag: str = "") -> Answer | None:
        """Returns bytes of an object; ``None`` where it is not there.

        Args:
            key: Below the root.
            start: The first byte.
            stop: The one after the last; the object may end before.
            etag: The object must still have this one.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}", **({"If-Match": etag} if etag else {})}
        response = self._copies.send("GetObject", key, headers)
        if response is not None:
            length = response.headers.get("content-length")
            return _answer(response.headers, StreamingBody(response.raw, length))
        conditions = {"IfMatch": etag} if etag else {}
        try:
            try:
                found = self._ask("get_object", "GetObject", key, Range=headers["Range"], **conditions)
            except ClientError as error:
                if start or error.response["Error"]["Code"] not in _BEYOND:
                    raise
                found = self._ask("get_object", "GetObject", key)  # it is empty: no range begins in it
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return _answer(found["ResponseMetadata"]["HTTPHeaders"], found["Body"])

    def head(self, key: str) -> Found | None:
        """Returns what is known of an object, ``None`` where it is not there."""
        response = self._copies.send("HeadObject", key, {})
        if response is not None:
            return Found(int(response.headers["content-length"]), response.headers.get("etag", "").strip('"'))
        try:
            found = self._ask("head_object", "HeadObject", key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return Found(found["ContentLength"], found.get("ETag", "").strip('"'))

    def put(self, key: str, body: bytes, md5: str) -> None:
        """Stores a small object.

        Args:
            md5: Of the body, as Base64; S3 compares it.
        """
        if self._copies.send("PutObject", key, {"Content-MD5": md5}, body) is None:
            self._ask("put_object", "PutObject", key, Body=body, ContentMD5=md5)

    def begin(self, key: str) -> str:
        """Begins an object of several parts, and returns the id of the upload."""
        return str(self._ask("create_multipart_upload", "CreateMultipartUpload", key)["UploadId"])

    def put_part(self, key: str, upload: str, number: int, body: Any, md5: str) -> str:  # noqa: ANN401 - a file
        """Stores a part of an object and returns its ETag."""
        part = {"UploadId": upload, "PartNumber": number, "Body": body, "ContentMD5": md5}
        return str(self._ask("upload_part", "UploadPart", key, **part)["ETag"])

    def finish(self, key: str, upload: str, etags: Mapping[int, str]) -> None:
        """Makes an object of its parts: from now on it is seen."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
        self._ask(
            "complete_multipart_upload",
            "CompleteMultipartUpload",
            key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
        )

    def abandon(self, key: str, upload: str) -> None:
        """Gives the parts up."""
        self._ask("abort_multipart_upload", "AbortMultipartUpload", key, UploadId=upload)

    def delete(self, key: str) -> None:
        """Takes an object away, if it is there."""
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def list(self, prefix: str) -> Iterator[tuple[str, Found]]:
        """Yields all objects whose keys begin so, a page of 1000 at a time."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
            for each in page.get("Contents", ()):
                yield each["Key"][len(self._prefix) :], Found(each["Size"], each.get("ETag", "").strip('"'))

    def _ask(self, method: str, operation: str, key: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        known = self._client.meta.service_model.operation_model(operation).input_shape.members
        extra = {name: value for name, value in self._extra.items() if name in known}
        answer = getattr(self._client, method)(Bucket=self._bucket, Key=self._prefix + key, **extra, **parameters)
        self._copies.learn(operation, key)
        found: dict[str, Any] = answer
        return found


@dataclass(frozen=True, slots=True)
class _Pattern:
    method: str
    before: str
    after: str
    """What stands before and after the key in the URL."""
    headers: Mapping[str, str]
    region: str
    service: str


class _Copies:
    """Sends requests that are like one which botocore sent before."""

    def __init__(self, client: Any, credentials: Any) -> None:  # noqa: ANN401
        # The client's own connections: with its proxies, certificates and time-outs.
        self._http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._credentials = credentials
        self._patterns: dict[str, _Pattern | None] = {}
        self._sent = threading.local()
        client.meta.events.register("before-send.s3", self._note)

    def _note(self, request: AWSPreparedRequest, **_: object) -> None:
        self._sent.request = request

    def learn(self, operation: str, key: str) -> None:
        """Takes the request that just went well, in this thread, as the pattern of its kind."""
        request: AWSPreparedRequest | None = getattr(self._sent, "request", None)
        if operation in self._patterns or request is None or self._http is None:
            return
        before, _, after = request.url.rpartition(key)
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _OWN}
        scope = _SCOPE.match(_text(request.headers.get("Authorization", "")))
        is_plain = scope is not None and before and not after and self._credentials is not None
        self._patterns[operation] = (
            _Pattern(request.method, before, after, headers, scope[1], scope[2]) if scope and is_plain else None
        )

    def send(self, operation: str, key: str, headers: Mapping[str, str], body: bytes | None = None) -> Any:  # noqa: ANN401
        """Returns the answer; ``None`` where botocore is to be asked: there is no pattern yet, or it went wrong."""
        pattern = self._patterns.get(operation)
        if pattern is None:
            return None
        url = f"{pattern.before}{key}{pattern.after}"
        request = AWSRequest(pattern.method, url, {**pattern.headers, **headers}, body, stream_output=True)
        frozen = self._credentials.get_frozen_credentials()
        S3SigV4Auth(frozen, pattern.service, pattern.region).add_auth(request)
        try:
            response: AWSResponse = self._http.send(request.prepare())
            if response.status_code in {200, 206} and (pattern.method == "PUT" or _tells_size(response)):
                if pattern.method != "GET":
                    response.content  # noqa: B018 - reads to the end, so that the connection is free again
                return response
            response.content  # noqa: B018
        except HTTPClientError:
            pass  # most of all a connection that was closed while nobody used it
        return None


def _tells_size(response: AWSResponse) -> bool:
    """False where the headers were cut off."""
    return ("content-range" if response.status_code == 206 else "content-length") in response.headers  # noqa: PLR2004


def _answer(headers: Mapping[str, str], body: Any) -> Answer:  # noqa: ANN401
    size = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "")
    if not size.isdecimal():
        raise ConnectionClosedError(endpoint_url="the endpoint of S3")  # in the middle of the headers
    return Answer(int(size), headers.get("etag", ""), body)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value

"""A DVC remote in S3, by botocore and s3transfer: with the settings and credentials that DVC finds, and without s3fs.

The event loop of s3fs costs a large transfer half of its speed.  How objects are cut into parts, sent side by side and
tried again is s3transfer's; here they are hashed while they move, and looked up when they have arrived.
"""

from __future__ import annotations

import base64
import math
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, IncompleteReadError
from msgspec import Struct
from s3transfer.exceptions import RetriesExceededError
from s3transfer.manager import TransferConfig, TransferManager

from mreg.stores.artifacts.cache import Cache, create_object
from mreg.stores.artifacts.hashing import Meter
from mreg.stores.dvc.daemon_threads import Daemons
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.s3_options import client_options, open_session, read_extra
from mreg.stores.dvc.s3_streams import Listener, Sink, Source
from mreg.stores.dvc.traffic import LIST_FROM, is_listing_worth

__all__ = ["S3Remote"]

_PART_SIZE = 8 << 20
_CHUNK_SIZE = 256 << 10
"""What is read of an answer before the meter hears of it."""
_TRANSFERS = {
    "multipart_threshold": _PART_SIZE,
    "multipart_chunksize": _PART_SIZE,
    "io_chunksize": _CHUNK_SIZE,
    "num_download_attempts": 3,
    "max_request_concurrency": 8,
    # These bound the memory of all large objects: 8 parts, and on the way up 2 more that wait to be sent, on the way
    # down 16 MiB that wait for the disk.
    "max_submission_concurrency": 2,
    "max_in_memory_upload_chunks": 8,
    "max_in_memory_download_chunks": 8,
    "max_io_queue_size": 64,
}
_CLOSE_S = 1.0
"""How long to wait for transfers that were given up, so that they can take back what they began."""
_LOOK_UPS_AT_ONCE = 8
_MD5 = re.compile(r"[0-9a-f]{32}")
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class _Found(Struct, frozen=True):
    """What S3 says of an object."""

    size: int
    etag: str


class S3Remote:
    """Objects in DVC's layout, below one prefix of one bucket."""

    def __init__(self, options: Mapping[str, Any], root: str, place: Place, *, stall_s: float) -> None:
        """Makes no request yet.

        Args:
            options: DVC's of the remote, checked by it.
            root: The bucket, and perhaps a prefix in it.
            stall_s: Seconds that one answer may take, unless the options say so.

        Raises:
            Exception: The options do not fit each other.
        """
        self._place = place
        self._bucket, _, prefix = root.partition("/")
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")
        self._writing = read_extra(options)
        allowed = TransferManager.ALLOWED_DOWNLOAD_ARGS
        self._reading = {name: value for name, value in self._writing.items() if name in allowed}
        self._client = open_session(options).create_client("s3", **client_options(options, stall_s))
        for operation in ("GetObject", "HeadObject"):
            self._client.meta.events.register(f"after-call.s3.{operation}", self._hear)
        self._manager = TransferManager(self._client, TransferConfig(**_TRANSFERS), executor_cls=Daemons)
        self._moving: set[Any] = set()
        self._bodies: dict[int, tuple[Any, str]] = {}
        """What each thread reads, and its URL: s3transfer does not hang up on what it gives up."""
        self._etags: dict[str, str] = {}

    def __enter__(self) -> S3Remote:
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Gives up what is still being moved; does not wait for a network that hangs."""
        for transfer in tuple(self._moving):
            transfer.cancel()
        ending = threading.Thread(target=self._manager.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSE_S)

    def find_stored(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Returns which objects are there with the right size and MD5.

        A plain ETag of S3 is the MD5 of the bytes, one of a multipart upload the MD5 of the MD5s of its parts, which is
        known of what was sent here.
        """
        with remote_errors("read", self._place):
            found = self._list(sizes) if len(sizes) >= LIST_FROM else None
            if found is None:
                found = self._look_up(sizes, meter)
            return {md5 for md5, size in sizes.items() if self._is_whole(md5, size, found.get(md5), meter)}

    def send(self, md5: str, cache: Cache, meter: Meter) -> None:
        """Stores one object of ``cache``; it is seen there only if its bytes had the MD5 that they should."""
        with cache.open(md5) as file, remote_errors("written", self._place):
            size = os.fstat(file).st_size
            source = Source(file, size, lambda found: cache.check(md5, found, file))
            if size < _PART_SIZE:
                content = source.read()
                checked = base64.b64encode(source.whole.digest()).decode()
                self._client.put_object(
                    Bucket=self._bucket, Key=self._key(md5), Body=content, ContentMD5=checked, **self._writing
                )
                meter.add(size)
                return
            listener = Listener(meter, size)
            upload = self._manager.upload(source, self._bucket, self._key(md5), dict(self._writing), [listener])
            self._finish(upload, listener)
            self._etags[md5] = source.etag()

    def fetch(self, md5: str, temporary: str, meter: Meter) -> str | None:
        """Writes one object to a new file and returns the MD5 of its bytes, ``None`` where it is not there."""
        with remote_errors("read", self._place):
            file = create_object(temporary)
            try:
                return self._read(md5, Sink(file), meter)
            finally:
                os.close(file)

    def delete(self, md5: str) -> None:
        """Takes one object away, if it is there."""
        with remote_errors("written", self._place):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(md5))

    def idle_s(self) -> float:
        """Returns infinity: the meter hears of every chunk."""
        return math.inf

    def _read(self, md5: str, sink: Sink, meter: Meter) -> str | None:
        key = self._key(md5)
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, **self._reading)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        listener = Listener(meter, answer["ContentLength"], answer.get("ETag"))
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] < _PART_SIZE:
                with listener.taking_back():
                    for chunk in body.iter_chunks(_CHUNK_SIZE):
                        sink.write(chunk)
                        listener.on_progress(len(chunk))
                return sink.md5.hexdigest()
        try:
            self._finish(self._manager.download(self._bucket, key, sink, dict(self._reading), [listener]), listener)
        finally:
            for part, url in tuple(self._bodies.values()):
                if urlsplit(url).path.endswith(f"/{md5[2:]}"):
                    part.close()
        return sink.md5.hexdigest()

    def _hear(self, http_response: Any, parsed: Mapping[str, Any], **_: object) -> None:  # noqa: ANN401 - botocore's
        """Refuses an answer that was cut off in its headers, which looks like one without bytes."""
        if last := self._bodies.pop(threading.get_ident(), None):
            last[0].close()
        code, body = http_response.status_code, parsed.get("Body")
        if body is not None:
            self._bodies[threading.get_ident()] = body, http_response.url
        size = "ContentRange" if code == HTTPStatus.PARTIAL_CONTENT else "ContentLength"
        if code < HTTPStatus.MULTIPLE_CHOICES and size not in parsed:
            raise IncompleteReadError(actual_bytes=0, expected_bytes=1)

    def _finish(self, transfer: Any, listener: Listener) -> None:  # noqa: ANN401 - s3transfer is not typed
        self._moving.add(transfer)
        try:
            with listener.taking_back():
                transfer.result()
        except RetriesExceededError as error:
            raise error.last_exception from error
        finally:
            self._moving.discard(transfer)

    def _look_up(self, sizes: Mapping[str, int], meter: Meter) -> dict[str, _Found]:
        def ask(md5: str) -> _Found | None:
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=self._key(md5), **self._reading)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise
            finally:
                meter.add(0)
            return _Found(found["ContentLength"], found.get("ETag", "").strip('"'))

        with Daemons(_LOOK_UPS_AT_ONCE) as crew:
            return {md5: found for md5, found in zip(sizes, crew.map(ask, sizes), strict=True) if found}

    def _list(self, sizes: Mapping[str, int]) -> dict[str, _Found] | None:
        """Returns all that the remote holds; ``None`` where listing that would take longer than to look up."""
        sample = sum(1 for _ in self._pages(self._key(next(iter(sizes)))[: len(self._key("ab"))]))
        if not is_listing_worth(sample, len(sizes)):
            return None
        return {"".join(key.rsplit("/", 2)[-2:]): found for key, found in self._pages(f"{self._prefix}files/md5/")}

    def _pages(self, prefix: str) -> Iterator[tuple[str, _Found]]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for each in page.get("Contents", ()):
                yield each["Key"], _Found(each["Size"], each.get("ETag", "").strip('"'))

    def _is_whole(self, md5: str, size: int, found: _Found | None, meter: Meter) -> bool:
        if found is None or found.size != size:
            return False
        expected = md5.removesuffix(".dir") if _MD5.fullmatch(found.etag) else self._etags.get(md5)
        if expected is None or found.etag == expected:
            return True
        return self._read(md5, Sink(None), meter) == md5.removesuffix(".dir")  # encrypted: the ETag is another

    def _key(self, md5: str) -> str:
        return f"{self._prefix}files/md5/{md5[:2]}/{md5[2:]}"

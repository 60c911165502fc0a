"""A DVC remote in S3, by botocore's own client: with the settings and credentials that DVC finds, and without s3fs.

The event loop of s3fs costs a large transfer half of its speed, and a small object most of its time.  What is moved is
checked while it moves: every part by S3, the whole before it can be seen, and what arrives as it is written.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from botocore.exceptions import HTTPClientError, IncompleteReadError

from mreg.stores.cache import Cache, create_object
from mreg.stores.disk import write_all
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.s3_client import Answer, Found, S3Client
from mreg.stores.dvc.tail import TailHash
from mreg.stores.hashing import SMALL_SIZE, Meter, read_all

__all__ = ["S3Remote"]

_PART_SIZE = 8 << 20
"""Of multipart transfers."""
_MAX_PARTS = 10_000
_PARTS_AT_ONCE = 4
"""Of one object."""
_PARTS_IN_MEMORY = 8
"""Of all objects that are being sent: bounds the memory."""
_CHUNK_SIZES = (16 << 10, 1 << 20)
"""The least and the most that is read or sent before the meter hears of it."""
_QUICK_S = 0.1
_LIST_FROM = 200
"""So many objects are looked up by listing the remote, unless it holds very many more."""
_LOOK_UPS_AT_ONCE = 8
_TRIES = 3
"""Of one part that is cut off while it comes; what came of it is kept."""
_MD5 = re.compile(r"[0-9a-f]{32}")


class S3Remote:
    """Objects in DVC's layout, below one prefix of one bucket."""

    def __init__(self, client: S3Client, place: Place) -> None:
        """Makes no request yet."""
        self._client = client
        self._place = place
        self._etags: dict[str, str] = {}
        self._memory = threading.BoundedSemaphore(_PARTS_IN_MEMORY)

    def find_stored(self, sizes: Mapping[str, int], meter: Meter) -> set[str]:
        """Returns which objects are there with the right size and MD5.

        A plain ETag of S3 is the MD5 of the bytes, one of a multipart upload the MD5 of the MD5s of its parts, which is
        known of what was sent here.
        """
        with remote_errors("read", self._place):
            found = self._list(sizes) if len(sizes) >= _LIST_FROM else None
            if found is None:
                found = self._look_up(sizes, meter)
            return {md5 for md5, size in sizes.items() if self._is_whole(md5, size, found.get(md5), meter)}

    def send(self, md5: str, cache: Cache, meter: Meter) -> None:
        """Stores one object of ``cache``; it is seen there only if its bytes had the MD5 that they should."""
        with cache.open(md5) as file, remote_errors("written", self._place):
            size = os.fstat(file).st_size
            if size > _PART_SIZE:
                sending = _Sending(self._client, _key(md5), file, self._memory, meter)
                self._etags[md5] = sending.run(size, lambda found: cache.check(md5, found, file))
                return
            with self._memory:
                body = read_all(file, size)
                found = hashlib.md5(body, usedforsecurity=False)
                cache.check(md5, found.hexdigest(), file)
                self._client.put(_key(md5), body, base64.b64encode(found.digest()).decode())
            meter.add(size)

    def fetch(self, md5: str, temporary: str, meter: Meter) -> str | None:
        """Writes one object to a new file and returns the MD5 of its bytes, ``None`` where it is not there."""
        key = _key(md5)
        with remote_errors("read", self._place):
            answer = self._client.get(key, 0, _PART_SIZE)
            if answer is None:
                return None
            file = create_object(temporary)
            try:
                if answer.size <= SMALL_SIZE:
                    content = answer.body.read()
                    write_all(file, content)
                    meter.add(len(content))
                    return hashlib.md5(content, usedforsecurity=False).hexdigest()
                with TailHash(temporary) as tail:
                    _Fetching(self._client, key, file, tail, meter).run(answer)
                    return tail.finish(md5.removesuffix(".dir"))
            finally:
                os.close(file)

    def delete(self, md5: str) -> None:
        """Takes one object away, if it is there."""
        with remote_errors("written", self._place):
            self._client.delete(_key(md5))

    def idle_s(self) -> float:
        """Returns infinity: the meter hears of every few kibibytes where they come slowly."""
        return math.inf

    def _look_up(self, sizes: Mapping[str, int], meter: Meter) -> dict[str, Found]:
        found: dict[str, Found] = {}
        todo = iter(sizes)

        def work(_: threading.Event) -> None:
            while (md5 := next(todo, None)) is not None:  # one step of a C iterator: threads may share it
                if head := self._client.head(_key(md5)):
                    found[md5] = head
                meter.add(0)

        _together(min(_LOOK_UPS_AT_ONCE, len(sizes)), work)
        return found

    def _list(self, sizes: Mapping[str, int]) -> dict[str, Found] | None:
        """Returns all that the remote holds; ``None`` where listing that would take longer than to look up."""
        sample = sum(1 for _ in self._client.list(_key(next(iter(sizes)))[: len("files/md5/ab/")]))
        if sample * 256 > 20 * len(sizes):  # a page of a listing holds 1000, a look-up one
            return None
        return {"".join(key.rsplit("/", 2)[-2:]): found for key, found in self._client.list("files/md5/")}

    def _is_whole(self, md5: str, size: int, found: Found | None, meter: Meter) -> bool:
        if found is None or found.size != size:
            return False
        expected = md5.removesuffix(".dir") if _MD5.fullmatch(found.etag) else self._etags.get(md5)
        if expected is None or found.etag == expected:
            return True
        return self._read_md5(md5, size, meter) == md5.removesuffix(".dir")  # encrypted: the ETag is something else

    def _read_md5(self, md5: str, size: int, meter: Meter) -> str:
        found = hashlib.md5(usedforsecurity=False)
        answer, pace = self._client.get(_key(md5), 0, size), _Pace()
        while answer and (chunk := answer.body.read(pace.next())):
            found.update(chunk)
            meter.add(0)
        return found.hexdigest()


class _Sending:
    """One large object on its way to the remote, in parts."""

    def __init__(self, client: S3Client, key: str, file: int, memory: threading.BoundedSemaphore, meter: Meter) -> None:
        self._client = client
        self._key = key
        self._file = file
        self._memory = memory
        self._meter = meter
        self._lock = threading.Lock()
        self._whole = hashlib.md5(usedforsecurity=False)
        self._digests: dict[int, bytes] = {}
        self._etags: dict[int, str] = {}
        self._sent = 0

    def run(self, size: int, check: Callable[[str], None]) -> str:
        """Returns the ETag that S3 should give it; ``check`` gets the MD5 before anybody sees the object."""
        part_size = max(_PART_SIZE, -(-size // _MAX_PARTS))
        upload = self._client.begin(self._key)
        try:
            _together(_PARTS_AT_ONCE, lambda stop: self._work(upload, part_size, stop))
            check(self._whole.hexdigest())
            joined = b"".join(digest for _, digest in sorted(self._digests.items()))
            self._client.finish(self._key, upload, self._etags)
        except BaseException:
            with suppress(Exception):  # what went wrong before is what matters
                self._client.abandon(self._key, upload)
            self._meter.take_back(self._sent)
            raise
        return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(self._digests)}"

    def _work(self, upload: str, part_size: int, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._memory:
                with self._lock:  # one after the other, as the whole is hashed in order
                    number, part = len(self._digests) + 1, read_all(self._file, part_size - 1)
                    if not part:
                        return
                    self._whole.update(part)
                    self._digests[number] = b""
                found = self._digests[number] = hashlib.md5(part, usedforsecurity=False).digest()
                body = _Body(part, self._meter)
                md5 = base64.b64encode(found).decode()
                self._etags[number] = self._client.put_part(self._key, upload, number, body, md5)
            with self._lock:
                self._sent += len(part)
            self._meter.add(len(part))


class _Body(io.BytesIO):
    """Bytes to send, which tell the meter that they are being sent."""

    def __init__(self, content: bytes, meter: Meter) -> None:
        super().__init__(content)
        self._meter = meter
        self._pace = _Pace()

    def read(self, size: int | None = -1) -> bytes:
        """May return more than is asked for: HTTP's client asks for 16 KiB at a time, and takes what it gets."""
        self._meter.add(0)
        return super().read(max(size, self._pace.next()) if size and size > 0 else size)


class _Pace:
    """How much to move at a time, so that much is quick and little is heard of soon."""

    def __init__(self) -> None:
        self._size = _CHUNK_SIZES[0]
        self._asked_s = time.monotonic()

    def next(self) -> int:
        """Returns the bytes to move next: more than the last time where that went quickly."""
        now = time.monotonic()
        least, most = _CHUNK_SIZES
        is_quick = now - self._asked_s < _QUICK_S
        self._size = min(self._size * 2, most) if is_quick else max(self._size // 2, least)
        self._asked_s = now
        return self._size


class _Fetching:
    """One large object on its way to a file: its parts come side by side, each is written where it belongs.

    No more than a few chunks are in memory.
    """

    def __init__(self, client: S3Client, key: str, file: int, tail: TailHash, meter: Meter) -> None:
        self._client = client
        self._key = key
        self._file = file
        self._tail = tail
        self._meter = meter
        self._lock = threading.Lock()
        self._next = 0
        """Where the next part starts that nobody fetches yet."""
        self._moved = 0
        self._reached: dict[int, int] = {}
        """How far each part has come that is under way, by where it starts."""

    def run(self, first: Answer) -> None:
        try:
            _together(min(_PARTS_AT_ONCE, -(-first.size // _PART_SIZE)), lambda stop: self._work(first, stop))
        except BaseException:
            self._meter.take_back(self._moved)
            raise

    def _work(self, first: Answer, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._lock:
                start = self._next
                if start >= first.size:
                    return
                self._next = min(start + _PART_SIZE, first.size)
                self._reached[start] = start
            self._fetch(first, start)

    def _fetch(self, first: Answer, start: int) -> None:
        position, end = start, min(start + _PART_SIZE, first.size)
        answer = first if start == 0 else None
        for attempt in range(_TRIES):
            try:
                answer = answer or self._client.get(self._key, position, end, first.etag)
                pace = _Pace()
                while answer and (chunk := answer.body.read(pace.next())):
                    _write_at(self._file, chunk, position)
                    position += len(chunk)
                    self._move(start, position, len(chunk))
                if position != end:
                    raise IncompleteReadError(actual_bytes=position - start, expected_bytes=end - start)
            except (HTTPClientError, IncompleteReadError):
                if attempt == _TRIES - 1:
                    raise
                answer = None
            except BaseException:  # the disk is full, or whoever follows the progress wants no more
                if answer:
                    answer.body.close()
                raise
            else:
                with self._lock:
                    del self._reached[start]
                    self._tail.grow(min(self._reached.values(), default=self._next))
                return

    def _move(self, start: int, position: int, size: int) -> None:
        """Tells the meter, and what hashes how far the file is whole from its beginning."""
        self._meter.add(size)
        with self._lock:
            self._moved += size
            self._reached[start] = position
            self._tail.grow(min(self._reached.values()))


def _together(count: int, work: Callable[[threading.Event], None]) -> None:
    """Does the same in several threads, one of them the caller's; raises the first error once all have ended.

    The threads are daemons, as those of the pool: none keeps the process from ending.
    """
    stop = threading.Event()
    errors: list[BaseException] = []

    def act() -> None:
        try:
            work(stop)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=act, daemon=True) for _ in range(count - 1)]
    for thread in threads:
        thread.start()
    act()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _write_at(file: int, chunk: bytes, position: int) -> None:
    rest = memoryview(chunk)
    while rest:
        written = os.pwrite(file, rest, position)
        rest, position = rest[written:], position + written


def _key(md5: str) -> str:
    return f"files/md5/{md5[:2]}/{md5[2:]}"

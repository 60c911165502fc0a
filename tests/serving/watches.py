"""Watches that run beside a test: in a thread, and in processes of their own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest

import mreg
from mreg import News, Pulled

__all__ = ["Follower", "Watch", "following", "watching"]

_PATIENCE_S = 180.0


class Follower:
    """``mreg.watch`` in a thread of this process."""

    def __init__(self, selector: str, repo: str | Path, output: Path, **options: Any) -> None:  # noqa: ANN401
        """Begins."""
        self.stop = threading.Event()
        self.versions: queue.Queue[Pulled | None] = queue.Queue()
        self.news: queue.Queue[News] = queue.Queue()
        self.error: Exception | None = None
        options = {"every": 0.15, **options}
        self._watch = partial(
            mreg.watch, selector, repo=repo, output=output, stop=self.stop, on_news=self.news.put, **options
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self) -> Pulled:
        """Returns the next version; fails where none comes."""
        try:
            found = self.versions.get(timeout=_PATIENCE_S)
        except queue.Empty:
            pytest.fail(f"no version came; news: {list(self.news.queue)}")
        if found is None:
            pytest.fail(f"no version came, and it ended: {self.error!r}")
        return found

    def hear(self) -> News:
        """Returns the next piece of news; fails where none comes."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and (self._thread.is_alive() or not self.news.empty()):
            with suppress(queue.Empty):
                return self.news.get(timeout=0.5)
        pytest.fail(f"no news came; versions: {list(self.versions.queue)}; {self.error!r}")

    def end(self) -> None:
        """Stops it."""
        self.stop.set()
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for pulled in self._watch():
                self.versions.put(pulled)
        except Exception as error:  # noqa: BLE001 - whoever waits is to know
            self.error = error
        self.versions.put(None)


@contextmanager
def following(selector: str, repo: str | Path, output: Path, **options: Any) -> Iterator[Follower]:  # noqa: ANN401
    """Gives a running watch, and ends it."""
    follower = Follower(selector, repo, output, **options)
    try:
        yield follower
    finally:
        follower.end()


class Watch:
    """``mreg pull --watch`` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Reads what it writes as it comes."""
        self.process = process
        self.changes: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.news: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.errors: list[str] = []
        """What it wrote to stderr that is not JSON."""
        self._threads = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self.changes), (process.stderr, self.news))
        ]
        for thread in self._threads:
            thread.start()

    def next(self) -> dict[str, Any]:
        """Returns the next version; fails where none comes."""
        return self._get(self.changes, "version")

    def hear(self) -> dict[str, Any]:
        """Returns the next piece of news; fails where none comes."""
        return self._get(self.news, "news")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal, and returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(_PATIENCE_S)
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        return code

    def _get(self, lines: queue.Queue[dict[str, Any] | None], what: str) -> dict[str, Any]:
        try:
            found = lines.get(timeout=_PATIENCE_S)
        except queue.Empty:
            pytest.fail(f"no {what} came; {self._all()}")
        if found is None:
            pytest.fail(f"no {what} came, and it ended with {self.process.wait()}; {self._all()}")
        return found

    def _all(self) -> str:
        return f"versions: {list(self.changes.queue)}; news: {list(self.news.queue)}; stderr: {self.errors}"

    def _read(self, stream: IO[str], lines: queue.Queue[dict[str, Any] | None]) -> None:
        for line in stream:
            try:
                lines.put(json.loads(line))
            except ValueError:
                self.errors.append(line)
        lines.put(None)


@contextmanager
def watching(
    selector: str, *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Watch]:
    """Gives a running watch, and ends it."""
    command = [sys.executable, "-m", "mreg", "pull", selector, *args, "--watch", "--format", "json"]
    if "--every" not in args:
        command += ["--every", "0.1"]
    variables = {**os.environ, **(env or {})}
    with subprocess.Popen(
        command, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield Watch(process)
        finally:
            if process.poll() is None:
                process.kill()

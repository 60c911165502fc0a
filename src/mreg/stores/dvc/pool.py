"""Runs transfers side by side, and gives up when nothing moves any more."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from mreg.errors import StorageError
from mreg.stores.dvc.errors import Place
from mreg.stores.hashing import Meter

__all__ = ["run_all"]

_JOIN_S = 1.0
"""How long to wait, after a failure, for the transfers that are under way."""


def run_all(tasks: Sequence[Callable[[], None]], place: Place, *, jobs: int, meter: Meter, stall_s: float) -> None:
    """Runs every task, ``jobs`` at a time, and returns when the last is done.

    The threads are daemons: a client that waits for ever (DVC's do, when a server stops answering) keeps neither the
    caller nor the end of the process.

    Args:
        tasks: What to run; a task tells ``meter`` of every byte.
        place: The remote that they talk to, for the message.
        stall_s: Seconds without a byte and without a finished task after which to give up.

    Raises:
        StorageError: Nothing moved for ``stall_s``.
        Exception: The first error of a task; tasks that had not begun are not run.
    """
    todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for task in tasks:
        todo.put(task)
    ended: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    stop = threading.Event()
    threads = [threading.Thread(target=_work, args=(todo, ended, stop), daemon=True) for _ in tasks[:jobs]]
    meter.add(0)
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            try:
                error = _wait(ended, meter, stall_s)
            except queue.Empty:
                raise StorageError(
                    f"{place} has not answered for {stall_s:.0f} s",
                    hint="check the network, and run the command again",
                    details={"remote": place.name, "url": place.url},
                ) from None
            meter.add(0)
            if error:
                raise error
    finally:
        stop.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _work(
    todo: queue.SimpleQueue[Callable[[], None]], ended: queue.SimpleQueue[Exception | None], stop: threading.Event
) -> None:
    while not stop.is_set():
        try:
            task = todo.get_nowait()
        except queue.Empty:
            return
        try:
            task()
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            ended.put(error)
        else:
            ended.put(None)


def _wait(ended: queue.SimpleQueue[Exception | None], meter: Meter, stall_s: float) -> Exception | None:
    while True:
        try:
            return ended.get(timeout=min(1.0, stall_s))
        except queue.Empty:
            if meter.idle_s > stall_s:
                raise

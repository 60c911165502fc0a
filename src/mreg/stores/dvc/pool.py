"""Runs transfers side by side, tries again what may pass, and gives up when nothing moves any more.

Rules:
    * What a remote could not do just now (a connection that broke, a server that is overloaded) is tried again, after
      a pause that grows and is never the same; what it will not do (credentials, a missing object) is not.
    * No further try begins once nothing has moved for ``_PATIENCE_S``: who is not there is said soon.
    * A remote that says nothing for ``stall_s`` is given up, whatever its client is waiting for.
    * One thread begins.  The others join it unless it gets ahead too fast for them: small files on a local disk are
      done sooner by one thread than by eight that pass Python's lock to each other at every call of the system.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from mreg.errors import StorageError
from mreg.stores.artifacts.hashing import Meter
from mreg.stores.dvc.errors import Place

__all__ = ["Crew", "run_all"]

_JOIN_S = 1.0
"""How long to wait, after a failure, for the transfers that are under way."""
_TRIES = 3
_PATIENCE_S = 10.0
_REPORT_S = 0.05
"""How long a thread may keep what it did to itself: waking the caller for each of 10 000 small files costs more than
they do."""
_SHORT_S = 0.001
"""A task that takes less is better done by the thread that is at it already."""
_SLOW = 3
"""How often in a row a thread that was fast is found slow before it gets company: a disk may pause."""
_PAUSE_S = 1.0
"""The longest pause before the second try; each one after may be twice as long."""


class Crew(Struct, frozen=True):
    """How many work at a time, and when they give up."""

    jobs: int
    stall_s: float
    """Seconds in which nothing comes from the remote and no task ends."""
    network_idle_s: Callable[[], float]
    """Seconds since the remote's connections last moved; infinite where nobody knows."""


_Ended = tuple[int, Exception | None]
"""How many tasks a thread ended since it last said so, and why the last of them could not be done."""


def run_all(tasks: Sequence[Callable[[], None]], place: Place, crew: Crew, meter: Meter) -> None:
    """Runs every task, ``crew.jobs`` at a time, and returns when the last is done.

    The threads are daemons: a client that waits for ever (DVC's do, when a server stops answering) keeps neither the
    caller nor the end of the process.

    Args:
        tasks: What to run; a task tells ``meter`` of every byte, and can be run again after it failed.
        place: The remote that they talk to, for the message.

    Raises:
        StorageError: Nothing moved for ``crew.stall_s``.
        Exception: The first error of a task; tasks that had not begun are not run.
    """
    todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for task in tasks:
        todo.put(task)
    ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        done, told_s = 0, time.monotonic()
        while not stop.is_set():
            try:
                task = todo.get_nowait()
            except queue.Empty:
                break
            error = _attempt(task, stop, crew, meter)
            done += 1
            if error or time.monotonic() - told_s >= _REPORT_S:
                ended.put((done, error))
                done, told_s = 0, time.monotonic()
        if done:
            ended.put((done, None))

    threads = [threading.Thread(target=work, daemon=True) for _ in tasks[: crew.jobs]]
    meter.add(0)
    _start(threads[:1])
    try:
        left, slow = len(tasks), _SLOW - 1
        while left:
            is_alone = threads[-1].ident is None
            done, error = _wait(ended, 2 * _REPORT_S if is_alone else min(1.0, crew.stall_s))
            if error:
                raise error
            if done:
                meter.add(0)
            elif min(meter.idle_s, crew.network_idle_s()) > crew.stall_s:
                raise StorageError(
                    f"{place} has not answered for {crew.stall_s:g} s",
                    hint="check the network, then run the command again   # or: git config mreg.storageTimeout 300",
                    details={"remote": place.name, "url": place.url, "stall_s": crew.stall_s},
                )
            left -= done
            slow = 0 if done * _SHORT_S >= _REPORT_S else slow + 1
            if left and is_alone and slow >= _SLOW:
                _start(threads[1:])
    finally:
        stop.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            if thread.ident is not None:  # it was needed
                thread.join(max(0.0, deadline - time.monotonic()))


def _attempt(task: Callable[[], None], stop: threading.Event, crew: Crew, meter: Meter) -> Exception | None:
    """Returns why a task could not be done, ``None`` where it was."""
    for attempt in range(_TRIES):
        try:
            task()
        except StorageError as error:
            if not error.details.get("may_pass") or attempt == _TRIES - 1 or meter.idle_s > _PATIENCE_S:
                return error
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            return error
        else:
            return None
        # Half of it by chance: those who were sent away together do not come back together.
        longest_s = min(_PAUSE_S * 2**attempt, crew.stall_s / 2)
        if stop.wait(random.uniform(longest_s / 2, longest_s)):  # noqa: S311 - no secret
            return None
    return None


def _start(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()


def _wait(ended: queue.SimpleQueue[_Ended], longest_s: float) -> _Ended:
    """Returns what a thread says next; that no task ended, where none says anything."""
    try:
        return ended.get(timeout=longest_s)
    except queue.Empty:
        return 0, None

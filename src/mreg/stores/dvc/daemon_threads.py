"""Threads that do not keep a process from ending, as those of ``ThreadPoolExecutor`` do while the network hangs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

__all__ = ["Daemons"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Daemons(Executor):
    """Runs what it is given in so many threads, started as they are needed."""

    def __init__(self, max_workers: int) -> None:
        """Starts none yet."""
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._left = max_workers

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Returns the future result of a call."""
        future: Future[_T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001 - for whoever asks for the result
                    future.set_exception(error)

        self._tasks.put(run)
        if not self._idle.acquire(blocking=False) and self._left > 0:
            self._left -= 1
            threading.Thread(target=self._work, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the threads end once nothing is left to do; waits for none."""
        self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            self._idle.release()
        self._tasks.put(None)  # for the next one

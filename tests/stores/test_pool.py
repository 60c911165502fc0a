"""Running many short tasks side by side: each once, none forgotten, and the first error heard."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from mreg.errors import StorageError
from mreg.stores.artifacts.hashing import Meter
from mreg.stores.dvc.errors import Place
from mreg.stores.dvc.pool import Crew, run_all

PLACE = Place("storage", "/srv/storage")
CREW = Crew(8, 5.0, lambda: float("inf"))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 1000])
def test_run_all_runs_each_task_once_and_returns_after_the_last(count: int) -> None:
    ran: list[int] = []
    run_all([partial(ran.append, number) for number in range(count)], PLACE, CREW, Meter(None, 0))
    assert Counter(ran) == Counter(range(count))


def test_run_all_error_among_short_tasks_is_raised_and_the_rest_is_not_begun() -> None:
    ran: list[int] = []
    stop = threading.Event()

    def fail() -> None:
        stop.set()
        raise StorageError("the disk is full")

    def work(number: int) -> None:
        ran.append(number)
        assert stop.wait(5)

    tasks: list[Callable[[], None]] = [
        *(partial(work, number) for number in range(7)),
        fail,
        *(partial(work, number) for number in range(10**5)),
    ]
    with pytest.raises(StorageError, match="the disk is full"):
        run_all(tasks, PLACE, CREW, Meter(None, 0))
    assert len(ran) < len(tasks) - 1


@pytest.mark.parametrize("before", [0, 10**4])
def test_run_all_tasks_that_wait_are_run_by_all_threads_at_once(before: int) -> None:
    meeting = threading.Barrier(CREW.jobs)
    tasks: list[Callable[[], object]] = [*[lambda: None] * before, *[partial(meeting.wait, 5)] * CREW.jobs]
    run_all([partial(_run, task) for task in tasks], PLACE, CREW, Meter(None, 0))
    assert not meeting.broken


def _run(task: Callable[[], object]) -> None:
    task()


def test_run_all_one_worker_that_hangs_is_given_up_though_others_are_done() -> None:
    gone = threading.Event()

    def hang() -> None:
        gone.wait(30)

    try:
        with pytest.raises(StorageError, match=r"has not answered for 0\.3 s"):
            run_all([hang, *[lambda: None] * 100], PLACE, Crew(2, 0.3, lambda: float("inf")), Meter(None, 0))
    finally:
        gone.set()

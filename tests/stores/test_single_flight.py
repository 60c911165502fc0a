"""Claims: one does it, the others use it; who fails or is killed blocks nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mreg.errors import StorageError
from mreg.stores.serving import single_flight
from mreg.stores.serving.single_flight import claim, lock_file


class Crowd:
    """Threads that all want the same, and are at it at the same time."""

    def __init__(self, folder: Path, work: Callable[[], None], count: int = 4) -> None:
        self.path, self.product = folder / "claims" / "x", folder / "product"
        self.work = work
        self.claimed = self.used = 0
        self.errors: list[StorageError] = []
        self.waiting = threading.Semaphore(0)
        self._count = count
        self._lock = threading.Lock()

    def run(self) -> None:
        threads = [threading.Thread(target=self._want) for _ in range(self._count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def others_wait(self) -> None:
        """Waits until everybody else does."""
        for _ in range(self._count - 1):
            assert self.waiting.acquire(timeout=30)

    def _want(self) -> None:
        has_waited = threading.Event()

        def wait() -> None:
            if not has_waited.is_set():
                has_waited.set()
                self.waiting.release()

        try:
            with claim(self.path, self.product.exists, wait) as is_ours:
                with self._lock:
                    self.claimed, self.used = self.claimed + is_ours, self.used + (not is_ours)
                if is_ours:
                    self.work()
        except StorageError as error:
            with self._lock:
                self.errors.append(error)


def test_claim_is_given_to_one_and_the_others_use_what_it_made(tmp_path: Path) -> None:
    def work() -> None:
        crowd.others_wait()
        crowd.product.touch()

    crowd = Crowd(tmp_path, work)
    crowd.run()
    assert (crowd.claimed, crowd.used, crowd.errors) == (1, 3, [])
    assert not list(crowd.path.parent.iterdir())
    with claim(crowd.path, crowd.product.exists, lambda: None) as is_ours:
        assert not is_ours


def test_claim_of_one_that_failed_at_once_goes_to_the_next(tmp_path: Path) -> None:
    def work() -> None:
        if crowd.claimed == 1:
            crowd.others_wait()
            raise StorageError("no")
        crowd.product.touch()

    crowd = Crowd(tmp_path, work)
    crowd.run()
    assert (crowd.claimed, crowd.used, len(crowd.errors)) == (2, 2, 1)


def test_claim_of_one_that_failed_late_fails_for_all_who_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "_SLOW_S", -1.0)

    def work() -> None:
        crowd.others_wait()
        raise StorageError("it has not answered for 60 s", hint="check the network")

    crowd = Crowd(tmp_path, work)
    crowd.run()
    assert (crowd.claimed, crowd.used) == (1, 0)
    assert {(error.message, error.hint) for error in crowd.errors} == {
        ("it has not answered for 60 s", "check the network")
    }
    assert len(crowd.errors) == 4
    with claim(crowd.path, crowd.product.exists, lambda: None) as is_ours:  # who comes later tries again
        assert is_ours


def test_claim_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("a file")
    with pytest.raises(StorageError), claim(tmp_path / "claims" / "x", lambda: False, lambda: None):
        pass
    with pytest.raises(StorageError), lock_file(tmp_path / "claims" / "x"):
        pass


def test_lock_of_a_process_that_was_stopped_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_flight, "_PATIENCE_S", 0.0)
    path = tmp_path / "lock"
    with lock_file(path):
        with pytest.raises(StorageError, match=r"has kept .* locked for 0 minutes") as caught, lock_file(path):
            pass
        assert caught.value.hint.startswith(f"fuser -v {path} ")
    with lock_file(path):
        pass

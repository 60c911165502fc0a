"""The serving example, run as a user would: a process that follows a stage, asked over HTTP all the while."""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import joblib
import pytest
import skops.io

from tests.hosts import git_host
from tests.serving.conftest import Far
from tests.serving.watches import watching
from tests.sinks import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "serving"
ROWS = {"rows": [[1.0, 2.0], [3.0, 4.0]]}

pytestmark = pytest.mark.slow


def make_model(number: int, notes: str = "") -> bytes:
    """Returns a real ONNX model that answers with one number, whatever it is asked: 0 · x + number.

    Written field by field, so that no test waits for a framework: https://onnx.ai/onnx/api/classes.html
    """
    tensors = [("zeros", (2, 1), (0.0, 0.0)), ("number", (1,), (float(number),))]
    weights = [
        b"".join(_varint(1, size) for size in shape)
        + _varint(2, 1)
        + _bytes(8, name.encode())
        + _bytes(9, struct.pack(f"<{len(values)}f", *values))
        for name, shape, values in tensors
    ]
    nodes = [(("x", "zeros"), "product", b"MatMul"), (("product", "number"), "y", b"Add")]
    graph = b"".join(
        _bytes(1, b"".join(_bytes(1, each.encode()) for each in inputs) + _bytes(2, output.encode()) + _bytes(4, kind))
        for inputs, output, kind in nodes
    )
    graph += _bytes(2, b"answer") + b"".join(_bytes(5, weight) for weight in weights)
    graph += _bytes(11, _value(b"x", 2)) + _bytes(12, _value(b"y", 1))
    return _varint(1, 8) + _bytes(2, b"mreg") + _bytes(6, notes.encode()) + _bytes(7, graph) + _bytes(8, _varint(2, 13))


def _value(name: bytes, width: int) -> bytes:
    shape = _bytes(1, _bytes(2, b"rows")) + _bytes(1, _varint(1, width))
    return _bytes(1, name) + _bytes(2, _bytes(1, _varint(1, 1) + _bytes(2, shape)))


def _bytes(field: int, content: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(content)) + content


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _number(value: int) -> bytes:
    rest, low = value >> 7, value & 0x7F
    return bytes([low | 0x80]) + _number(rest) if rest else bytes([low])


def answers_of(number: int) -> list[list[float]]:
    """Returns what a model answers to ``ROWS``."""
    return [[float(number)]] * 2


class Service:
    """The running example."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.log = process, log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(path).json()
        return found

    def predict(self) -> httpx.Response:
        return self.client.post("/predict", json=ROWS)

    def wait_for(self, path: str, is_there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Returns the first answer of a path that is as it should be."""
        deadline = time.monotonic() + 180
        found: dict[str, Any] = {}
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                found = self.get(path)
                if is_there(found):
                    return found
            except httpx.TransportError:  # it has not begun to listen
                pass
            time.sleep(0.05)
        pytest.fail(f"{path} never became right: {found}\n{self.log.read_text()}")


@contextmanager
def serving(repo: str, state: Path, *, selector: str = "answers@production", **env: str) -> Iterator[Service]:
    """Starts the example, and stops it as a supervisor would."""
    port = free_port()
    state.mkdir(exist_ok=True)
    log = state / "log"
    command = [sys.executable, "-m", "uvicorn", "--factory", "app:create_app", "--port", str(port)]
    variables = {"MREG_REPO": repo, "MREG_SELECTOR": selector, "MREG_EVERY": "0.2", "STATE_DIRECTORY": str(state)}
    with (
        log.open("ab") as sink,
        subprocess.Popen(
            command, cwd=EXAMPLE, env={**os.environ, **variables, **env}, stdout=sink, stderr=sink
        ) as process,
    ):
        service = Service(process, port, log)
        try:
            yield service
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in {0, -signal.SIGTERM}, log.read_text()  # uvicorn ends by the signal that it got
        finally:
            service.client.close()
            if process.poll() is None:
                process.kill()


def test_example_serving_follows_a_stage_and_keeps_the_last_good_model(far: Far, tmp_path: Path) -> None:
    state = tmp_path / "state"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with git_host("python", far.bare, scratch) as host, serving(host.url_of("ada"), state) as service:
        host.unprotect()
        url, port = host.url_of("ada"), host.port
        ready = service.wait_for("/readyz", lambda found: "no model 'answers'" in found["why"])
        assert ready["status"] == "not ready"
        answer = service.predict()
        assert (answer.status_code, "no model 'answers'" in answer.json()["error"]) == (503, True)
        assert (service.get("/healthz"), service.get("/model")["model"]) == ({"alive": True}, None)
        for number in (1, 2):
            far.register(make_model(number), "answers")
        far.promote("answers@v1")
        ready = service.wait_for("/readyz", lambda found: found["status"] == "ready")
        facts = {"model": "answers", "version": "v1.0.0", "commit": far.tip}
        assert ready == {"status": "ready", **facts}
        answer = service.predict()
        assert answer.json() == {"predictions": answers_of(1), **facts}
        headers = {"x-model": "answers", "x-model-version": "v1.0.0", "x-registry-commit": far.tip}
        assert headers.items() <= dict(answer.headers).items()
        assert service.client.post("/predict", json={"rows": []}).status_code == 422
        wrong = service.client.post("/predict", json={"rows": [[1.0]]})
        assert (wrong.status_code, wrong.json()["version"]) == (422, "v1.0.0")
        promoted = far.promote("answers@v2")
        model = service.wait_for("/model", lambda found: found["version"] == "v2.0.0")
        assert (model["commit"], model["trouble"], model["rejected"]) == (promoted, None, None)
        assert service.predict().json()["predictions"] == answers_of(2)
        far.register(make_model(3)[:-20], "answers")
        far.promote("answers@v3")
        model = service.wait_for("/model", lambda found: found["rejected"] is not None)
        assert (model["version"], model["rejected"]["version"]) == ("v2.0.0", "v3.0.0")
        ready = service.get("/readyz")
        assert (ready["status"], service.client.get("/readyz").status_code) == ("degraded", 200)
        assert service.predict().json()["predictions"] == answers_of(2)
    # Started anew while the remote is down, and the version of the stage still cannot be loaded.
    with serving(url, state) as service:
        ready = service.wait_for("/readyz", lambda found: found["status"] == "degraded")
        assert service.client.get("/readyz").status_code == 200
        assert (ready["version"], service.predict().json()["predictions"]) == ("v2.0.0", answers_of(2))
        model = service.get("/model")
        assert ("answers v3.0.0" in model["trouble"], model["rejected"]["version"]) == (True, "v3.0.0")
        far.registry.rollback("answers", "production", reason="it cannot be loaded", push=True)
        with git_host("python", far.bare, scratch, port=port) as host:
            host.unprotect()
            ready = service.wait_for("/readyz", lambda found: found["status"] == "ready")
        assert (ready["version"], ready["commit"]) == ("v2.0.0", far.tip)


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLE)
    return importlib.import_module("loaders")


def test_example_loaders_load_pickles_only_where_they_are_told_to(loaders: ModuleType, tmp_path: Path) -> None:
    from sklearn.dummy import DummyClassifier  # noqa: PLC0415 - two seconds

    model = DummyClassifier(strategy="constant", constant=1).fit([[0.0], [0.0]], [0, 1])
    place = tmp_path / "model"
    joblib.dump(model, place)
    for name in ("joblib", "pickle", "sklearn-pickle", "mlflow+pickle"):
        with pytest.raises(loaders.CannotLoadError, match="runs code while it is loaded"):
            loaders.load(place, name, allow_pickle=False)
    assert loaders.load(place, "joblib", allow_pickle=True)(ROWS["rows"]) == [1, 1]
    skops.io.dump(model, place)
    assert loaders.load(place, "skops", allow_pickle=False)(ROWS["rows"]) == [1, 1]
    skops.io.dump(Counter(), place)
    with pytest.raises(loaders.CannotLoadError, match="skops does not know"):
        loaders.load(place, "skops", allow_pickle=False)
    with pytest.raises(loaders.CannotLoadError, match="no loader for the format 'gguf'"):
        loaders.load(place, "gguf", allow_pickle=True)
    with pytest.raises(loaders.CannotLoadError):
        loaders.load(place, "onnx", allow_pickle=True)


class Reader:
    """Reads a file again and again, as a server does that loads it whenever it likes."""

    def __init__(self, path: Path, known: frozenset[str]) -> None:
        self.path, self.known = path, known
        self.reads = 0
        self.torn: list[str] = []

    def read(self) -> None:
        found = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.reads += 1
        if found not in self.known:
            self.torn.append(found)


class Asker:
    """Asks the service again and again, and notes each answer that is not one, or not the model's."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.versions: list[int] = []
        self.commits: list[str] = []
        self.failures: list[str] = []

    def ask(self) -> None:
        try:
            answer = self.service.predict()
            found = answer.json()
            number = int(found["version"].removeprefix("v").partition(".")[0])
            is_right = answer.status_code == 200 and found["predictions"] == answers_of(number)
            if not is_right or answer.headers["x-registry-commit"] != found["commit"]:
                self.failures.append(answer.text)
            self.versions.append(number)
            self.commits.append(found["commit"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self.failures.append(repr(error))


@contextmanager
def repeating(*tasks: Callable[[], None], pause_s: float) -> Iterator[None]:
    """Does each task in a thread of its own, over and over."""
    stop = threading.Event()

    def repeat(task: Callable[[], None]) -> None:
        while not stop.wait(pause_s):
            task()

    threads = [threading.Thread(target=repeat, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def history_of(far: Far) -> list[str]:
    """Returns the registry's commits, oldest first."""
    return far.git("rev-list", "--first-parent", "--reverse", "main", cwd=far.bare).split()


def check_monotone(commits: Sequence[str], history: Sequence[str]) -> None:
    """Fails where an older registry commit comes after a newer one."""
    places = [history.index(commit) for commit in commits]
    assert places == sorted(places)


def test_watches_and_service_follow_every_promotion(
    far: Far, tmp_path: Path, soak: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    count, promotions, size = (20, 50, 4 << 20) if soak else (3, 6, 1 << 20)
    every, versions = ("1", 6) if soak else ("0.3", 3)
    bodies = [make_model(number, os.urandom(size // 2).hex()) for number in range(1, versions + 2)]
    for body in bodies:
        far.register(body, "answers")
    held = {far.promote("answers@v1"): 1}
    known = frozenset(hashlib.sha256(body).hexdigest() for body in bodies)
    places = [tmp_path / f"watch-{index}" / "model.bin" for index in range(count)]
    with ExitStack() as stack:
        service = stack.enter_context(serving(far.url, tmp_path / "state", MREG_EVERY=every))
        started = [
            stack.enter_context(watching("answers@production", "--repo", far.url, "-o", str(place), "--every", every))
            for place in places
        ]
        seen: list[list[dict[str, Any]]] = [[watch.next()] for watch in started]
        service.wait_for("/readyz", lambda found: found["status"] == "ready")
        readers = [Reader(place, known) for place in places]
        askers = [Asker(service) for _ in range(2)]
        with repeating(*(each.read for each in readers), *(each.ask for each in askers), pause_s=0.02 * count / 3):
            for turn in range(promotions):
                # The last is one that nobody has yet, whatever they missed.
                number = versions + 1 if turn == promotions - 1 else (turn + 1) % versions + 1
                last = far.promote(f"answers@v{number}")
                held[last] = number
            for watch, changes in zip(started, seen, strict=True):
                while changes[-1]["commit"] != last:
                    changes.append(watch.next())
            service.wait_for("/model", lambda found: found["version"] == f"v{held[last]}.0.0")
        for watch in started:
            assert watch.end() == 128 + signal.SIGTERM
    history = history_of(far)
    for reader, changes in zip(readers, seen, strict=True):
        check_monotone([change["commit"] for change in changes], history)
        assert all(change["version"] == f"v{held[change['commit']]}.0.0" for change in changes)
        assert reader.torn == []
        assert reader.reads > 0
    for asker in askers:
        assert asker.failures == []
        check_monotone(asker.commits, history)
        assert asker.versions[-1] == held[last]
    if soak:
        seen_by = sorted(len(changes) for changes in seen)
        reads, requests = sum(reader.reads for reader in readers), sum(len(asker.versions) for asker in askers)
        with capsys.disabled():
            sys.stdout.write(f"\n{promotions} promotions; seen by each watch: {seen_by}; {reads=}; {requests=}\n")

"""Writers of one registry, each a process of its own with a clone of its own, that go on whatever the others do.

    python -m tests.faults.writers < orders.jsonl > answers.jsonl

All that they need of mreg is loaded once, and each writer is forked from there: a race of many costs no start-up.  A
writer calls the Python API, or forks once more for each command line.  What it does is random, and the same for a seed
as far as the others let it be; its journal has a line before each operation and one after.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType

__all__ = ["SHARED", "Crew", "Deed", "Order"]

ROOT = Path(__file__).parents[2]
SHARED = ("churn", "fraud/eu")
"""The models that all writers change."""
STAGES = ("staging", "production")
WEIGHTS = {"promote": 36, "register": 18, "rollback": 14, "hold": 10, "archive": 8, "approve": 8, "clear": 6}


@dataclass(frozen=True)
class Order:
    """What one writer is to do."""

    name: str
    """Its seed too."""
    clone: str
    count: int = 0
    """How many operations; 0 for as many as it can until it is killed."""
    api: bool = True
    """Through the Python API, or else the command line."""
    push: bool = True
    models: Sequence[str] = SHARED
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deed:
    """One operation, and how it ended."""

    mark: str
    """What is found again in the commit, if it landed."""
    args: Sequence[str]
    code: str = "killed"
    """``landed``, ``nothing-to-do``, or the code of the error; ``killed`` where the journal says nothing."""
    commit: str = ""
    tags: Sequence[str] = ()
    attempts: int = 0
    """How often a commit was about to land; only known of the Python API."""
    seconds: float = 0
    message: str = ""


class Crew:
    """The process that writers are forked from."""

    def __init__(self, journals: Path) -> None:
        """Starts it in the environment of now; ``journals`` is a folder for what the writers do."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
        command = [sys.executable, "-m", "tests.faults.writers"]
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self._journals = journals
        self._journals.mkdir(exist_ok=True)

    def __enter__(self) -> Crew:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process; every writer is to have ended."""
        self._process.communicate()

    def start(self, order: Order) -> int:
        """Returns the process of a new writer, which leads a group of its own."""
        return int(self._ask({"order": asdict(order), "journal": str(self._journals / f"{order.name}.jsonl")}))

    def wait(self, pid: int) -> int:
        """Returns how a writer ended; negative where a signal ended it."""
        return int(self._ask({"wait": pid}))

    def deeds(self) -> list[Deed]:
        """Returns what all writers did so far."""
        found: dict[str, Deed] = {}
        for path in sorted(self._journals.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                deed = Deed(**json.loads(line))
                found[deed.mark] = deed
        return list(found.values())

    def _ask(self, what: Mapping[str, object]) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(what) + "\n")
        stdin.flush()
        return stdout.readline()


def serve() -> None:
    """Forks a writer, or waits for one, for each line."""
    sys.dont_write_bytecode = True
    for action in WEIGHTS:
        importlib.import_module(f"mreg.cli.commands.{action}")
    for module in ("git.cmd", "mreg.registry.storage.registering", "mreg.cli.witness", "mreg.render.formats.json"):
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        else:
            answer = _fork(Order(**asked["order"]), Path(asked["journal"]))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _fork(order: Order, journal: Path) -> int:
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            os.environ.update(order.env)
            os.chdir(order.clone)
            _Writer(order, journal).run()
            code = 0
        except Exception:  # noqa: BLE001 - a fork that goes on would be a second server
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    return pid


@dataclass(frozen=True)
class _Operation:
    action: str
    words: Sequence[str]
    mark: str
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def args(self) -> tuple[str, ...]:
        """The command line, but for whether it pushes."""
        if self.action == "register":
            (auc,) = self.options.values()
            return (self.action, *self.words, "--metric", f"auc={auc}", "--notes", self.mark)
        return (self.action, *self.words, "--reason", self.mark, *(f"--{name}" for name in self.options))

    def keywords(self) -> dict[str, object]:
        """The keyword arguments of the Python API, but for whether it pushes."""
        if self.action == "register":
            return {"metrics": self.options, "notes": self.mark}
        return {"reason": self.mark, **self.options}


class _Writer:
    def __init__(self, order: Order, journal: Path) -> None:
        self._order = order
        self._random = random.Random(order.name)
        self._folder = journal.parent
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def run(self) -> None:
        for number in itertools.count(1):
            if number == self._order.count + 1 and self._order.count:
                return
            todo = self._choose(f"op-{self._order.name}-{number}-")
            self._note(Deed(todo.mark, todo.args))
            begun = time.monotonic()
            done = self._call(todo) if self._order.api else self._command(todo)
            self._note(replace(done, seconds=time.monotonic() - begun))

    def _note(self, deed: Deed) -> None:
        os.write(self._journal, (json.dumps(asdict(deed)) + "\n").encode())

    def _choose(self, mark: str) -> _Operation:
        """Returns the next operation, on what this clone knows: most likely the registry has moved on elsewhere."""
        from mreg import Registry  # noqa: PLC0415

        chance = self._random
        action = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        model, stage = chance.choice(self._order.models), chance.choice(STAGES)
        known = {str(each.model): each for each in Registry.open(self._order.clone).list().models}.get(model)
        held = {str(name): version for name, version in known.stages.items()} if known else {}
        if action == "register" or known is None:
            path = self._folder / f"{self._order.name}.bin"
            path.write_bytes(f"a model of {mark}".encode())
            return _Operation("register", (model, str(path)), mark, {"auc": round(chance.random(), 3)})
        if action in {"rollback", "clear", "hold"} and not held.get(stage):
            action = "promote"
        recent = [f"v{number}.0.0" for number in range(max(1, known.versions - 4), known.versions + 1)]
        others = [each for each in recent if each != str(held.get(stage))]
        version = f"{model}@{chance.choice(others or recent)}"
        if action == "archive":
            return _Operation(action, (version,), mark, {"undo": True} if chance.random() < 0.3 else {})
        if action in {"promote", "approve"}:
            return _Operation(action, (version, stage), mark)
        is_off = action == "hold" and chance.random() < 0.5
        return _Operation(action, (model, stage), mark, {"off": True} if is_off else {})

    def _call(self, todo: _Operation) -> Deed:
        from mreg import Registry  # noqa: PLC0415
        from mreg.errors import MregError  # noqa: PLC0415

        listener, begun = _Listener(), Deed(todo.mark, todo.args)
        try:
            registry = Registry.open(self._order.clone)
            registry.report_to(listener)
            receipt = getattr(registry, todo.action)(*todo.words, **todo.keywords(), push=self._order.push)
        except MregError as error:
            return replace(begun, code=error.code, attempts=listener.attempts, message=error.message)
        code = "landed" if receipt.commit else "nothing-to-do"
        return replace(begun, code=code, commit=receipt.commit or "", tags=receipt.tags, attempts=listener.attempts)

    def _command(self, todo: _Operation) -> Deed:
        out, err = os.memfd_create("out"), os.memfd_create("err")
        pid = os.fork()
        if pid == 0:
            os.dup2(out, 1)
            os.dup2(err, 2)
            _become_command([*todo.args, "--push" if self._order.push else "--no-push", "--format", "json"])
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said, complaint = (os.pread(each, os.fstat(each).st_size, 0).decode() for each in (out, err))
        os.close(out)
        os.close(err)
        begun = Deed(todo.mark, todo.args)
        if status == 0:
            receipt = json.loads(said)
            code = "landed" if receipt["commit"] else "nothing-to-do"
            return replace(begun, code=code, commit=receipt["commit"] or "", tags=receipt["tags"])
        try:
            error = json.loads(complaint)["error"]
        except ValueError:
            return replace(begun, code=f"exit-{status}", message=complaint[-2000:])
        return replace(begun, code=error["code"], message=error["message"])


def _become_command(args: list[str]) -> None:
    from mreg.cli import main  # noqa: PLC0415

    code: object = 70
    try:
        sys.argv = ["mreg", *args]
        code = main(args)
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


class _Listener:
    attempts = 0

    def waiting(self, pid: int | None) -> None:
        """Nobody is told."""

    def outrun(self, branch: str) -> None:
        """Nobody is told."""

    def landing(self, branch: str, commit: str, remote: str) -> None:
        """Counts."""
        self.attempts += 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()

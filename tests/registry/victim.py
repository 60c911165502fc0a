"""Runs `mreg` commands, each in a forked process of its own, and ends one at the N-th step that it is about to take.

    python -m tests.registry.victim < orders.jsonl > outcomes.jsonl

A step is a change of the disk that Python is about to make (its audit events tell), or the start of a Git command that
writes.  Every module of mreg is loaded once, so a run costs no start-up; what is forked and killed is a real process,
with real Git below it.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Outcome", "Victims"]

ROOT = Path(__file__).parents[2]
MOVES = {"os.rename", "os.symlink", "os.link", "os.remove", "os.rmdir", "os.mkdir"}
WRITERS = {"checkout-index", "read-tree", "unpack-objects", "update-ref"}
"""Git commands of mreg's that change something."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Order:
    """What to run, and where to end it."""

    args: Sequence[str]
    cwd: str
    root: str
    """Only changes below this folder are steps."""
    env: Mapping[str, str] = field(default_factory=dict)
    stop: int = 0
    """The step before which it ends; 0 for none."""
    signal: int = signal.SIGKILL


@dataclass(frozen=True)
class Outcome:
    """What became of one command."""

    status: int
    """Exit status; negative where a signal ended it."""
    output: str
    """Standard output and error."""
    steps: Sequence[str]
    """What it did, or was about to do at the end."""


class Victims:
    """A process that runs one command after the other."""

    def __init__(self) -> None:
        """Starts it."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
        command = [sys.executable, "-m", "tests.registry.victim"]
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __enter__(self) -> Victims:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process."""
        self._process.communicate()

    def run(
        self,
        *args: str,
        cwd: Path,
        root: Path,
        env: Mapping[str, str] | None = None,
        stop: int = 0,
        signal: int = signal.SIGKILL,
    ) -> Outcome:
        """Runs one command of mreg's in the environment of now, to its end or to a step."""
        order = Order(args, str(cwd), str(root), {**os.environ, **(env or {})}, stop, signal)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asdict(order)) + "\n")
        stdin.flush()
        return Outcome(**json.loads(stdout.readline()))


def serve() -> None:
    """Carries out one order a line."""
    import mreg  # noqa: PLC0415 - the tests that import this module need none of it
    from mreg.stores.git.history import log_cache  # noqa: PLC0415

    sys.dont_write_bytecode = True
    for module in pkgutil.walk_packages(mreg.__path__, "mreg."):
        if module.name not in {"mreg.__main__", "mreg.stores.dvc.cloud"}:
            importlib.import_module(module.name)
    importlib.import_module("git.cmd")
    # Kept each time, however fast it was read: each run takes the same steps.
    log_cache.SLOW_S = 0.0
    for line in sys.stdin:
        print(json.dumps(asdict(_carry_out(Order(**json.loads(line))))), flush=True)


def _carry_out(order: Order) -> Outcome:
    log, output = os.memfd_create("log"), os.memfd_create("output")
    child = os.fork()
    if child == 0:
        _become(order, log, output)
    _, status = os.waitpid(child, 0)
    outcome = Outcome(os.waitstatus_to_exitcode(status), _text(output), _text(log).splitlines())
    os.close(log)
    os.close(output)
    return outcome


def _text(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", "replace")


def _become(order: Order, log: int, output: int) -> None:
    from mreg.cli import main  # noqa: PLC0415

    code: object = 70
    try:
        os.setsid()
        # A shell that runs tests in the background has Ctrl-C ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(order.env)
        os.chdir(order.cwd)
        time.tzset()
        sys.argv = ["mreg", *order.args]
        sys.addaudithook(_Watch(order, log))
        code = main(list(order.args))
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


class _Watch:
    def __init__(self, order: Order, log: int) -> None:
        self._order = order
        self._log = log
        self._steps = 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        step = self._step(event, args)
        if not step:
            return
        self._steps += 1
        os.write(self._log, f"{step}\n".encode("utf-8", "backslashreplace"))
        if self._steps == self._order.stop:
            os.kill(os.getpid(), self._order.signal)

    def _step(self, event: str, args: tuple[Any, ...]) -> str:
        if event == "subprocess.Popen":
            found = WRITERS & set(map(str, args[1]))
            return f"git {found.pop()}" if found else ""
        if event == "open":
            path, _, flags = args
            is_step = isinstance(path, (str, bytes)) and isinstance(flags, int) and flags & WRITING
        else:
            path, is_step = args[0], event in MOVES
        name = os.fsdecode(path) if is_step else ""
        if "/" in name:  # else `shutil.rmtree` names it relative to a folder
            is_step = name.startswith(self._order.root) and not _is_no_op(event, name, args)
        return f"{event} {name}" if is_step else ""


def _is_no_op(event: str, name: str, args: tuple[Any, ...]) -> bool:
    if event == "os.rename":
        return not os.path.exists(os.path.dirname(os.fsdecode(args[1])))
    return event not in {"open", "os.symlink"} and os.path.lexists(name) is (event == "os.mkdir")


if __name__ == "__main__":
    serve()

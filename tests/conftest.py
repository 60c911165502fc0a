"""The hermetic seal around every test, and the few fixtures that most tests share.

Nothing of the machine reaches a test but its programs: the environment is rebuilt from a short list of variables, home
and the XDG folders are empty, Git reads one pinned file, and only the loopback network answers.  Each test starts in
its own ``tmp_path``; ``repo`` and ``empty_repo`` make their repository the working directory.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import os
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from msgspec import Struct

if TYPE_CHECKING:
    from tests.s3 import S3

__all__ = ["Clock", "Git", "Mreg", "Result", "become"]

START = 1_767_225_600  # 2026-01-01T00:00:00Z
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
INHERITED = ("COVERAGE_", "LD_LIBRARY_PATH", "PYTEST_", "PYTHON", "TMPDIR")
GIT_CONFIG = """\
[init]
    defaultBranch = main
    templateDir =
[user]
    useConfigOnly = true
[commit]
    gpgSign = false
[tag]
    gpgSign = false
[gc]
    auto = 0
[maintenance]
    auto = false
[protocol "file"]
    allow = always
[advice]
    detachedHead = false
"""

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
os.environ.update(THREADS)  # before NumPy: threads that wait for each other burn what other tests need

Address = tuple[Any, ...] | str | bytes
_getaddrinfo = socket.getaddrinfo


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="the races and faults at full scale: minutes, not seconds")


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Says in which fields two values differ, as they show themselves in a line."""
    if op != "==" or not isinstance(left, Struct) or type(left) is not type(right):
        return None
    return [f"{left!r} == {right!r}", *_tell_differences(left, right, type(left).__name__)]


def _tell_differences(left: object, right: object, place: str) -> Iterator[str]:
    if isinstance(left, Struct) and type(left) is type(right):
        for name in left.__struct_fields__:
            yield from _tell_differences(getattr(left, name), getattr(right, name), f"{place}.{name}")
    elif isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
        for number, (mine, its) in enumerate(zip(left, right, strict=True)):
            yield from _tell_differences(mine, its, f"{place}[{number}]")
    elif left != right:
        yield f"{place}: {left!r} != {right!r}"


# The same examples every time, and no deadline on a busy machine.
hypothesis.settings.register_profile("mreg", derandomize=True, deadline=None)
hypothesis.settings.load_profile("mreg")


@dataclass
class Clock:
    """Time as Git and mreg see it: one second a command."""

    now: int = START

    def tick(self) -> dict[str, str]:
        """Returns the variables that date the next command."""
        self.now += 1
        return {"GIT_AUTHOR_DATE": f"{self.now} +0000", "GIT_COMMITTER_DATE": f"{self.now} +0000"}


@dataclass(frozen=True)
class Git:
    """Real Git: ``git("log", "-1", cwd=clone)``."""

    clock: Clock

    def __call__(
        self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, input: str | None = None
    ) -> str:
        """Returns the standard output without its last newline; a failure raises ``CalledProcessError``."""
        variables = {**os.environ, **self.clock.tick(), **(env or {})}
        done = subprocess.run(
            ["git", *args], cwd=cwd, env=variables, input=input, stdout=subprocess.PIPE, encoding="utf-8", check=True
        )
        return done.stdout.removesuffix("\n")


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Mreg:
    """The command line: ``mreg("list", "--format", "json", check=0).out``."""

    clock: Clock
    in_process: bool = False

    def __call__(
        self,
        *args: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: str = "",
        check: int | None = None,
    ) -> Result:
        """Runs one command; ``check`` is the exit code that it must have."""
        run = _run_here if self.in_process else _run_process
        result = run(args, cwd or Path.cwd(), {**self.clock.tick(), **(env or {})}, input)
        if check is not None and result.code != check:
            pytest.fail(f"mreg {' '.join(args)}: exit code {result.code}, not {check}\n{result.out}{result.err}")
        return result


def become(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a person the author and committer of what comes."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", name.title())
        monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{name}@example.com")


def _run_process(args: tuple[str, ...], cwd: Path, env: Mapping[str, str], text: str) -> Result:
    command = [sys.executable, "-m", "mreg", *args]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, input=text, capture_output=True, encoding="utf-8", check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _run_here(args: tuple[str, ...], cwd: Path, env: Mapping[str, str], text: str) -> Result:
    from mreg.cli import main  # noqa: PLC0415 - most tests do without the command line

    stdin, stdout, stderr = (io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (text.encode(), b"", b""))
    code: object
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        patch.chdir(cwd)
        patch.setattr(sys, "stdin", stdin)
        for name, value in env.items():
            patch.setenv(name, value)
        try:
            code = main(list(args))
        except SystemExit as stop:
            code = stop.code
    out, err = (_written(stream) for stream in (stdout, stderr))
    if isinstance(code, str):  # what the interpreter does with `sys.exit("…")`
        code, err = 1, f"{err}{code}\n"
    return Result(int(code) if isinstance(code, int) else 0, out, err)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture(scope="session")
def git_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one configuration file that Git reads besides a repository's own."""
    path = tmp_path_factory.mktemp("git") / "config"
    path.write_text(GIT_CONFIG, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def seal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, git_config: Path
) -> Iterator[Path]:
    """Shuts the machine out; gives the test's home, which must still be empty at the end."""
    outside = tmp_path_factory.mktemp("outside")
    home = outside / "home"
    home.mkdir()
    for name in [name for name in os.environ if not name.startswith(INHERITED)]:
        monkeypatch.delenv(name)
    for name, value in _sealed_variables(outside, git_config).items():
        monkeypatch.setenv(name, value)
    time.tzset()
    monkeypatch.setattr(socket.socket, "connect", _loopback_only(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", _loopback_only(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", _local_names_only)
    monkeypatch.chdir(tmp_path)
    yield home
    assert not list(home.iterdir()), "the test wrote to the user's home: use the XDG folders, or tmp_path"


def _sealed_variables(outside: Path, git_config: Path) -> dict[str, str]:
    return {
        "PATH": PATH,
        "HOME": str(outside / "home"),
        "XDG_CACHE_HOME": str(outside / "cache"),
        "XDG_CONFIG_HOME": str(outside / "config"),
        "XDG_DATA_HOME": str(outside / "data"),
        "XDG_STATE_HOME": str(outside / "state"),
        "XDG_RUNTIME_DIR": str(outside / "run"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(git_config),
        "GIT_CEILING_DIRECTORIES": str(outside.parent),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada Author",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada Author",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(outside / "dvc-site"),
        "DVC_GLOBAL_CONFIG_DIR": str(outside / "dvc-global"),
        "DVC_SYSTEM_CONFIG_DIR": str(outside / "dvc-system"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **THREADS,
    }


def _loopback_only(connect: Callable[[socket.socket, Address], object]) -> Callable[[socket.socket, Address], object]:
    def guarded(self: socket.socket, address: Address) -> object:
        if isinstance(address, tuple):  # else a Unix socket
            _refuse_unless_local(address[0])
        return connect(self, address)

    return guarded


def _local_names_only(host: str | bytes | None, port: str | int | None, *args: int, **kwargs: int) -> object:
    _refuse_unless_local(host)
    return _getaddrinfo(host, port, *args, **kwargs)


def _refuse_unless_local(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host or "localhost"
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(name).is_loopback:
            return
    if name != "localhost":
        # Not an OSError, and not an Exception: the code under test must not take it for a network that is down.
        pytest.fail(f"a test reached for the network: {name}")


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether races and faults run at full scale (``pytest --soak``), or reduced but real."""
    return bool(pytestconfig.getoption("soak"))


@pytest.fixture
def clock() -> Clock:
    """The clock that ``git`` and ``mreg`` share."""
    return Clock()


@pytest.fixture
def git(clock: Clock) -> Git:
    """Real Git, in the working directory unless told otherwise."""
    return Git(clock)


@pytest.fixture
def mreg(clock: Clock) -> Mreg:
    """The command line in a process of its own."""
    return Mreg(clock)


@pytest.fixture
def mreg_here(clock: Clock) -> Mreg:
    """The command line in this process: the same answers, without the start-up time.

    Signals, pipes and what is imported want ``mreg``.
    """
    return Mreg(clock, in_process=True)


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory, git_config: Path) -> Path:
    # Made once and copied: 2 ms a repository instead of 15.
    outside = tmp_path_factory.mktemp("templates")
    env = {**_sealed_variables(outside, git_config), **Clock(START - 1).tick()}

    def git(*args: str, cwd: Path) -> None:
        subprocess.run(["git", *args], cwd=cwd, env=env, check=True)

    git("init", "--quiet", "empty", cwd=outside)
    shutil.copytree(outside / "empty", outside / "started")
    (outside / "started" / "README.md").write_text("# A repository\n", encoding="utf-8")
    git("add", "README.md", cwd=outside / "started")
    git("commit", "--quiet", "--message=Begin", cwd=outside / "started")
    return outside


@pytest.fixture
def repo(_templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git repository on ``main`` with one commit; the working directory."""
    return _enter_copy(_templates / "started", tmp_path / "repo", monkeypatch)


@pytest.fixture
def empty_repo(_templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git repository on ``main`` without a commit; the working directory."""
    return _enter_copy(_templates / "empty", tmp_path / "repo", monkeypatch)


def _enter_copy(template: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, path)
    monkeypatch.chdir(path)
    return path


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server, one for all tests of a process; each takes a prefix of its own."""
    from tests.s3 import serve_s3  # noqa: PLC0415 - imports botocore

    with serve_s3(tmp_path_factory.mktemp("s3"), PATH) as server:  # it outlives the seal of one test
        yield server


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A small real pickle, outside of ``repo``."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"kind": "threshold", "feature": "tenure", "at": 0.5}, protocol=4))
    return path

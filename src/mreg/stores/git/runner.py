"""The one place that starts Git, through GitPython's command runner.

GitPython's object model is not used: it reads packed tags one by one (51 s for 10 000) and fails on SHA-256 and
reftable repositories, which the command runner handles.  Every process has pinned settings, so that neither the user's
configuration nor the environment of a hook changes what Git says or does; who commits and how it is signed stay theirs.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Thread
from typing import Any

from msgspec import Struct

from mreg.errors import GitError, MregError, OutsideError, UsageError
from mreg.stores.git.descendants import end_processes, find_descendants

__all__ = ["Completed", "GitRunner", "failure"]

_SETTINGS = {
    "advice.graftFileDeprecated": "false",  # GIT_GRAFT_FILE below is not the user's doing
    "color.ui": "false",
    "core.commentChar": "#",  # as for what Git takes for trailers, which is to be the same everywhere
    "core.deltaBaseCacheLimit": "8m",  # this and two below: a third of the memory, in the same time
    "core.filesRefLockTimeout": "5000",  # ms to wait for another Git that moves the same ref
    "core.fsmonitor": "false",  # else its value may be a program to run
    "core.hooksPath": "/dev/null",  # nothing in a registry is executed; mreg's own calls run no hook
    "core.packedGitLimit": "24m",  # less takes several times as long where a pack is as git fast-import left it
    "core.packedGitWindowSize": "1m",
    "core.quotePath": "false",
    "diff.orderFile": os.devnull,  # an empty name is one of a file that is not there
    "gc.auto": "0",
    "i18n.commitEncoding": "UTF-8",
    "log.follow": "false",
    "log.showRoot": "true",
    "log.showSignature": "false",
    "maintenance.auto": "false",  # no process outlives its command
    "submodule.recurse": "false",
    "trailer.separators": ":",
}
_ALWAYS = (
    "--no-pager",
    "--no-replace-objects",  # refs/replace/* changes what Git shows of history
    "--literal-pathspecs",
    *(word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")),
)
_ENV = {"GIT_GRAFT_FILE": os.devnull, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
_OF_ANOTHER = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
"""What Git hands down to a hook, which need not be about the repository that mreg was asked for."""
_ENV_PROGRAM = "env"
_COMMAND_NOT_FOUND = 127
_PIECE = 1 << 18
"""Bytes that are taken at once of what a process prints."""
_GRACE_S = 10.0
"""How long Git may take to end its own children."""


class Completed(Struct, frozen=True):
    """A finished process."""

    status: int
    """Negative where a signal ended it."""
    stdout: bytes
    stderr: str


class GitRunner:
    """Runs Git with pinned settings in one directory."""

    def __init__(self, directory: Path, *, options: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        """Keeps where and how Git runs.

        Args:
            directory: The working directory of each process.
            options: Global options before the Git command, such as ``--git-dir=…``.
            env: Variables on top of the inherited ones, less those of another repository.
        """
        self.directory = directory
        self._options = tuple(options)
        self._env = {**_ENV, **(env or {})}
        self.keep_open: tuple[int, ...] = ()
        """File descriptors that the processes inherit."""

    def complete(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> Completed:
        """Runs one Git command to its end, whatever its status.

        Args:
            args: The command and its arguments.
            stdin: What it reads.
            env: Variables on top of the runner's own.
            timeout_s: How long a command may take that waits for others; by default as long as it wants.

        Raises:
            GitError: Git is not installed.
            UsageError: An argument holds what no argument can.
            OutsideError: The process could not be started.
        """
        variables = {**self._env, **(env or {})}
        command = self._command(args, variables)
        try:
            status, stdout, stderr = _execute(command, stdin, variables, self.keep_open, timeout_s)
        except TimeoutExpired as error:
            verb = next((word for word in args if word in {"fetch", "push", "ls-remote"}), args[0])
            raise OutsideError(
                f"git {verb} got no answer within {timeout_s:.0f} seconds",
                hint="check the network and the remote: git ls-remote",
                details={"command": verb, "timeout_s": timeout_s},
            ) from error
        except OSError as error:
            raise OutsideError(f"git could not be run in {self.directory}: {error.strerror or error}") from error
        except ValueError as error:  # a NUL, or half a surrogate pair
            if isinstance(error, UnicodeEncodeError) and error.encoding != "utf-8":
                raise  # nothing is wrong with it, but for the locale
            raise UsageError(f"git {args[0]}: an argument holds a character that none can: {args[1:]!r}") from error
        if command[0] == _ENV_PROGRAM and status == _COMMAND_NOT_FOUND:
            raise _missing()
        return Completed(status, stdout, stderr.decode("utf-8", "replace"))

    def stream(self, *args: str) -> Generator[bytes, None, None]:
        """Yields what one Git command prints, in pieces, while it runs; where nobody reads on it is ended.

        Raises:
            GitError: Git is missing, or ended with another status than 0.
            OutsideError: The process could not be started.
        """
        complaints: list[bytes] = []
        try:
            with _running(self._command(args, self._env), self._env, self.keep_open) as process:
                # Listened to beside: a Git that complains much would wait for someone to take it.
                listener = Thread(target=_listen, args=(process, complaints), daemon=True)
                listener.start()
                while process.stdout and (piece := process.stdout.read(_PIECE)):
                    yield piece
                process.wait()
                listener.join()
                _close(process)
        except OSError as error:
            raise OutsideError(f"git could not be run in {self.directory}: {error.strerror or error}") from error
        if process.returncode != 0:
            text = b"".join(complaints).decode("utf-8", "replace")
            raise failure(args, Completed(process.returncode, b"", text))

    def _command(self, args: Sequence[str], variables: Mapping[str, str]) -> list[str]:
        leaked = [name for name in _OF_ANOTHER if name in os.environ and name not in variables]
        # GitPython can set a variable but not take one away.
        prefix = [_ENV_PROGRAM, *(word for name in leaked for word in ("-u", name))] if leaked else []
        return [*prefix, "git", "-C", os.fspath(self.directory), *_ALWAYS, *self._options, *args]

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Runs one Git command and returns its standard output.

        Raises:
            GitError: Git is missing, or ended with another status than 0.
        """
        done = self.complete(*args, stdin=stdin, env=env)
        if done.status != 0:
            raise failure(args, done)
        return done.stdout

    def text(self, *args: str) -> str:
        """Returns the standard output as text without its last newline."""
        return self.run(*args).decode("utf-8", "surrogateescape").removesuffix("\n")


def _execute(
    command: list[str], stdin: bytes, env: Mapping[str, str], keep_open: tuple[int, ...], timeout_s: float | None
) -> tuple[int, bytes, bytes]:
    with _running(command, env, keep_open) as process:
        stdout, stderr = process.communicate(stdin, timeout=timeout_s)
    return process.returncode, stdout, stderr


@contextmanager
def _running(command: list[str], env: Mapping[str, str], keep_open: tuple[int, ...]) -> Iterator[Popen[bytes]]:
    process: Popen[bytes] | None = None
    try:
        started = _start(command, env, keep_open)  # held, for its process ends with it
        process = started.proc
        yield process
    except BaseException as error:
        if process is not None:
            _end(process)
        elif isinstance(error, KeyboardInterrupt):  # it was being started, and nobody knows its number yet
            end_processes(find_descendants(os.getpid()))
        raise


def _start(command: list[str], env: Mapping[str, str], keep_open: tuple[int, ...]) -> Any:  # noqa: ANN401 - GitPython's
    try:
        # When imported it runs `git version`, and fails where there is no Git.
        from git.cmd import Git  # noqa: PLC0415
        from git.exc import GitCommandNotFound  # noqa: PLC0415
    except ImportError as error:
        if "Bad git executable" in str(error):
            raise _missing() from error
        raise GitError(f"this git cannot be used: {error}", hint="git version") from error
    try:
        # It ends the process when it is collected, and is typed as the text that it is without `as_process`.
        return Git().execute(command, istream=PIPE, as_process=True, env=env, pass_fds=keep_open)
    except GitCommandNotFound as error:
        raise _missing() from error


def _end(process: Popen[bytes]) -> None:
    """Ends a process with those that it started: what follows must find a repository that nobody is writing to."""
    children = find_descendants(process.pid)  # Git leaves those behind that wait for a server
    process.terminate()
    end_processes(children)
    with suppress(TimeoutExpired):
        process.wait(_GRACE_S)
    process.kill()
    process.wait()
    _close(process)


def _listen(process: Popen[bytes], complaints: list[bytes]) -> None:
    with suppress(OSError, ValueError):  # it was ended, and its pipes are closed
        complaints.extend(process.stderr or ())


def _close(process: Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with suppress(OSError):  # what is left of the input cannot be written
                stream.close()


def _missing() -> GitError:
    return GitError("git was not found", hint="install git (https://git-scm.com) and put it on PATH")


_HINTS = (
    ("No space left on device", "free some disk space, then run the command again: nothing was recorded"),
    ("Read-only file system", "run it in a clone that is writable"),
    ("insufficient permission", "check who owns the files under .git: ls -ld .git"),
    ("resolve your current index", "finish the merge in progress, or abort it: git merge --abort"),
)
_OWNERSHIP = re.compile(r"^\s*(git config --global --add safe\.directory .+)$", re.MULTILINE)
_LOCKED = re.compile(r"'([^'\n]+\.lock)': File exists")
_DENIED = re.compile(r"(?:'([^'\n]+)'|(\S+)): Permission denied$", re.MULTILINE)


def failure(args: Sequence[str], done: Completed, *, folder: Path | None = None) -> MregError:
    """Returns the error that a failed Git command stands for.

    Args:
        args: The command and its arguments.
        done: How it ended.
        folder: What the paths are relative to that it names.
    """
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    ended = f"signal {-done.status} ended it" if done.status < 0 else f"exit status {done.status}"
    reason = (fatal or lines or [ended])[0].removeprefix("fatal: ").removeprefix("error: ")
    return GitError(
        f"git {args[0]} failed: {reason}",
        hint=_hint(done.stderr, folder or Path()),
        details={"command": args[0], "status": done.status, "stderr": done.stderr.strip()[-2000:]},
    )


def _hint(stderr: str, folder: Path) -> str:
    if owner := _OWNERSHIP.search(stderr):
        return owner[1]
    if lock := _LOCKED.search(stderr):
        return f"try again; if no other git command is running here, one was killed: rm '{lock[1]}'"
    if denied := _DENIED.search(stderr):
        place = (folder / (denied[1] or denied[2])).parent
        return f"check the permissions: ls -ld {shlex.quote(str(place))}"
    return next((hint for sign, hint in _HINTS if sign in stderr), "")

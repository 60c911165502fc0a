"""Git commands that wait for a server: how long they may take, and what is said when it does not answer.

Git's own settings decide: ``mreg.timeout`` is the seconds that one command may take in all; ``http.lowSpeedLimit`` and
``http.lowSpeedTime`` say when Git gives up on a server that says nothing, which by default is never.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from mreg.errors import OutsideError, UsageError
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, failure

__all__ = ["ask", "confirm_missing", "is_forbidden", "parse_seconds", "unreachable", "words_of"]

_TIMEOUT_S = 120.0
SILENCE_S = 60
"""A server may take its time over a push; the few bytes that Git sends meanwhile to say so count."""
_LOW_SPEED = ("http.lowSpeedLimit", "http.lowSpeedTime")
_SETTING = "mreg.timeout"
_FORBIDDEN = r"(?i)returned error: 403\b|Permission to \S+ denied|permission denied to"
_NO_LOGIN = r"Authentication failed|could not read (?:Username|Password)|Permission denied \(|error: 401\b"
_CREDENTIALS = r"(?<=://)[^/\s@]+@"
_PACKET = r"(?m)^\S+ \S+ +packet: "
_NO_WORDS = (
    r"\s|(?:fatal|error|hint|warning): |(?:From|To) |Please make sure you have the correct|and the repository exists"
)


def ask(
    repo: GitRepository, remote: str, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Completed:
    """Runs one Git command that talks to a remote to its end, whatever its status.

    What it says has no user and no password in it: Git leaves them in what it says of a URL that it pushes to.

    Raises:
        OutsideError: It was not done in time.
        UsageError: ``mreg.timeout`` is not a number of seconds.
    """
    asked, *low_speed = repo.config(_SETTING, *_LOW_SPEED)
    timeout_s = parse_seconds(_SETTING, asked, _TIMEOUT_S)
    pinned = () if any(low_speed) else ("-c", f"{_LOW_SPEED[0]}=1", "-c", f"{_LOW_SPEED[1]}={SILENCE_S}")
    try:
        done = repo.runner.complete(*pinned, *args, stdin=stdin, env=env, timeout_s=timeout_s)
        return replace(done, stderr=re.sub(_CREDENTIALS, "", done.stderr))
    except OutsideError as error:
        if "timeout_s" not in error.details:
            raise
        verb = error.details["command"]
        unknown = "; the push may have arrived: run the same command again to find out" if verb == "push" else ""
        raise OutsideError(
            f"{remote} did not answer git {verb} within {timeout_s:g} s{unknown}",
            hint=f"git ls-remote {shlex.quote(remote)}   # if it is only slow: git config {_SETTING} 600",
            details=error.details,
        ) from error


def confirm_missing(repo: GitRepository, remote: str, ref: str, *, name: str = "") -> None:
    """Does nothing where a remote truly lacks a ref that it seems to lack.

    Over HTTP, Git takes any answer that it does not know, such as a page to log in or one that was cut off, for that of
    a server without Git, whose repository is empty.  One that speaks Git's protocol shows in the trace.

    Args:
        repo: Who asks.
        remote: What the remote is called in messages.
        ref: The full name, or ``HEAD``.
        name: What the remote is called in Git's settings, where that is something else.

    Raises:
        OutsideError: What answers is no Git server, has the ref after all, or does not answer in time.
    """
    args = ("ls-remote", "--quiet", name or remote, ref)
    done = ask(repo, remote, *args, env={"GIT_TRACE_PACKET": "1"})
    spoke = bool(re.search(_PACKET, done.stderr))
    done = replace(done, stderr="\n".join(line for line in done.stderr.splitlines() if not re.match(_PACKET, line)))
    if done.status != 0:
        raise unreachable(remote, args, done)
    if not spoke:
        raise OutsideError(
            f"{remote} could not be used: what answers there is no Git server, or its answer was cut off",
            hint=f"git ls-remote {shlex.quote(remote)}   # shows nothing; look at the URL: git remote --verbose",
            details={"command": "ls-remote", "remote": remote},
        )
    if any(line.endswith(f"\t{ref}".encode()) for line in done.stdout.split(b"\n")):
        raise OutsideError(
            f"{remote} could not be used: it said that it lacks {ref}, and then that it has it",
            hint="run the command again",
            details={"command": "fetch", "remote": remote},
        )


def unreachable(remote: str, args: Sequence[str], done: Completed) -> OutsideError:
    """Returns the error of a remote that was not reached, or let nobody in; no password is in it."""
    error = failure(args, done)
    words = words_of(done)
    if words in error.message:
        words = ""
    hint = f"git ls-remote {shlex.quote(remote)}   # shows whether it answers"
    if re.search(_NO_LOGIN, done.stderr):
        hint = f"git ls-remote {shlex.quote(remote)}   # asks for user and password, or shows what SSH says"
    return OutsideError(
        f"{remote} could not be used: {error.message}{f' ({words})' if words else ''}",
        hint=error.hint or hint,
        details=error.details,
    )


def is_forbidden(done: Completed) -> bool:
    """Returns whether the server knows who asks, and says that they may not."""
    return bool(re.search(_FORBIDDEN, done.stderr))


def words_of(done: Completed) -> str:
    """Returns in one line what the server said, or SSH did, besides what Git says."""
    lines = (
        line.removeprefix("remote: ").strip() for line in done.stderr.splitlines() if not re.match(_NO_WORDS, line)
    )
    return " ".join(filter(None, lines))


def parse_seconds(setting: str, text: str | None, default_s: float) -> float:
    """Returns a number of seconds of Git's configuration.

    Raises:
        UsageError: The text is no such number.
    """
    if text is None:
        return default_s
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(
            f"{setting} in Git's configuration is {text!r}, which is not a number of seconds",
            hint=f"git config {setting} {default_s:.0f}",
            details={"setting": setting},
        )
    return seconds

"""Talking to a remote: what it has, and one atomic push of objects that no local ref names yet.

A push of raw object ids with ``--atomic`` compares and sets: the branch must be an ancestor, a tag must not be there.
Without ``--atomic`` a refused branch leaves its tags behind; there is no falling back to that.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from mreg.errors import OutsideError, PushRefusedError
from mreg.stores.git.pending import RefUpdate
from mreg.stores.git.publishing import RefMovedError
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, failure

__all__ = ["claim", "fetch", "find_remote", "is_ancestor", "push", "remote_ref", "remote_tags"]

TIMEOUT_S = 120.0
_MOVED = (
    "already exists",
    "atomic transaction failed",
    "cannot lock ref",
    "failed to update ref",
    "fetch first",
    "incorrect old value",
    "needs force",
    "non-fast-forward",
    "reference already exists",
    "stale info",
    "would clobber",
)
"""What Git says where someone else moved first; the rest of a refusal is a rule of the server."""
_CONSEQUENCE = "atomic push fail"
_SLOW = ("-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=30")


def find_remote(repo: GitRepository, branch: str) -> str:
    """Returns the remote that a branch goes to: its own, else ``origin``, else the only one.

    Raises:
        OutsideError: There is none, or nothing tells which.
    """
    own, push_default = repo.config(f"branch.{branch}.remote", "remote.pushDefault")
    names = [name for name in repo.runner.text("remote").split("\n") if name]
    for name in (push_default, own, "origin", *(names if len(names) == 1 else ())):
        if name in names:
            return str(name)
    raise OutsideError(
        "this clone has no remote to push to" if not names else f"nothing tells which of {', '.join(names)} to push to",
        hint="git remote add origin URL" if not names else f"git config remote.pushDefault {shlex.quote(names[0])}",
    )


def fetch(repo: GitRepository, remote: str, branch: str, tags: Iterable[str] = ()) -> str | None:
    """Fetches a branch, and some tags, and returns where the branch is; ``None`` where the remote lacks it.

    Args:
        repo: The repository; its remote-tracking branch moves, and no local one.
        remote: The remote's name.
        branch: The branch.
        tags: Names of tags, or patterns with one ``*``.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    tracking = f"refs/remotes/{remote}/{branch}"
    specs = [f"+refs/heads/{branch}:{tracking}", *(f"refs/tags/{name}:refs/tags/{name}" for name in tags)]
    args = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--stdin", remote)
    done = _run(repo, *args, stdin="".join(f"{spec}\n" for spec in specs).encode())
    if done.status != 0:
        if "couldn't find remote ref" in done.stderr and branch in done.stderr:
            return None
        if not _is_about_tags(done):
            raise _unreachable(remote, args, done)
    return repo.resolve([tracking])[0]


def _is_about_tags(done: Completed) -> bool:
    """Returns whether all that failed is tags: one is here already, or cannot be beside one that is."""
    faults = [line for line in done.stderr.splitlines() if line.startswith(("error:", "fatal:"))]
    about = ("error: cannot lock ref 'refs/tags/", "error: some local refs could not be updated")
    is_blocked = bool(faults) and all(line.startswith(about) for line in faults)
    return is_blocked or "would clobber existing tag" in done.stderr


def remote_tags(repo: GitRepository, remote: str) -> dict[str, str]:
    """Returns the object id of every tag that a remote has, by name.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    args = ("ls-remote", "--quiet", "--refs", "--tags", remote)
    done = _run(repo, *args)
    if done.status != 0:
        raise _unreachable(remote, args, done)
    lines = (line.partition("\t") for line in done.stdout.decode("utf-8", "surrogateescape").split("\n") if line)
    return {ref.removeprefix("refs/tags/"): oid for oid, _, ref in lines}


def remote_ref(repo: GitRepository, remote: str, ref: str) -> str | None:
    """Returns where one ref of a remote is; ``None`` where it is not there.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    args = ("ls-remote", "--quiet", "--refs", remote, ref)
    done = _run(repo, *args)
    if done.status != 0:
        raise _unreachable(remote, args, done)
    lines = (line.partition("\t") for line in done.stdout.decode("utf-8", "surrogateescape").split("\n"))
    return next((oid for oid, _, name in lines if name == ref), None)


def claim(repo: GitRepository, remote: str, ref: str, *, new: str, old: str | None) -> bool:
    """Moves one ref that mreg alone uses, and returns whether it was still where it is thought to be.

    Args:
        repo: The repository.
        remote: Where the ref is; here where empty.
        ref: The full name.
        new: Where it goes.
        old: Where it is; ``None`` where it is not there.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    if not remote:
        return repo.runner.complete("update-ref", ref, new, old or repo.zero_oid).status == 0
    args = ("push", "--porcelain", f"--force-with-lease={ref}:{old or ''}", remote, f"{new}:{ref}")
    done = _run(repo, *args)
    if done.status == 0:
        return True
    refusals = dict(_parse_refusals(done.stdout.decode("utf-8", "replace")))
    if any(word in refusals.get(ref, "") for word in _MOVED):
        return False
    raise _unreachable(remote, args, done)


def push(repo: GitRepository, remote: str, updates: Sequence[RefUpdate]) -> None:
    """Moves refs of a remote, all of them or none, to objects of this repository.

    Raises:
        RefMovedError: Someone else moved first.
        PushRefusedError: The server's rules say no.
        OutsideError: The remote does not answer in time, or cannot be reached.
    """
    if not updates:
        return
    specs = [f"{update.new}:{update.ref}" for update in updates]
    # No hook of the user's: `core.hooksPath` is pinned.
    args = ("push", "--atomic", "--porcelain", "--no-signed", "--recurse-submodules=no", remote, *specs)
    done = _run(repo, *args)
    if done.status == 0:
        return
    refusals = dict(_parse_refusals(done.stdout.decode("utf-8", "replace")))
    if not refusals:
        raise _unreachable(remote, args, done)
    moved = [ref for ref, why in refusals.items() if any(word in why for word in _MOVED)]
    if moved:
        details = {"remote": remote, "refs": moved}
        raise RefMovedError(f"{moved[0]} moved on {remote} while mreg was writing", hint="try again", details=details)
    ref, why = next(
        ((ref, why) for ref, why in refusals.items() if _CONSEQUENCE not in why), next(iter(refusals.items()))
    )
    said = [line.removeprefix("remote: ").strip() for line in done.stderr.splitlines() if line.startswith("remote: ")]
    words = f": {' '.join(filter(None, said))}" if any(said) else ""
    branch = ref.removeprefix("refs/heads/")
    raise PushRefusedError(
        f"{remote} refused {branch} ({why}){words}",
        hint="a protected branch is changed by a pull request: run the command again with --branch NAME --push",
        details={"remote": remote, "refs": refusals, "said": said},
    )


def is_ancestor(repo: GitRepository, older: str, newer: str) -> bool:
    """Returns whether a commit is in the history of another, or the same."""
    return repo.runner.complete("merge-base", "--is-ancestor", older, newer).status == 0


def _parse_refusals(out: str) -> Iterable[tuple[str, str]]:
    """Yields ref and reason of each line of ``push --porcelain`` that says no."""
    for line in out.split("\n"):
        flag, _, rest = line.partition("\t")
        if flag == "!":
            spec, _, summary = rest.partition("\t")
            yield (
                spec.partition(":")[2],
                summary.removeprefix("[rejected] ").removeprefix("[remote rejected] ").strip("()"),
            )


def _run(repo: GitRepository, command: str, *args: str, stdin: bytes = b"") -> Completed:
    return repo.runner.complete(*_SLOW, command, *args, stdin=stdin, timeout_s=TIMEOUT_S)


def _unreachable(remote: str, args: Sequence[str], done: Completed) -> OutsideError:
    error = failure(args, done)
    return OutsideError(
        f"{remote} did not take part: {error.message}",
        hint=error.hint or f"git ls-remote {shlex.quote(remote)}   # shows whether it answers",
        details=error.details,
    )

"""Talking to a remote: what it has, and one atomic push of objects that no local ref names yet.

A push of raw object ids with ``--atomic`` compares and sets: the branch must be an ancestor, a tag must not be there.
Without ``--atomic`` a refused branch leaves its tags behind; there is no falling back to that.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from mreg.errors import GitError, MregError, OutsideError, PushRefusedError
from mreg.stores.git.remotes.network import ask, confirm_missing, is_forbidden, unreachable, words_of
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed
from mreg.stores.git.writing.pending import RefUpdate
from mreg.stores.git.writing.publishing import RefMovedError

__all__ = [
    "claim",
    "fetch",
    "fetch_object",
    "find_remote",
    "is_ancestor",
    "may_push",
    "push",
    "remote_ref",
    "remote_refs",
    "remote_tags",
]

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
_CHECKED_OUT = "branch is currently checked out"
_NOT_STORED = "unpacker error"
_UNPACKED = r"(?m)^error: remote unpack failed: (.+)$"
_LOCK = r"Unable to create '([^'\n]+\.lock)': File exists"
_MISSING = r"(?m)couldn't find remote ref (refs/\S+)$"
_TWICE = r"dst refspec (refs/\S+) matches more than one"
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
MANY_REFS = 1 << 20
"""Bytes of packed refs, some 10 000 tags: from here on it matters whether a fetch is needed at all."""


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
        "this clone has no remote to push to"
        if not names
        else f"it is not clear which of {', '.join(names)} to push to",
        hint="git remote add origin URL" if not names else f"git config remote.pushDefault {shlex.quote(names[0])}",
    )


def fetch(
    repo: GitRepository, remote: str, branches: Sequence[str], tags: Iterable[str] = (), *, is_first: bool = False
) -> list[str | None]:
    """Fetches branches, and some tags, and returns where each branch is; ``None`` where the remote lacks it.

    Args:
        repo: The repository; its remote-tracking branches move, and no local one.
        remote: The remote's name.
        branches: The branches.
        tags: Names of tags, or patterns with one ``*``; one that is here already stays as it is.
        is_first: Where this clone has many refs and no branch has moved, leave the tags for the next time: what is
            pushed meets them all the same.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    tracking = {f"{_HEADS}{branch}": f"refs/remotes/{remote}/{branch}" for branch in branches}
    specs = {**tracking, **{f"{_TAGS}{name}": f"{_TAGS}{name}" for name in tags}}
    is_enough = is_first or len(specs) == len(tracking)
    if is_enough and _has_many_refs(repo) and (unmoved := _find_unmoved(repo, remote, tracking)):
        return unmoved
    # With --quiet, Git says nothing of a tag that is here already, and ends with 1 all the same.
    args = ("fetch", "--no-progress", "--no-tags", "--no-write-fetch-head", "--stdin", remote)
    while specs:
        lines = (f"{'+' if ref in tracking else ''}{ref}:{to}\n" for ref, to in specs.items())
        done = ask(repo, remote, *args, stdin="".join(lines).encode())
        # One ref that is not there ends the whole command.
        missing = re.search(_MISSING, done.stderr)
        if done.status != 0 and missing and missing[1] in specs:
            del specs[missing[1]]
            continue
        if done.status != 0 and not _is_about_tags(done):
            raise unreachable(remote, args, done)
        break
    found = repo.resolve([tracking[ref] for ref in tracking if ref in specs])
    there = dict(zip((ref for ref in tracking if ref in specs), found, strict=True))
    if tracking and not there:
        confirm_missing(repo, remote, next(iter(tracking)))
    return [there.get(ref) for ref in tracking]


def _has_many_refs(repo: GitRepository) -> bool:
    packed = repo.common_dir / "packed-refs"
    return packed.exists() and packed.stat().st_size >= MANY_REFS


def _find_unmoved(repo: GitRepository, remote: str, tracking: Mapping[str, str]) -> list[str | None]:
    """Returns where branches are, ``None`` for each that is neither there nor known; empty where one has moved.

    Before it says that there is nothing to fetch, Git reads what all refs here name: 2 s of CPU for 234 000 tags.
    """
    there = _list_refs(repo, remote, "--heads", patterns=list(tracking))
    found = [there.get(ref) for ref in tracking]
    return found if any(found) and found == repo.resolve(list(tracking.values())) else []


def _is_about_tags(done: Completed) -> bool:
    """Returns whether all that failed is tags: one is here already, or cannot be beside one that is."""
    faults = [line for line in done.stderr.splitlines() if line.startswith(("error:", "fatal:"))]
    about = (f"error: cannot lock ref '{_TAGS}", "error: some local refs could not be updated")
    is_there = bool(faults) or "would clobber existing tag" in done.stderr
    # A newer Git names the branch that it could not move in its summary alone.
    left = [line for line in done.stderr.splitlines() if line.startswith(" ! ")]
    is_tag = all(line.startswith((" ! [new tag]", " ! [rejected]")) for line in left)
    return is_there and is_tag and all(line.startswith(about) for line in faults)


def fetch_object(repo: GitRepository, remote: str, ref: str) -> None:
    """Fetches what a ref of the remote names, and what that needs; no ref moves here.

    Raises:
        OutsideError: The remote does not answer in time, lacks the ref, or refuses.
    """
    args = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, ref)
    done = ask(repo, remote, *args)
    if done.status != 0:
        raise unreachable(remote, args, done)


def remote_tags(repo: GitRepository, remote: str) -> dict[str, str]:
    """Returns the object id of every tag that a remote has, by name.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    refs = _list_refs(repo, remote, "--tags")
    return {ref.removeprefix(_TAGS): oid for ref, oid in refs.items()}


def remote_ref(repo: GitRepository, remote: str, ref: str) -> str | None:
    """Returns where one ref of a remote is; ``None`` where it is not there.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    return _list_refs(repo, remote, patterns=[ref]).get(ref)


def remote_refs(repo: GitRepository, remote: str) -> dict[str, str]:
    """Returns the object id of every branch and tag that a remote has, by full name.

    Raises:
        OutsideError: The remote does not answer in time, or refuses.
    """
    return _list_refs(repo, remote, "--heads", "--tags")


def _list_refs(repo: GitRepository, remote: str, *options: str, patterns: Sequence[str] = ()) -> dict[str, str]:
    args = ("ls-remote", "--quiet", "--refs", *options, remote, *patterns)
    done = ask(repo, remote, *args)
    if done.status != 0:
        raise unreachable(remote, args, done)
    lines = (line.partition("\t") for line in done.stdout.decode("utf-8", "surrogateescape").split("\n") if line)
    return {ref: oid for oid, _, ref in lines}


def claim(repo: GitRepository, remote: str, ref: str, *, new: str, old: str | None) -> bool:
    """Moves one ref that mreg alone uses, and returns whether it was still where it is thought to be.

    Args:
        repo: The repository.
        remote: Where the ref is; here where empty.
        ref: The full name.
        new: Where it goes.
        old: Where it is; ``None`` where it is not there.

    Raises:
        PushRefusedError: The server's rules say no.
        OutsideError: The remote does not answer in time, or cannot be reached.
    """
    if not remote:
        return repo.runner.complete("update-ref", ref, new, old or repo.zero_oid).status == 0
    args = ("push", "--porcelain", f"--force-with-lease={ref}:{old or ''}", remote, f"{new}:{ref}")
    done = ask(repo, remote, *args)
    error = _explain(remote, args, done, [ref])
    if error is None:
        # "=" is up to date: someone else put it there, and Git asks for no lease where there is nothing to do.
        return not done.stdout.startswith(b"=\t") and b"\n=\t" not in done.stdout
    if isinstance(error, RefMovedError):
        return False
    raise error


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
    done = ask(repo, remote, *args)
    error = _explain(remote, args, done, [update.ref for update in updates])
    if error is not None:
        raise error


def may_push(repo: GitRepository, remote: str, update: RefUpdate) -> None:
    """Does nothing where a remote lets this clone in that wants to push; its hooks and rules are not asked.

    Raises:
        RefMovedError: It does, and the ref has moved.
        PushRefusedError: It lets nobody push who asks as this clone does.
        OutsideError: The remote does not answer in time, or cannot be reached.
    """
    args = ("push", "--dry-run", "--porcelain", "--no-signed", "--recurse-submodules=no", remote)
    done = ask(repo, remote, *args, f"{update.new}:{update.ref}")
    error = _explain(remote, args, done, [update.ref])
    if error is not None:
        raise error


def is_ancestor(repo: GitRepository, older: str, newer: str) -> bool:
    """Returns whether a commit is in the history of another, or the same; not where one of them is not here."""
    return repo.runner.complete("merge-base", "--is-ancestor", older, newer).status == 0


def _explain(remote: str, args: Sequence[str], done: Completed, refs: Sequence[str]) -> MregError | None:
    """Returns why a push of some refs was not taken; ``None`` where it was."""
    answers = list(_parse_answers(done.stdout.decode("utf-8", "replace")))
    namesake = next((ref for _, ref, _ in answers if ref not in refs), None) or _find_namesake(done.stderr)
    if namesake is not None:
        return _mistaken(remote, namesake)
    if done.status == 0:
        return None
    refusals = {ref: why for flag, ref, why in answers if flag == "!"}
    moved = [ref for ref, why in refusals.items() if any(word in why for word in _MOVED)]
    if moved:
        lock = re.search(_LOCK, done.stderr)
        details = {"remote": remote, "refs": moved, **({"lock": lock[1]} if lock else {})}
        return RefMovedError(f"{moved[0]} moved on {remote} while mreg was writing", hint="try again", details=details)
    if not refusals:
        return _forbidden(remote, args, done) if is_forbidden(done) else unreachable(remote, args, done)
    said = words_of(done)
    if any(_NOT_STORED in why for why in refusals.values()):
        return _not_stored(remote, said, done)
    causes = [(ref, why) for ref, why in refusals.items() if _CONSEQUENCE not in why]
    ref, why = (causes or list(refusals.items()))[0]
    if _CHECKED_OUT in why:  # Git's own advice is ten lines long
        said = "a clone that others push to is bare, or has: git config receive.denyCurrentBranch updateInstead"
    return PushRefusedError(
        f"{remote} refused {ref.removeprefix(_HEADS).removeprefix(_TAGS)} ({why}){f': {said}' if said else ''}",
        hint=_advise(ref),
        details={"remote": remote, "refs": refusals, "said": said},
    )


def _not_stored(remote: str, said: str, done: Completed) -> OutsideError:
    unpacked = re.search(_UNPACKED, done.stderr)
    why = " ".join(filter(None, (said, unpacked[1] if unpacked else "")))
    return OutsideError(
        f"{remote} could not store what was pushed: {why or 'it did not say why'}",
        hint="ask its administrator whether its disk is full or read-only; then run the command again",
        details={"command": "push", "remote": remote, "stderr": done.stderr.strip()[-2000:]},
    )


def _find_namesake(stderr: str) -> str | None:
    twice = re.search(_TWICE, stderr)
    return f"{_HEADS}{twice[1]}" if twice else None


def _mistaken(remote: str, ref: str) -> GitError:
    """Returns the error of a branch such as ``refs/heads/refs/tags/x``, which Git takes ``refs/tags/x`` for."""
    return GitError(
        f"{remote} has {ref}, whose name Git mistakes for that of another ref: nothing can be pushed next to it",
        hint=f"git push {shlex.quote(remote)} --delete {shlex.quote(ref)}",
        details={"remote": remote, "ref": ref},
    )


def _forbidden(remote: str, args: Sequence[str], done: Completed) -> PushRefusedError:
    error = unreachable(remote, args, done)
    return PushRefusedError(
        f"{remote} does not let you push: {error.message.removeprefix(f'{remote} could not be used: ')}",
        hint=f"git remote get-url --push {shlex.quote(remote)}   # ask its administrator for permission to push",
        details={"remote": remote, "refs": {}, "said": words_of(done)},
    )


def _advise(ref: str) -> str:
    if ref.startswith(_HEADS):
        return "a protected branch is changed by a pull request: run the command again with --branch NAME --push"
    if ref.startswith(_TAGS):
        return "mreg sync --push   # by whoever may make tags there, such as a job of CI"
    return f"mreg sync --no-notify   # or let {ref.rpartition('/')[0]}/* be pushed there"


def _parse_answers(out: str) -> Iterable[tuple[str, str, str]]:
    """Yields flag, ref and summary of each line of ``push --porcelain``."""
    for line in out.split("\n"):
        flag, *rest = line.split("\t", 2)
        if len(rest) == 2:  # noqa: PLR2004 - else it says where to, or that it is done
            spec, summary = rest
            yield (
                flag,
                spec.partition(":")[2],
                summary.removeprefix("[rejected] ").removeprefix("[remote rejected] ").strip("()"),
            )

"""Two commits against each other: where they parted, what was changed since and by whom; and the index as a tree."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mreg.core.history.timeline import Commit
from mreg.errors import ConflictError
from mreg.stores.git.objects import Identity
from mreg.stores.git.parsing import LOG, parse_log
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import failure

__all__ = [
    "branch_names",
    "changed_elsewhere",
    "changed_since",
    "code_commit",
    "count_since",
    "index_tree",
    "merge_base",
    "now",
    "parse_commit",
    "squashed_tip",
]

_FEW = 1000
"""So many commits of mreg's are passed over; beyond, its own will do."""
_SQUASHED = re.compile(r"^commit ([0-9a-f]{40,64})$", re.MULTILINE)
_ANYONE = {"GIT_COMMITTER_NAME": "mreg", "GIT_COMMITTER_EMAIL": "mreg@localhost"}


def code_commit(repo: GitRepository) -> str | None:
    """Returns the newest commit that is checked out and is no change of a model; ``None`` before the first.

    A commit of mreg's changes no code, and is made again where it is joined with what others did; so nothing names it
    as the code that something came from.
    """
    args = ("log", "--first-parent", f"--max-count={_FEW}", "-z", "--format=%H %(trailers:key=Mreg-Action,valueonly)")
    done = repo.runner.complete(*args, "--no-decorate", "HEAD", "--")
    if done.status != 0:
        return None
    lines = [line.partition(" ") for line in done.stdout.decode("utf-8", "replace").split("\0")]
    found = next((oid for oid, _, action in lines if oid and action.strip() in {"", "init"}), None)
    return found or repo.head()


def branch_names(repo: GitRepository, remote: str) -> list[str]:
    """Returns the names of the branches here, and of those that a remote had when it was last fetched."""
    places = ("refs/heads/", f"refs/remotes/{remote}/")
    refs = repo.runner.text("for-each-ref", "--format=%(refname)", *places).splitlines()
    return sorted({ref.removeprefix(place) for ref in refs for place in places if ref.startswith(place)} - {"HEAD"})


def merge_base(repo: GitRepository, one: str, other: str) -> str | None:
    """Returns the newest commit that two commits share, or ``None``."""
    args = ("merge-base", one, other)
    done = repo.runner.complete(*args)
    if done.status not in {0, 1} or done.stderr.strip():
        raise failure(args, done)
    return done.stdout.decode().strip() or None


def count_since(repo: GitRepository, old: str, tip: str) -> int | None:
    """Returns how many first-parent commits came after one; ``None`` where that history does not lead to it."""
    if old == tip:
        return 0
    done = repo.runner.complete("rev-list", "--first-parent", "--parents", f"{old}..{tip}")
    lines = done.stdout.decode("ascii", "replace").splitlines()
    if done.status != 0 or not lines:  # it is gone, or is no ancestor's but a descendant
        return None
    return len(lines) if lines[-1].split(" ")[1:2] == [old] else None


def changed_since(repo: GitRepository, base: str, head: str, paths: Sequence[str]) -> list[Commit]:
    """Returns the commits of ``head`` that ``base`` lacks and that changed some paths, newest first.

    Both sides of merges are followed; what a merge itself changed is nobody's.
    """
    return _changed(repo, [f"{base}..{head}"], paths)


def changed_elsewhere(repo: GitRepository, tip: str, paths: Sequence[str]) -> list[Commit]:
    """Returns the commits that changed some paths, and are on branches, also remote ones, but not in one's history."""
    return _changed(repo, ["--branches", "--remotes", "--not", tip], paths)


def _changed(repo: GitRepository, revisions: Sequence[str], paths: Sequence[str]) -> list[Commit]:
    out = repo.runner.run(*LOG, "--no-merges", "--full-history", "--topo-order", *revisions, "--", *paths)
    return list(parse_log(out))


def parse_commit(content: bytes) -> tuple[Identity, str]:
    """Returns the author of a commit object, and its subject."""
    head, _, message = content.decode("utf-8", "replace").partition("\n\n")
    author = next((line.removeprefix("author ") for line in head.split("\n") if line.startswith("author ")), "")
    return Identity.parse(author), message.partition("\n")[0].strip()


def index_tree(repo: GitRepository) -> str:
    """Returns the tree that a commit of the index would have.

    In a hook of ``git commit --all`` that is not the repository's own index, but the one that Git names.

    Raises:
        ConflictError: A merge is under way, and some files are not settled.
    """
    args = ("write-tree",)
    done = repo.runner.complete(*args, env=_index(repo))
    if done.status == 0:
        return done.stdout.decode().strip()
    unmerged = [line.partition(": unmerged")[0] for line in done.stderr.splitlines() if ": unmerged" in line]
    if unmerged:
        raise ConflictError(
            f"the index has unresolved conflicts: {', '.join(dict.fromkeys(unmerged))}",
            hint="resolve them, then: git add --update",
            details={"files": sorted(set(unmerged))},
        )
    raise failure(args, done)


def squashed_tip(repo: GitRepository) -> str | None:
    """Returns the newest commit that ``git merge --squash`` put into the index; ``None`` where it did not."""
    try:
        message = (repo.git_dir / "SQUASH_MSG").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _SQUASHED.search(message)  # what people wrote is indented
    return repo.resolve([f"{found[1]}^{{commit}}"])[0] if found else None


def now(repo: GitRepository) -> datetime:
    """Returns when a commit made now would be dated, whoever commits it."""
    text = repo.runner.run("var", "GIT_COMMITTER_IDENT", env=_ANYONE).decode("utf-8", "replace")
    return Identity.parse(text.strip()).when


def _index(repo: GitRepository) -> dict[str, str]:
    named = os.environ.get("GIT_INDEX_FILE", "")
    path = (repo.worktree or repo.git_dir) / named
    # That of another repository is not one of ours.
    return {"GIT_INDEX_FILE": os.fspath(path)} if named and _is_inside(path, repo.git_dir) else {}


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).parent == Path(os.path.realpath(folder))

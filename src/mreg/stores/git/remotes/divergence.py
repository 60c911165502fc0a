"""Two histories that have diverged: the commits of one that the other lacks, and how other files join."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.timeline import Commit
from mreg.core.sharing.joints import Local
from mreg.errors import DataError
from mreg.stores.git.objects import BLOB_MODE, Identity, TreeEntry, empty_tree
from mreg.stores.git.remotes.pushing import is_ancestor
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import failure
from mreg.stores.git.writing.publishing import Publisher
from mreg.stores.git.writing.trees import build_tree

__all__ = [
    "Signature",
    "find_lost",
    "find_movers",
    "is_on_top",
    "join_files",
    "lacking_commits",
    "read_signature",
    "registry_entry",
]

_NOBODY = Identity("mreg", "mreg@localhost", 0)
_IS_ABSENT = "000000"


class Signature(Struct, frozen=True):
    """Who made a commit, and what its message says."""

    author: Identity
    message: str


def lacking_commits(repo: GitRepository, tip: str, there: Sequence[str]) -> list[Local]:
    """Returns the first-parent commits of a branch that others lack, oldest first.

    Args:
        repo: The repository.
        tip: The branch's commit.
        there: What others have: the first is that of the same branch.
    """
    without = [f"^{oid}" for oid in there]
    lines = repo.runner.text("rev-list", "--first-parent", "--reverse", "--parents", tip, *without).split("\n")
    parents = {oid: rest for oid, *rest in (line.split(" ") for line in lines if line)}
    if not parents:
        return []
    commits = {each.oid: each for each in repo.log(tip, [], since=_since(parents), is_whole=True)}
    return [_local(repo, commits[oid], rest, there[:1]) for oid, rest in parents.items()]


def is_on_top(repo: GitRepository, here: str, there: str) -> bool:
    """Returns whether a commit is on the first-parent history of another, and not merely merged into it."""
    args = ("rev-list", "--first-parent", "--parents", "--reverse", here, f"^{there}")
    first = repo.runner.text(*args).partition("\n")[0].split(" ")
    return first == [""] or first[1:2] == [there]


def _since(parents: Mapping[str, Sequence[str]]) -> str | None:
    first = next(iter(parents.values()))
    return first[0] if first else None


def _local(repo: GitRepository, commit: Commit, parents: Sequence[str], there: Sequence[str]) -> Local:
    first, others = (parents[0] if parents else None), list(parents[1:])
    pulled = [each for each in others if any(is_ancestor(repo, each, tip) for tip in there)]
    if not pulled:
        return Local(commit, first, tuple(others))
    # What a merge took from there as it was is not a change of whoever made the merge.
    own = {change.path for change in repo.changes(pulled[0], commit.oid)}
    kept = tuple(change for change in commit.changes if change.path in own)
    rest = tuple(each for each in others if each not in pulled)
    return Local(replace(commit, changes=kept), first, rest, pulled=pulled[0])


def find_movers(repo: GitRepository, tip: str, here: str, paths: Sequence[str]) -> dict[str, Commit]:
    """Returns for each path the newest commit there that changed it, since the two parted."""
    movers: dict[str, Commit] = {}
    for commit in repo.log(tip, paths, since=here) if paths else []:
        movers.update((change.path, commit) for change in commit.changes)
    return movers


def find_lost(repo: GitRepository, remote: str, branch: str, *, here: str, there: str) -> str | None:
    """Returns the newest commit that the remote's branch once had, has no more, and is here still."""
    done = repo.runner.complete("reflog", "show", "--format=%H", f"refs/remotes/{remote}/{branch}", "--")
    seen = done.stdout.decode("utf-8", "replace").split()
    if not seen:
        return None
    lacking = set(repo.runner.text("rev-list", here, f"^{there}").split("\n"))
    return next((oid for oid in seen if oid in lacking), None)


def read_signature(repo: GitRepository, oid: str) -> Signature:
    """Returns author and message of a commit, as they are."""
    (content,) = repo.read([oid])
    head, _, body = (content or b"").partition(b"\n\n")
    lines = dict(line.partition(b" ")[::2] for line in head.split(b"\n"))
    encoding = lines.get(b"encoding", b"utf-8").decode("ascii", "replace")
    try:
        codecs.lookup(encoding)
    except LookupError:
        encoding = "utf-8"
    return Signature(
        Identity.parse(lines.get(b"author", b"").decode(encoding, "replace")), body.decode(encoding, "replace")
    )


def registry_entry(oid: str | None) -> TreeEntry | None:
    """Returns a blob as the file of a registry that it is."""
    return TreeEntry(BLOB_MODE, oid) if oid else None


def join_files(
    publisher: Publisher,
    repo: GitRepository,
    *,
    ours: str,
    content: tuple[str | None, str],
    is_taken: Callable[[str], bool],
) -> tuple[str, tuple[str, ...]]:
    """Joins what changed between two commits with a third, and returns the tree, and the files in conflict.

    Args:
        publisher: Takes new trees.
        repo: The repository.
        ours: What it goes on top of; stored.
        content: The two commits; ``None`` for one without files.
        is_taken: Says of a path whether it counts.
    """
    base, theirs = content
    before = base or empty_tree(repo.object_format)
    wanted = {path: pair for path, pair in _entries(repo, before, theirs).items() if is_taken(path)}
    now = dict(zip(wanted, repo.resolve([f"{ours}:{path}" for path in wanted]), strict=True))
    simple = {
        path: new
        for path, (old, new) in wanted.items()
        if now[path] == (old.oid if old else None) or now[path] == (new.oid if new else None)
    }
    if simple.keys() == wanted.keys():
        try:
            return build_tree(repo, publisher.objects, ours, simple), ()
        except DataError:
            pass  # a folder where a file is to be: Git knows what to do
    return _merge(publisher, repo, ours, before, {path: new for path, (_, new) in wanted.items()})


def _merge(
    publisher: Publisher, repo: GitRepository, ours: str, base: str, entries: Mapping[str, TreeEntry | None]
) -> tuple[str, tuple[str, ...]]:
    """Has Git join the files; three commits that nothing will ever name tell it of no other changes."""
    objects = publisher.objects
    trees = [build_tree(repo, objects, tree, files) for tree, files in ((base, {}), (ours, {}), (base, entries))]

    def commit(tree: str, *parents: str) -> str:
        return publisher.join(parents, tree, author=_NOBODY, committer=_NOBODY, message="merge", is_draft=True)

    root = commit(trees[0])
    one, other = (commit(tree, root) for tree in trees[1:])
    publisher.flush()
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", one, other)
    done = repo.runner.complete(*args)
    found = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    if done.status not in {0, 1}:
        if "usage:" in done.stderr:  # Git before 2.38
            return trees[1], tuple(sorted(entries))
        raise failure(args, done)
    # Where one side has a folder of that name, Git adds which commit has the file.
    paths = (path.removesuffix(f"~{one}").removesuffix(f"~{other}") for path in found[1:] if path)
    return found[0], tuple(dict.fromkeys(paths)) if done.status else ()


def _entries(repo: GitRepository, old: str, new: str) -> dict[str, tuple[TreeEntry | None, TreeEntry | None]]:
    """Returns the files that differ, with their modes."""
    out = repo.runner.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new)
    tokens = out.split(b"\0")[:-1]
    entries = {}
    for head, path in zip(tokens[::2], tokens[1::2], strict=True):
        old_mode, new_mode, old_oid, new_oid, _ = head.decode().removeprefix(":").split(" ")
        entries[path.decode("utf-8", "surrogateescape")] = (_entry(old_mode, old_oid), _entry(new_mode, new_oid))
    return entries


def _entry(mode: str, oid: str) -> TreeEntry | None:
    return None if mode == _IS_ABSENT else TreeEntry(mode, oid)

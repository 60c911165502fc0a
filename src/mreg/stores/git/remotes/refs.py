"""What a remote has, without fetching it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from mreg.errors import GitError, NotFoundError
from mreg.stores.git.parsing import parse_tag_ref
from mreg.stores.git.remotes.network import ask, confirm_missing, unreachable
from mreg.stores.git.repository import GitRepository, TagRef

__all__ = ["RemoteRefs", "describe_tags", "list_remote"]

_TAGS, _PEELED = "refs/tags/", "^{}"


class RemoteRefs(Struct, frozen=True):
    """The registry's refs as a remote shows them."""

    branch: str | None
    """Commit of the branch that was asked for; ``None`` where the remote lacks it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Object ids by name."""
    targets: Mapping[str, str] = field(default_factory=dict)
    """What annotated tags point at at last."""


def list_remote(repo: GitRepository, remote: str, branch: str) -> RemoteRefs:
    """Returns the tags of a remote and one of its branches, in one connection.

    Raises:
        NotFoundError: There is no such remote.
        GitError: It cannot be reached, or refuses.
        OutsideError: It does not answer in time.
    """
    if repo.config(f"remote.{remote}.url") == [None]:
        hint = f"git remote add {remote} URL   # or leave --remote out"
        raise NotFoundError(f"this clone has no remote {remote!r}", hint=hint, details={"remote": remote})
    head = f"refs/heads/{branch}"
    args = ("ls-remote", "--quiet", remote, head, f"{_TAGS}*")
    done = ask(repo, remote, *args)
    if done.status != 0:
        error = unreachable(remote, args, done)
        raise GitError(error.message, hint=error.hint, details=error.details)
    lines = (line.partition("\t") for line in done.stdout.decode("utf-8", "surrogateescape").split("\n") if line)
    refs = {ref: oid for oid, _, ref in lines}
    if head not in refs:
        confirm_missing(repo, remote, head)
    tags = {ref.removeprefix(_TAGS): oid for ref, oid in refs.items() if ref.startswith(_TAGS)}
    peeled = {name.removesuffix(_PEELED): oid for name, oid in tags.items() if name.endswith(_PEELED)}
    return RemoteRefs(refs.get(head), {name: oid for name, oid in tags.items() if not name.endswith(_PEELED)}, peeled)


def describe_tags(repo: GitRepository, refs: RemoteRefs) -> list[TagRef]:
    """Returns the tags of a remote, in one Git call; of those whose objects are not here, what the remote tells."""
    found = repo.read_objects(list(refs.tags.values()))
    described = []
    for (name, oid), each in zip(refs.tags.items(), found, strict=True):
        told = TagRef(name, oid, "tag" if name in refs.targets else "commit", refs.targets.get(name, ""))
        described.append(parse_tag_ref(f"{_TAGS}{name}\0{oid}", each) if each else told)
    return described

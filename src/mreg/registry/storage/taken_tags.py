"""A version's tag that is there before the version: whose it is, and how it is removed."""

from __future__ import annotations

from mreg.core.history.tags import version_tag
from mreg.core.names import Bump, Version
from mreg.core.writing.plan import tell_next
from mreg.errors import ConflictError, RefusedError
from mreg.registry.reading.reader import Reader
from mreg.registry.writing.ahead import find_ahead
from mreg.registry.writing.tagging import Tagger
from mreg.registry.writing.view import View
from mreg.stores.git.writing.publishing import Publisher

__all__ = ["refuse_foreign_tag"]


def refuse_foreign_tag(view: View, version: Version, *, is_pushed: bool) -> None:
    """Passes a version whose tag is not there, or is that of a registration that this one will go on top of.

    Args:
        view: What was there when the plan was begun.
        version: What is to be registered.
        is_pushed: True where the commit goes on top of what the remote has.

    Raises:
        ConflictError: It was fetched, and the commit that explains it was not merged.
        RefusedError: Nothing explains it.
    """
    name = version_tag(view.model.model, version)
    repo = view.reader.repo
    if not repo.resolve([f"refs/tags/{name}"])[0]:
        return
    if Reader(repo).settings().tip != view.landed:
        return  # Another process has just registered it, and what is planned here will not land as it is.
    ahead = find_ahead(repo, view.rules.branch, view.landed)
    tagger = Tagger(view.reader, Publisher(repo))
    if ahead and name in tagger.find_fetched(ahead, view.policy.layout, [view.model.model]):
        # Somebody else's version, which what is pushed is put on top of.
        if is_pushed:
            return
        raise ConflictError(
            f"{ahead.what}, which has {view.model.model} {version} already",
            hint=f"{ahead.command}   # or the same command with --push",
            details={"tag": name, "branch": ahead.branch},
        )
    other = f"--version {tell_next(version, Bump.MAJOR)}"
    raise RefusedError(
        f"the tag {name} exists already, but no record on this branch explains it",
        hint=f"git tag -d {name}   # if nobody needs it, such as after git reset; or register another: {other}",
        details={"tag": name},
    )

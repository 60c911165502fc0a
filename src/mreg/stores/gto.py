"""GTO's tags as a repository has them: read whole, and those left out that GTO itself or mreg cannot use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from mreg.core.history.gto import GtoTag, is_gto_name, parse_gto_name
from mreg.core.history.manifest import Adopted
from mreg.core.text import check_text
from mreg.errors import UsageError
from mreg.stores.git.objects import Identity
from mreg.stores.git.repository import GitRepository, TagRef

__all__ = ["GtoTags", "Said", "read_gto_tags"]

_WRITTEN_BY_GTO = ("Registering artifact ", "Deregistering artifact ", "Assigning stage ", "Unassigning stage ")


class Said(Struct, frozen=True):
    """What a tag says besides its name."""

    by: str
    """E-mail address of the tagger."""
    adopted: Adopted
    message: str
    """What a person wrote; empty where GTO wrote the message, or where it is not fit for a record."""


class GtoTags(Struct, frozen=True):
    """All tags that GTO would read."""

    tags: tuple[GtoTag, ...]
    said: Mapping[str, Said]
    """By the name of the tag."""
    left_out: Mapping[str, str]
    """Why, by the name of the tag."""


def read_gto_tags(repo: GitRepository, among: Iterable[TagRef] | None = None) -> GtoTags:
    """Returns the tags in GTO's grammar; three Git calls, whatever their number.

    Args:
        repo: The repository with the tags.
        among: Only these are read; by default all.
    """
    refs = [ref for ref in (repo.tags() if among is None else among) if is_gto_name(ref.name)]
    contents = repo.read([ref.oid for ref in refs])
    commits = repo.resolve([f"{ref.target or ref.oid}^{{commit}}" for ref in refs])
    tags: list[GtoTag] = []
    said: dict[str, Said] = {}
    left_out: dict[str, str] = {}
    for ref, content, commit in zip(refs, contents, commits, strict=True):
        head, _, message = (content or b"").decode("utf-8", "replace").partition("\n\n")
        lines = dict(line.partition(" ")[::2] for line in head.split("\n"))
        says = parse_gto_name(ref.name)
        problem = _find_problem(ref, lines, commit)
        if problem or says is None:
            left_out[ref.name] = problem or "mreg does not take its name"
            continue
        tagger = Identity.parse(lines["tagger"])
        tags.append(GtoTag(ref.name, says, ref.target, tagger.time))
        said[ref.name] = Said(tagger.email, Adopted(ref.name, tagger.when, ref.target), _clean(message))
    return GtoTags(tuple(tags), said, left_out)


def _find_problem(ref: TagRef, lines: Mapping[str, str], commit: str | None) -> str:
    if ref.kind != "tag":
        return "it is not annotated"
    if commit is None or commit != ref.target:
        return "it is on no commit of this clone"
    if lines.get("tag") != ref.name:
        return f"it says that it is {lines.get('tag')!r}"
    return "" if lines.get("tagger") else "it has no tagger"


def _clean(message: str) -> str:
    text = message.partition("-----BEGIN ")[0].strip()
    try:
        return "" if text.startswith(_WRITTEN_BY_GTO) else check_text(text, "message")
    except UsageError:
        return ""

"""Names of models, stages and versions, and selectors.

Rules:
    * Model names: segments ``[a-z0-9]([a-z0-9_-]*[a-z0-9])?`` joined by ``/``, at most 100 characters in all.
    * Stage names: one such segment.
    * No segment may be read as a version, is a reserved word, or names a Windows device.
    * No model name is a folder of another (``fraud`` and ``fraud/eu``), see ``find_folder_clash``.
    * Versions are semantic versions 2.0.0 without build metadata; ``v3``, ``3`` and ``3.0`` mean exactly ``v3.0.0``.
      They have at most 100 characters and do not end in ``.lock``, which Git takes in no ref.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import NewType

from msgspec import Struct

from mreg.errors import NamingError

__all__ = [
    "LATEST",
    "Bump",
    "ModelName",
    "Selector",
    "StageName",
    "Version",
    "avoid_folder_clash",
    "find_folder_clash",
    "is_branch_name",
    "parse_model_name",
    "parse_selector",
    "parse_stage_name",
    "parse_version",
]

ModelName = NewType("ModelName", str)
StageName = NewType("StageName", str)

LATEST = "latest"
ARCHIVED = StageName("archived")
"""Not a stage: the mark that many versions can bear, kept beside the stages."""

MAX_NAME_LENGTH = 100
_BRANCH = re.compile(r"[^\s~^:?*\[\\\x00-\x1f\x7f]+")
_SEGMENT = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
_RESERVED = frozenset(
    {LATEST, ARCHIVED, "none", "stages", "versions", "approvals", "artifact", "artifacts", "models", "stage"}
)
WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_VERSION = re.compile(
    rf"v?({_NUMBER})(?:\.({_NUMBER})(?:\.({_NUMBER})(?:-([0-9a-z-]+(?:\.[0-9a-z-]+)*))?)?)?", re.ASCII | re.IGNORECASE
)
_LIKE_A_VERSION = re.compile(r"v?[0-9]+(?:[.+].*)?", re.ASCII | re.DOTALL | re.IGNORECASE)


class Bump(str, Enum):
    """Which part of the newest version a new one raises."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


class Version(Struct, frozen=True, array_like=True, gc=False):
    """A semantic version, ordered as https://semver.org/spec/v2.0.0.html section 11 says."""

    major: int
    minor: int = 0
    patch: int = 0
    prerelease: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Returns the canonical form, ``v3.0.0`` or ``v3.0.0-rc.1``."""
        suffix = "-" + ".".join(self.prerelease) if self.prerelease else ""
        return f"v{self.major}.{self.minor}.{self.patch}{suffix}"

    def __repr__(self) -> str:
        """Returns the canonical form, marked as a value."""
        return f"<Version {self}>"

    def __format__(self, spec: str) -> str:
        """Returns the canonical form, as wide as asked for."""
        return format(str(self), spec)

    def __lt__(self, other: object) -> bool:
        """Compares by precedence: numbers first, a pre-release before its release."""
        return self.precedence < other.precedence if isinstance(other, Version) else NotImplemented

    def __le__(self, other: object) -> bool:
        """Compares by precedence."""
        return self.precedence <= other.precedence if isinstance(other, Version) else NotImplemented

    def __gt__(self, other: object) -> bool:
        """Compares by precedence."""
        return self.precedence > other.precedence if isinstance(other, Version) else NotImplemented

    def __ge__(self, other: object) -> bool:
        """Compares by precedence."""
        return self.precedence >= other.precedence if isinstance(other, Version) else NotImplemented

    @property
    def precedence(self) -> tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]:
        """What versions are ordered by: as the key of a sort, quicker than comparing them."""
        if not self.prerelease:
            return (self.major, self.minor, self.patch, 1, ())
        identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease)
        return (self.major, self.minor, self.patch, 0, identifiers)

    def bumped(self, bump: Bump) -> Version:
        """Returns the next release; a pre-release is followed by its own where that raises the part asked for.

        Raises:
            NamingError: The number would have more digits than a version may.
        """
        if bump is Bump.MAJOR:
            stays = self.prerelease and not (self.minor or self.patch)
            following = Version(self.major if stays else self.major + 1)
        elif bump is Bump.MINOR:
            stays = self.prerelease and not self.patch
            following = Version(self.major, self.minor if stays else self.minor + 1)
        else:
            following = Version(self.major, self.minor, self.patch if self.prerelease else self.patch + 1)
        return parse_version(str(following))


class Selector(Struct, frozen=True):
    """One version of a model, named by number, by stage, or as the newest."""

    model: ModelName
    version: Version | None = None
    stage: StageName | None = None

    @property
    def is_latest(self) -> bool:
        """True where neither a version nor a stage was named."""
        return self.version is None and self.stage is None

    def __str__(self) -> str:
        """Returns the canonical form; ``parse_selector`` reads it back."""
        return f"{self.model}@{self.version or self.stage or LATEST}"


def parse_version(text: str) -> Version:
    """Returns the version that a person typed.

    Raises:
        NamingError: Not a semantic version, or one with leading zeros or build metadata.
    """
    return _parse_version(_as_text("version", text))


@lru_cache(maxsize=16384)
def _parse_version(text: str) -> Version:
    # A long history names few versions many times: each is there once.
    match = _VERSION.fullmatch(text) if len(text) <= MAX_NAME_LENGTH else None
    prerelease = tuple(match[4].split(".")) if match and match[4] else ()
    has_zeros = any(part.isdigit() and len(part) > 1 and part[0] == "0" for part in prerelease)
    if match is None or has_zeros or text.lower().endswith(".lock"):
        raise NamingError(
            f"{_shown(text)} is not a version",
            hint="write it as v3.0.0, v3 or v3.0.0-rc.1 (a semantic version without build metadata)",
            details={"version": text},
        )
    return Version(int(match[1]), int(match[2] or 0), int(match[3] or 0), prerelease)


def parse_model_name(text: str) -> ModelName:
    """Returns the text as a model name.

    Raises:
        NamingError: The text is outside the grammar; the message says which rule it breaks.
    """
    text = _as_text("model", text)
    if len(text) > MAX_NAME_LENGTH:
        raise _bad("model", text, f"it has {len(text)} characters; at most {MAX_NAME_LENGTH} are allowed")
    for segment in text.split("/"):
        _check_segment("model", text, segment)
    return ModelName(text)


def parse_stage_name(text: str) -> StageName:
    """Returns the text as a stage name.

    Raises:
        NamingError: The text is outside the grammar, or a reserved word.
    """
    text = _as_text("stage", text)
    if len(text) > MAX_NAME_LENGTH:
        raise _bad("stage", text, f"it has {len(text)} characters; at most {MAX_NAME_LENGTH} are allowed")
    _check_segment("stage", text, text)
    return StageName(text)


def parse_selector(text: str) -> Selector:
    """Returns what ``churn``, ``churn@latest``, ``churn@v3``, ``churn@production`` or GTO's ``churn#production`` names.

    Raises:
        NamingError: The model, the version or the stage is outside its grammar.
    """
    text = _as_text("selector", text)
    if "#" in text:
        name, _, stage = text.partition("#")
        return Selector(parse_model_name(name), stage=parse_stage_name(stage))
    name, at, rest = text.partition("@")
    model = parse_model_name(name)
    if not at or rest == LATEST:
        return Selector(model)
    if _LIKE_A_VERSION.fullmatch(rest):
        return Selector(model, version=parse_version(rest))
    return Selector(model, stage=parse_stage_name(rest))


def is_branch_name(text: str) -> bool:
    """Returns whether Git takes a text as the name of a branch, as ``git check-ref-format --branch`` tells."""
    return (
        _BRANCH.fullmatch(text) is not None
        and not text.startswith("-")
        and not text.endswith(".")
        and ".." not in text
        and "@{" not in text
        and text not in {"@", "HEAD"}
        and all(part and part[0] != "." and not part.endswith(".lock") for part in text.split("/"))
    )


def find_folder_clash(name: ModelName, others: Iterable[str]) -> str | None:
    """Returns a model of ``others`` that is a folder of ``name``, or the reverse; ``None`` where there is none."""
    for other in others:
        if other.startswith(name + "/") or name.startswith(other + "/"):
            return other
    return None


def avoid_folder_clash(name: ModelName, others: Iterable[str]) -> ModelName | None:
    """Returns a name near one that is a folder of others, or in the folder of one; ``None`` where none is at hand."""
    others = list(others)
    above = next((other for other in others if name.startswith(f"{other}/")), None)
    near = f"{name}-model" if above is None else f"{above}-{name[len(above) + 1 :].replace('/', '-')}"
    try:
        found = parse_model_name(near)
    except NamingError:
        return None
    return found if found not in others and find_folder_clash(found, others) is None else None


def _as_text(kind: str, text: object) -> str:
    if not isinstance(text, str):  # the Python API takes what it is given
        hint = "write it as text: 'v3'" if kind == "version" else "write it as text"
        raise NamingError(f"a {kind} is text, and this is {text!r}", hint=hint, details={kind: str(text)})
    # A member of `class Stage(str, Enum)` is text too, and is formatted as Stage.PRODUCTION.
    return str.__str__(text)


def _check_segment(kind: str, text: str, segment: str) -> None:
    if not _SEGMENT.fullmatch(segment):
        raise _bad(kind, text, "it may hold a-z, 0-9, '-' and '_', and starts and ends with a letter or digit")
    if _LIKE_A_VERSION.fullmatch(segment):
        raise _bad(kind, text, f"{segment!r} could be mistaken for a version")
    if segment in _RESERVED:
        raise _bad(kind, text, f"{segment!r} is a reserved word")
    if segment in WINDOWS_DEVICES:
        raise _bad(kind, text, f"{segment!r} is a device name on Windows")


def _bad(kind: str, text: str, why: str) -> NamingError:
    parts = (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in text.split("/"))
    suggestion = "/".join(part for part in parts if part)
    usable = suggestion and suggestion != text and all(_is_segment(part) for part in suggestion.split("/"))
    fits = len(suggestion) <= MAX_NAME_LENGTH
    hint = f"use {suggestion!r}" if usable and fits else "examples: churn, fraud/eu, credit-risk_v2-large"
    if kind == "stage" and not (usable and fits):
        hint = "examples: staging, production, shadow"
    return NamingError(f"{_shown(text)} is not a {kind} name: {why}", hint=hint, details={kind: text})


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_NAME_LENGTH else text[:MAX_NAME_LENGTH] + "…")


def _is_segment(text: str) -> bool:
    return (
        bool(_SEGMENT.fullmatch(text))
        and not _LIKE_A_VERSION.fullmatch(text)
        and text not in _RESERVED
        and text not in WINDOWS_DEVICES
    )

"""Where mreg itself comes from in a job of CI, and the names that Git hosts have for it.

Rules:
    * A source names one commit, in full: what runs with a token that may write does not change by itself.
    * A source in the same repository (``./path``) is pinned by the repository's own commit.
"""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

from mreg.errors import UsageError

__all__ = ["Host", "Source", "find_repository_name", "parse_source"]

_EXTRAS = "[notify,scan]"
"""What a job may need besides; the action installs the same."""
_PINNED = re.compile(r"(?P<place>[!-~]+)@(?P<commit>[0-9a-f]{40})")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_LOCAL = re.compile(r"\.(?:/[\w.-]+)+")
_URL = re.compile(
    r"(?:[a-z+]+://(?:[^@/\s]+@)?[^/\s]+/|[^@/:\s]+@[^:/\s]+:)(?P<name>[^\s]+?)(?:\.git)?/?", re.IGNORECASE
)


class Host(str, Enum):
    """What runs the workflows."""

    GITHUB = "github"
    GITLAB = "gitlab"


class Source(Struct, frozen=True):
    """A commit of mreg's repository, or a folder of this one that has a copy of mreg."""

    place: str
    """A URL, or on GitHub ``owner/name``, or ``./folder``."""
    commit: str = ""
    """Empty for a folder."""
    version: str = ""
    """For people; may be empty."""

    @property
    def action(self) -> str:
        """What ``uses:`` takes; empty where GitHub knows no name for it."""
        if not self.commit:
            return self.place
        name = self.place if _NAME.fullmatch(self.place) else find_repository_name(self.place)
        note = f" # {self.version}" if self.version else ""
        return f"{name}@{self.commit}{note}" if _NAME.fullmatch(name) else ""

    @property
    def requirement(self) -> str:
        """What ``pip install`` takes; empty where it is not known by a URL."""
        if not self.commit:
            return f"{self.place}{_EXTRAS}"
        if _NAME.fullmatch(self.place) or not find_repository_name(self.place):
            return ""
        url = re.sub(r"^(?![a-z+]+://)([^@/:\s]+@[^:/\s]+):", r"ssh://\1/", self.place, flags=re.IGNORECASE)
        return f"mreg{_EXTRAS} @ git+{url.removeprefix('git+')}@{self.commit}"


def parse_source(text: str) -> Source:
    """Returns where mreg comes from, as a person writes it.

    Args:
        text: ``owner/mreg@<commit>``, ``https://host/owner/mreg@<commit>``, or ``./folder``.

    Raises:
        UsageError: It names no commit, or is not one of these.
    """
    if _LOCAL.fullmatch(text) and ".." not in text.split("/"):
        return Source(text)
    match = _PINNED.fullmatch(text)
    if match is None or not (_NAME.fullmatch(match["place"]) or find_repository_name(match["place"])):
        raise UsageError(
            f"{text!r} does not say where mreg comes from: name its repository and a commit, in full",
            hint="mreg init --github --mreg OWNER/mreg@COMMIT   # 40 digits; or ./folder, where a copy of mreg is",
            details={"source": text},
        )
    return Source(match["place"], match["commit"])


def find_repository_name(url: str) -> str:
    """Returns the path of a repository on its host, such as ``acme/churn``; empty where the URL names no host."""
    match = _URL.fullmatch(url.removeprefix("git+"))
    return match["name"] if match and not url.lower().startswith("file:") else ""

"""What a command is told while it writes, for its user: whom it waits for, and at the end whether its change landed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from mreg.errors import MregError

if TYPE_CHECKING:
    from mreg.registry.api.changes import Changes

__all__ = ["Testimony", "Witness"]


class Testimony(Struct, frozen=True):
    """What is to be said of a change after its command ended before its time."""

    fact: str
    """A clause, such as ``it landed as …``."""
    hint: str
    details: Mapping[str, object]
    has_landed: bool = False


class Witness:
    """Sees one command, and knows at its end what became of the change that it was about to land."""

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self._registry: Changes | None = None
        self._is_repeatable = False
        self._landing: tuple[str, str, str] | None = None

    def watch(self, registry: Changes, *, is_repeatable: bool = False) -> None:
        """Is told of all that a registry writes from now on.

        Args:
            registry: The registry.
            is_repeatable: The command goes on where it was, if it is run again; what landed already does not matter.
        """
        self._registry, self._is_repeatable = registry, is_repeatable
        registry.report_to(self)

    def waiting(self, pid: int | None) -> None:
        """Says whom the command waits for."""
        with suppress(OSError):
            sys.stderr.write(f"waiting for another mreg command that is writing here{f' (pid {pid})' if pid else ''}\n")
            sys.stderr.flush()

    def outrun(self, branch: str) -> None:
        """Says why the command takes long."""
        with suppress(OSError):
            sys.stderr.write(f"others keep changing {branch} first; retrying for about a minute\n")
            sys.stderr.flush()

    def landing(self, branch: str, commit: str, remote: str) -> None:
        """Keeps what is about to land."""
        self._landing = (branch, commit, remote)

    def testify(self) -> Testimony | None:
        """Returns what became of the change, as the refs tell; ``None`` where there was none."""
        if self._registry is None or self._landing is None or self._is_repeatable:
            return None
        from mreg.registry.writing.landing import Landed

        branch, commit, remote = self._landing
        short, details = commit[:12], {"branch": branch, "commit": commit}
        try:
            landed = self._registry.find_landed(branch, commit, remote)
        except (MregError, KeyboardInterrupt):  # no patience
            hint = f"git branch --all --contains {short}   # shows where it landed, if it did"
            return Testimony("it may have landed", hint, details)
        if landed is Landed.HERE:
            return Testimony(f"it landed as {short} on {branch}", f"git show {short}", details, has_landed=True)
        if landed is Landed.THERE:
            fact = f"it landed as {short} on {branch} of {remote}"
            return Testimony(fact, "mreg sync --push", details, has_landed=True)
        if landed is Landed.PERHAPS:
            shown = f"git fetch {shlex.quote(remote)} && git branch --remotes --contains {short}"
            return Testimony(f"it may have landed on {remote}", f"{shown}   # shows whether it did", details)
        return Testimony("nothing landed", "run the command again", {})

"""Who is told what a writer goes through while it runs; nothing depends on it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["WriteListener"]


class WriteListener(Protocol):
    """Is told by writers; the command line says it to its user."""

    def waiting(self, pid: int | None) -> None:
        """Another process writes to the repository, and this one has been waiting for a while.

        Args:
            pid: The process; ``None`` where it has not said.
        """

    def outrun(self, branch: str) -> None:
        """Others have moved a branch first several times, and the writer goes on trying.

        Args:
            branch: Which.
        """

    def landing(self, branch: str, commit: str, remote: str) -> None:
        """A commit is about to land: how it ended, the refs tell from now on.

        Args:
            branch: Where.
            commit: Its id.
            remote: The remote where it lands first; empty where nothing is pushed.
        """

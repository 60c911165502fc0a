"""Where a version comes from, as far as it is known without asking."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone

from msgspec import Struct

from mreg.core.history.record import Code, Environment, Run
from mreg.stores.artifacts.survey import Survey
from mreg.stores.git.branches import code_commit
from mreg.stores.git.repository import GitRepository
from mreg.stores.surroundings import detect_entrypoint, detect_environment, detect_run, strip_credentials

__all__ = ["Provenance", "gather"]


class Provenance(Struct, frozen=True):
    """The code, the run and the interpreter around a registration."""

    code: Code
    run: Run | None
    environment: Environment
    trained_at: datetime | None
    """When the artifact was last written."""


def gather(repo: GitRepository, root: str, survey: Survey | None) -> Provenance:
    """Returns what is known from around a registration.

    Args:
        repo: The code's repository, which is the registry's.
        root: The registry's folder, whose files are not code.
        survey: The artifact; ``None`` where it is not here.
    """
    (url,) = repo.config("remote.origin.url")
    worktree = repo.worktree
    return Provenance(
        code=Code(
            commit=code_commit(repo) or "",
            dirty=repo.is_dirty(besides=root),
            repo=strip_credentials(url) if url else "",
            entrypoint=detect_entrypoint(sys.argv, worktree) if worktree else "",
        ),
        run=detect_run(os.environ),
        environment=detect_environment(),
        trained_at=_written_at(survey),
    )


def _written_at(survey: Survey | None) -> datetime | None:
    return datetime.fromtimestamp(survey.written_ns // 10**9, timezone.utc) if survey else None

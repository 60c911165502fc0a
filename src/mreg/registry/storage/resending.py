"""Sending bytes again that the remote has lost, when somebody registers what is registered already."""

from __future__ import annotations

from mreg.errors import MregError, UnchangedArtifactError
from mreg.stores.artifacts.hashing import Progress
from mreg.stores.git.repository import GitRepository

__all__ = ["resend"]


def resend(repo: GitRepository, refusal: UnchangedArtifactError, progress: Progress | None = None) -> None:
    """Puts back what the DVC remote lacks of a version whose bytes are in the cache; nothing that was given up.

    Args:
        repo: The repository.
        refusal: Which version has the bytes already.
        progress: Called with bytes done and bytes in all.

    Raises:
        UnchangedArtifactError: The same, and it says that something was sent.
    """
    from mreg.registry.storage.soundness import Checking  # noqa: PLC0415 - few registrations come here

    wanted = f"{refusal.details['model']}@{refusal.details['version']}"
    try:
        found = Checking(repo, [wanted], remote=True, repair=True, progress=progress).run()
    except MregError:  # no remote, or one that does not answer: nothing is known of it, and the refusal stands
        return
    if found.repaired:
        count = "1 object" if found.repaired == 1 else f"{found.repaired} objects"
        raise UnchangedArtifactError(
            f"{refusal.message}; {found.remote} had lost {count} of it, sent again from here",
            hint=refusal.hint,
            details={**refusal.details, "repaired": found.repaired},
        ) from refusal

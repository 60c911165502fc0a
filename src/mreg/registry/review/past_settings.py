"""Settings of the past: what the history of ``registry.yaml`` holds, whether or not the newest one can be read."""

from __future__ import annotations

from collections.abc import Iterable

from mreg.core.history.timeline import Commit
from mreg.core.layout import SETTINGS_FILE
from mreg.core.settings.policy import DEFAULT_BRANCH, Policy
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader, Settings, parse_settings

__all__ = ["attempt_settings", "find_last_settings", "settings_blobs"]


def settings_blobs(commits: Iterable[Commit]) -> list[str]:
    """Returns the object ids of all settings in the history of that file, oldest first."""
    return [change.new for commit in commits for change in commit.changes if change.new]


def attempt_settings(data: bytes) -> Policy | None:
    """Returns the settings in a blob; ``None`` where they cannot be read."""
    try:
        return parse_settings(data)
    except DataError:
        return None


def find_last_settings(reader: Reader) -> Settings | None:
    """Returns the newest settings that can be read, and the branch that they name."""
    names = [f"refs/heads/{DEFAULT_BRANCH}", f"refs/remotes/origin/{DEFAULT_BRANCH}", "HEAD"]
    for tip in reader.repo.resolve(names):
        oids = settings_blobs(reader.repo.log(tip, [SETTINGS_FILE])) if tip else []
        found = zip(reversed(oids), reader.repo.read(oids[::-1]), strict=True)
        policy = next((policy for _, data in found if data is not None and (policy := attempt_settings(data))), None)
        if policy and tip:
            own = reader.repo.branch_tip(policy.branch)
            return Settings(policy, policy.branch, own or tip, is_local=own is not None)
    return None

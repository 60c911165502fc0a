"""Automatic promotions: which versions may try to enter a stage by themselves.

Rules:
    * A stage with ``auto: true`` takes the newest version that every gate allows.
    * Nothing is promoted into a stage that is held, nor what was there before: someone took it out.
    * A pre-release, an archived version and one that is older than what the stage holds never try.
"""

from __future__ import annotations

from mreg.core.history.state import ModelState
from mreg.core.history.timeline import Lane
from mreg.core.names import StageName, Version
from mreg.core.settings.policy import Policy

__all__ = ["auto_stages", "find_candidates"]


def auto_stages(policy: Policy) -> tuple[StageName, ...]:
    """Returns the stages that take versions by themselves, in the order that a version takes."""
    return tuple(stage for stage, rule in policy.stages.items() if rule.auto)


def find_candidates(state: ModelState, lane: Lane, stage: StageName) -> tuple[Version, ...]:
    """Returns the versions that may try, newest first; none where the stage is held or cannot be read."""
    entry = state.entries.get(stage)
    if stage in state.unreadable or (entry and entry.hold):
        return ()
    return tuple(
        version
        for version in reversed(state.versions)
        if not version.prerelease
        and version not in state.archived
        and version not in lane.held
        and (lane.current is None or version > lane.current)
    )

"""What would go at one moment: the verdicts on all versions, and the objects that nothing kept needs.

What has to be read for that and cannot be is an error: nobody guesses what it may name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from mreg.core.history.record import Artifact, ArtifactFile
from mreg.core.settings.retention import Retention
from mreg.core.storage.dropping import Needs, find_garbage
from mreg.core.storage.objects import StoredObject, VersionBytes
from mreg.core.storage.retention import Key, Verdict, judge_versions
from mreg.errors import NotFoundError
from mreg.registry.reading.reader import Reader
from mreg.registry.storage.claims import Claims, Refs, find_claims
from mreg.registry.storage.objects import describe, find_lists, read_file_lists
from mreg.registry.storage.registered import file_list_oids, read_artifacts
from mreg.stores.dvc.holdings import Shelf
from mreg.stores.git.objects import to_datetime
from mreg.stores.git.repository import GitRepository

__all__ = ["Outlook", "look_out", "time_now"]


class Outlook(Struct, frozen=True):
    """What would go at one moment."""

    retention: Retention
    verdicts: tuple[Verdict, ...]
    claims: Claims
    garbage: Mapping[Key, tuple[StoredObject, ...]]
    """Of each version that is not kept the objects that may go, lists last, each with one version."""
    bytes: Mapping[Key, VersionBytes] = field(default_factory=dict)
    """Of the versions that are not kept, those whose objects are all known."""

    @property
    def dropped(self) -> list[Verdict]:
        """The versions that are not kept."""
        return [verdict for verdict in self.verdicts if not verdict.is_kept]

    def deletable(self) -> dict[str, StoredObject]:
        """Returns the objects of versions that were given up, by their names, lists last.

        What a version names that may go, and that nobody has given up so far, is not among them.
        """
        waiting = {item.md5 for each in self.dropped if not each.deletion for item in self.objects_of(each)}
        garbage = {item.md5 for items in self.garbage.values() for item in items} - waiting
        given_up = [item for each in self.dropped if each.deletion for item in self.objects_of(each)]
        return {item.md5: item for item in sorted(given_up, key=lambda item: item.is_list) if item.md5 in garbage}

    def objects_of(self, verdict: Verdict) -> tuple[StoredObject, ...]:
        """Returns what the bytes of a version that is not kept are made of, as far as that is known."""
        found = self.bytes.get(verdict.key)
        return found.objects if found else ()


def look_out(
    repo: GitRepository,
    tip: str,
    refs: Refs,
    shelves: Sequence[Shelf],
    retention: Retention | None = None,
    *,
    strict: bool = True,
) -> Outlook:
    """Returns what would go.

    Args:
        repo: A whole clone.
        tip: The newest commit of the registry branch.
        refs: What else names bytes.
        shelves: Where lists of directories are looked for, in this order.
        retention: What is kept; by default as the settings at ``tip`` say.
        strict: Refuse where the list of a directory that a ref names is nowhere; its files could be among the garbage.

    Raises:
        IncompleteHistoryError: The clone is shallow, or lacks a commit.
        DataError: A record, a file list or a pointer cannot be read.
        NotFoundError: The list of a directory that is needed is nowhere.
    """
    return _Survey(repo, tip, refs, shelves, retention, strict).run()


def time_now(repo: GitRepository) -> datetime:
    """Returns the time, of two clocks the earlier: what is young by either counts as young."""
    return to_datetime(min(repo.committer().time, int(time.time())))


class _Survey(Struct):
    repo: GitRepository
    tip: str
    refs: Refs
    shelves: Sequence[Shelf]
    retention: Retention | None
    strict: bool

    def run(self) -> Outlook:
        reader = Reader(self.repo)
        policy = reader.policy_at(self.tip)
        layout, retention = policy.layout, self.retention or policy.retention
        commits = reader.commits(self.tip, layout)
        timeline = reader.timeline(commits, layout)
        claims = find_claims(reader, self.tip, self.refs, timeline, layout)
        records = {key: appearance.record for key, appearance in timeline.appearances.items()}
        artifacts = read_artifacts(reader, layout, records)
        shielded = {
            key: f"{claims.md5s[artifact.md5]} names its bytes"
            for key, artifact in artifacts.items()
            if artifact.md5 in claims.md5s
        } | claims.versions
        verdicts = judge_versions(timeline, commits, layout, retention, now=time_now(self.repo), shielded=shielded)
        outlook = Outlook(retention, verdicts, claims, {})
        if all(verdict.is_kept for verdict in verdicts):
            return outlook
        files = read_file_lists(self.repo, layout, artifacts, file_list_oids(commits, layout))
        candidates = {verdict.key: artifacts[verdict.key] for verdict in outlook.dropped}
        lists = [each.md5 for each in candidates.values() if each.md5.endswith(".dir")]
        described = describe(candidates, files, find_lists(lists, self.shelves))
        listed = {key: each for key, each in described.items() if each.is_listed}
        reasons = {key: "the list of its files is nowhere" for key, each in described.items() if not each.is_listed}
        reasons |= dict.fromkeys(candidates.keys() - described.keys(), "DVC did not track its bytes")
        outlook = _keep(outlook, reasons)
        kept = {verdict.key: artifacts[verdict.key] for verdict in outlook.verdicts if verdict.is_kept}
        needs = self._needs(claims, kept, files)
        # Nothing of these would go, so nothing is said of them; they are given up with the last that has their bytes.
        outlook = _keep(outlook, {key: "others have its bytes" for key, each in listed.items() if needs.cover(each)})
        dropped = [verdict.key for verdict in outlook.dropped]
        garbage = find_garbage((listed[key] for key in dropped if key in listed), needs)
        return replace(outlook, garbage={key: garbage.get(key, ()) for key in dropped}, bytes=listed)

    def _needs(
        self, claims: Claims, kept: Mapping[Key, Artifact], files: Mapping[Key, tuple[ArtifactFile, ...]]
    ) -> Needs:
        md5s = {artifact.md5 for artifact in kept.values()} | claims.md5s.keys()
        sha256s = {artifact.sha256 for artifact in kept.values()} | claims.sha256s
        sha256s.update(file.sha256 for key in kept for file in files.get(key, ()))
        recorded = {artifact.md5 for artifact in kept.values() if artifact.sha256}
        unknown = {md5: place for md5, place in claims.lists.items() if md5 not in recorded}
        for key, artifact in kept.items():
            if artifact.md5.endswith(".dir") and not artifact.sha256:  # adopted: Git has no list of it
                unknown[artifact.md5] = f"{key[0]} {key[1]}"
        found = find_lists(unknown, self.shelves)
        lost = sorted(unknown.keys() - found.keys())
        if lost and self.strict:
            raise _lost_list(lost[0], unknown[lost[0]], len(lost))
        md5s.update(md5 for members in found.values() for md5 in members.values())
        return Needs(md5s, sha256s)


def _keep(outlook: Outlook, reasons: Mapping[Key, str]) -> Outlook:
    """Keeps versions, unless their bytes were given up already."""
    verdicts = tuple(
        replace(each, why=reasons[each.key]) if each.key in reasons and not (each.is_kept or each.deletion) else each
        for each in outlook.verdicts
    )
    return replace(outlook, verdicts=verdicts)


def _lost_list(md5: str, place: str, count: int) -> NotFoundError:
    more = f", and {count - 1} more" if count > 1 else ""
    return NotFoundError(
        f"the list of the directory {md5} ({place}) is neither on the remote nor in the cache{more}: "
        "nobody knows which objects it needs",
        hint="dvc push, where the directory is; or --ignore-unlisted, where nobody has it any more",
        details={"md5": md5, "place": place},
    )

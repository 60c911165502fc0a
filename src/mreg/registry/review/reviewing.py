"""Reading the difference between two commits, or of the index, and reviewing it; a fixed small number of Git calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain
from mreg.core.history.record import Record, parse_record
from mreg.core.history.timeline import Commit, FileChange, Timeline
from mreg.core.layout import SETTINGS_FILE, Layout, PathKind
from mreg.core.review.difference import Difference, SettingsDifference
from mreg.core.review.gates import Scan
from mreg.core.review.review import review
from mreg.core.review.reviewed import Review
from mreg.core.settings.policy import Policy, parse_policy
from mreg.errors import DataError, IncompleteHistoryError, NotFoundError, RefusedError, UsageError
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader
from mreg.registry.review.contents import find_content_faults
from mreg.registry.review.ends import find_base, find_behind, find_branch, find_places
from mreg.stores import yaml
from mreg.stores.git.branches import changed_since, index_tree, merge_base, now, parse_commit, squashed_tip
from mreg.stores.git.repository import GitRepository

__all__ = ["review_difference", "review_index"]

_UNSHALLOW = "git fetch --unshallow   # in GitHub Actions: actions/checkout with fetch-depth: 0"
Scanner = Callable[[Record], Scan | None]


class _Ends(Struct, frozen=True):
    """What is compared."""

    base: str
    head: str
    """A commit, or the tree of the index."""
    tip: str
    """The commit whose history tells who changed what."""
    base_name: str
    branch: str = ""
    is_staged: bool = False
    is_draft: bool = False
    is_checked_out: bool = False
    squashed: str = ""
    """The newest commit of those that the index squashes."""


def review_difference(reader: Reader, base: str | None, head: str | None, *, scan: Scanner | None = None) -> Review:
    """Returns what one commit would do to the registry on top of another.

    Args:
        reader: Reads the repository.
        base: A revision; by default the registry branch, as the remote has it if there is a remote.
        head: A revision; by default what is checked out.
        scan: Scans a version's bytes, where a gate asks for it; by default nobody does.

    Raises:
        NotARegistryError: There is no registry.
        NotFoundError: A revision names no commit, or the registry branch is not there.
        IncompleteHistoryError: The clone is shallow.
        RefusedError: The two share no commit.
        DataError: The settings of the base cannot be read.
    """
    repo, settings = reader.repo, reader.settings()
    if repo.is_shallow:
        raise IncompleteHistoryError("this clone is shallow and lacks history that the review needs", hint=_UNSHALLOW)
    tip = repo.commit_of(head or "HEAD")
    named = repo.head_branch() or "" if head is None else head.removeprefix("refs/heads/")
    places = find_places(repo, settings.branch, named)
    found, name = find_base(places, settings.branch) if base is None else (repo.commit_of(base), base)
    branch = find_branch(places, settings.branch, named, tip)
    ends = _Ends(found, tip, tip, name, branch=branch, is_checked_out=places["HEAD"] == tip)
    made = _review(reader, ends, scan)
    behind = find_behind(repo, branch, tip, places.get(f"refs/remotes/origin/{named}")) if branch == named else ()
    return replace(made, notices=(*made.notices, *behind)) if behind else made


def review_index(reader: Reader, *, scan: Scanner | None = None) -> Review:
    """Returns what a commit of the index would do to the registry.

    In a merge of the registry branch, that is what the checked-out branch adds to it.  On another branch than the
    registry's, approvals that are missing stop nothing yet.

    Args:
        reader: Reads the repository.
        scan: Scans a version's bytes, where a gate asks for it; by default nobody does.

    Raises:
        UsageError: The repository is bare.
        NotARegistryError: There is no registry.
        NotFoundError: Nothing is committed yet.
        ConflictError: The index holds conflicts that are not settled.
        IncompleteHistoryError: The clone is shallow, and the index changes the registry.
        IdentityError: Git does not know who commits.
        DataError: The settings of the base cannot be read.
    """
    repo = reader.repo
    if repo.worktree is None:
        raise UsageError(
            "nothing is staged in a bare repository",
            hint="git branch   # shows the branches; then: mreg check --head NAME",
        )
    settings = reader.settings()
    head, merged = repo.resolve(["HEAD^{commit}", "MERGE_HEAD^{commit}"])
    if head is None:
        raise NotFoundError("nothing is committed here yet, so there is nothing to compare with", hint="git log")
    tree, is_draft = index_tree(repo), repo.head_branch() != settings.branch
    if merged is not None and merge_base(repo, merged, settings.tip) == merged:
        # What the registry branch brings was judged when it landed there.
        return _review(reader, _Ends(merged, tree, head, "MERGE_HEAD", is_staged=True, is_draft=is_draft), scan)
    squashed = squashed_tip(repo) or ""
    return _review(reader, _Ends(head, tree, head, "HEAD", is_staged=True, is_draft=is_draft, squashed=squashed), scan)


def _review(reader: Reader, ends: _Ends, scan: Scanner | None) -> Review:
    repo = reader.repo
    old, new, tip = repo.read([f"{ends.base}:{SETTINGS_FILE}", f"{ends.head}:{SETTINGS_FILE}", ends.tip])
    policy = _find_policy(old, new)
    layout = policy.layout
    changes, conflicts = _compare(repo, ends, layout)
    landing = _land(repo, ends, tip, layout, changes)
    commits = changed_since(repo, ends.base, ends.tip, [layout.root, SETTINGS_FILE]) if changes else []
    timeline = _read_history(reader, ends.base, landing, layout)
    evidence = _Evidence(reader, layout, ends.tip, folders=_folders(landing, layout), scan=scan)
    if ends.squashed:
        evidence.follow(ends.squashed)
    evidence.prefetch([_find_needed(reader, timeline, landing, layout)])
    has_files = bool(timeline.records) or repo.resolve([f"{ends.base}:{layout.root}"])[0] is not None
    difference = Difference(
        base=ends.base,
        landing=landing,
        sources=_find_squashed(repo, ends, layout) if ends.squashed else _find_sources(commits),
        history=tuple(each.oid for each in commits),
        conflicts=conflicts,
        settings=_compare_settings(old, new) if any(each.path == SETTINGS_FILE for each in changes) else None,
        lines=_find_lines(repo, landing, layout),
        base_name=ends.base_name,
        branch=ends.branch,
        has_rules=old is not None,
        has_files=has_files,
        is_staged=ends.is_staged,
        is_draft=ends.is_draft,
        is_checked_out=ends.is_checked_out,
    )
    found = find_content_faults(repo, difference, timeline, layout, evidence)
    return review(difference, timeline, policy=policy, read=reader.manifest, evidence=evidence, found=found)


def _find_policy(old: bytes | None, new: bytes | None) -> Policy:
    """Returns the settings of the base; where it has none, the folder that the head names, and no rules."""
    if old is not None:
        return yaml.read(old, SETTINGS_FILE, parse_policy)
    try:
        named = yaml.read(new or b"", SETTINGS_FILE, parse_policy)
    except DataError:
        named = Policy()
    return Policy(root=named.root, branch=named.branch, stages={})


def _compare(repo: GitRepository, ends: _Ends, layout: Layout) -> tuple[tuple[FileChange, ...], tuple[str, ...]]:
    """Returns the registry's files that differ, and those that both sides changed since they parted."""
    shared: str | None = ends.base
    if not ends.is_staged:
        shared = merge_base(repo, ends.base, ends.head)
    if shared is None:
        raise RefusedError(
            f"{ends.base_name} and {ends.head[:12]} share no commit: one cannot land on the other",
            hint="git log --oneline --graph --all",
            details={"base": ends.base, "head": ends.head},
        )
    ours = [each for each in repo.changes(shared, ends.head) if _is_of_registry(each.path, layout)]
    if shared == ends.base or not ours:
        return tuple(ours), ()
    theirs = {each.path: each.new for each in repo.changes(shared, ends.base)}
    changes = tuple(each for each in ours if each.path not in theirs)
    conflicts = tuple(each.path for each in ours if each.path in theirs and theirs[each.path] != each.new)
    return changes, conflicts


def _is_of_registry(path: str, layout: Layout) -> bool:
    return path == SETTINGS_FILE or path.startswith(f"{layout.root}/")


def _land(
    repo: GitRepository, ends: _Ends, tip: bytes | None, layout: Layout, changes: tuple[FileChange, ...]
) -> Commit:
    author, subject = parse_commit(tip or b"")
    if ends.is_staged and changes:
        author, subject = repo.author(), ""
    kinds = {place.kind for each in changes if (place := layout.locate(each.path))}
    time = now(repo) if PathKind.STAGE in kinds else author.when
    return Commit(ends.head, author.name, author.email, time, subject, changes)


def _read_history(reader: Reader, base: str, landing: Commit, layout: Layout) -> Timeline:
    models = sorted({place.model for each in landing.changes if (place := layout.locate(each.path))})
    reader.timeline([landing], layout)  # for the files that it reads, all at once
    return reader.timeline(reader.commits(base, layout, models), layout) if models else Timeline()


def _folders(landing: Commit, layout: Layout) -> list[str]:
    return sorted({layout.model(place.model) for each in landing.changes if (place := layout.locate(each.path))})


def _find_needed(reader: Reader, timeline: Timeline, landing: Commit, layout: Layout) -> Commit:
    """Returns a commit of all records and approvals that decide, so that they are read at once."""
    wanted = list(landing.changes)
    versions = {(model, lane.current) for (model, _), lane in timeline.lanes.items()}
    for change in landing.changes:
        place = layout.locate(change.path)
        if place is None or change.new is None:
            continue
        if place.kind is PathKind.STAGE:
            try:
                entry = reader.manifest(change.path, change.new).entry
            except DataError:
                continue
            versions.add((place.model, entry.version if entry else None))
        elif place.kind is PathKind.APPROVAL:
            versions.add((place.model, place.version))
    for model, version in versions:
        oid = timeline.records.get((model, version)) if version else None
        if version and oid:
            wanted.append(FileChange(layout.record(model, version), None, oid))
    for (model, version, _), files in timeline.approvals.items():
        if (model, version) in versions:
            wanted += [FileChange(file.path, None, file.oid) for file in files.values()]
    return replace(landing, changes=tuple(wanted))


def _find_sources(commits: Iterable[Commit]) -> dict[str, tuple[Commit, ...]]:
    sources: dict[str, list[Commit]] = {}
    for commit in commits:
        for change in commit.changes:
            sources.setdefault(change.path, []).append(commit)
    return {path: tuple(found) for path, found in sources.items()}


def _find_squashed(repo: GitRepository, ends: _Ends, layout: Layout) -> dict[str, tuple[Commit, ...]]:
    """Returns the commits that gave the approvals of a squash: all else of it is by who commits it."""
    sources = _find_sources(changed_since(repo, ends.base, ends.squashed, [layout.root]))
    places = {path: layout.locate(path) for path in sources}
    return {path: sources[path] for path, place in places.items() if place and place.kind is PathKind.APPROVAL}


def _find_lines(repo: GitRepository, landing: Commit, layout: Layout) -> dict[str, int]:
    stages = [
        (each.path, each.new)
        for each in landing.changes
        if each.new and (place := layout.locate(each.path)) and place.kind is PathKind.STAGE
    ]
    contents = repo.read([oid for _, oid in stages])
    lines = {path: yaml.line_of(data or b"", ["version"]) for (path, _), data in zip(stages, contents, strict=True)}
    return {path: line for path, line in lines.items() if line is not None}


def _compare_settings(old: bytes | None, new: bytes | None) -> SettingsDifference:
    before = _load(old) if old is not None else None
    if new is None:
        return SettingsDifference(before, None)
    try:
        yaml.read(new, SETTINGS_FILE, parse_policy)
    except DataError as error:
        return SettingsDifference(before, None, error)
    return SettingsDifference(before, _load(new))


def _load(data: bytes) -> Mapping[str, Plain]:
    return Fields({"all": yaml.load(data, SETTINGS_FILE)}, where=SETTINGS_FILE).plain("all")


class _Evidence(StoredEvidence):
    """Evidence that also tells why a record cannot be read."""

    def fault(self, path: str, oid: str) -> DataError | None:
        """Returns why the record in a blob cannot be read, or is another's; ``None`` where it can."""
        place = self._layout.locate(path)
        try:
            record = yaml.read(self._read(oid) or b"", path, parse_record)
        except DataError as error:
            return error
        if place and (record.model, record.version) != (place.model, place.version):
            return DataError(f"{path} is the record of {record.model} {record.version}", details={"file": path})
        return None

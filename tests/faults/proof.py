"""What must be true of a registry and of its clones after a race, told by plain Git wherever that can tell it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import gto.api

from mreg import Registry
from mreg.registry.review.auditing import audit
from tests.conftest import Git
from tests.faults.writers import Deed

__all__ = ["check_clone", "check_deeds", "check_history", "check_registry", "refs"]

MARK = re.compile(rb"op-[^ \n]+-\d+-")
VERSION_FILE = re.compile(r"registry/(.+)/versions/([^/]+)\.yaml")
STAGE_FILE = re.compile(r"registry/(.+)/stages/(staging|production)\.yaml")


def refs(git: Git, where: Path) -> dict[str, str]:
    """Returns all refs, by name."""
    lines = git("for-each-ref", "--format=%(refname) %(objectname)", cwd=where).splitlines()
    return dict(line.split(" ") for line in lines)


def check_registry(git: Git, bare: Path, scratch: Path) -> Path:
    """Fails where a fresh clone of the remote does not prove itself whole; returns the clone."""
    git("clone", "--quiet", str(bare), str(scratch))
    git("fsck", "--strict", "--no-dangling", "--no-progress", cwd=bare)
    report = Registry.open(scratch).sync(dry_run=True)
    assert (report.created, report.findings) == ((), ())
    found = audit(scratch, remote=True)
    assert found.complete
    assert found.ok, found.faults
    check_history(git, scratch)
    shown = gto.api.show(str(scratch))
    for model in Registry.open(scratch).list().models:
        ours = {stage: str(version) for stage, version in model.stages.items() if version}
        theirs = {stage: version for stage, version in shown[model.model]["stage"].items() if version}
        assert {stage: theirs.get(stage) for stage in ours} == ours
    return scratch


def check_history(git: Git, clone: Path) -> None:
    """Fails where a version was made twice, or a stage changed from what it did not hold.

    Read from the trees and trailers of each commit of the branch, not by mreg.
    """
    versions: Counter[str] = Counter()
    held: dict[tuple[str, str], str] = {}
    moves: Counter[str] = Counter()
    for commit in git("rev-list", "--first-parent", "--reverse", "main", cwd=clone).splitlines():
        parents = git("rev-list", "--parents", "--max-count=1", commit, cwd=clone).split()[1:]
        assert len(parents) <= 1, "a merge"
        diff = git("diff-tree", "--root", "--no-commit-id", "-r", "--no-renames", "--name-status", commit, cwd=clone)
        trailers = dict(
            line.split(": ", 1)
            for line in git("log", "-1", "--format=%(trailers:only)", commit, cwd=clone).splitlines()
            if line
        )
        for line in diff.splitlines():
            status, path = line.split("\t")
            if version := VERSION_FILE.fullmatch(path):
                assert status == "A", f"{path} changed in {commit}"
                versions[path] += 1
                assert trailers["Mreg-Version"] == version[2]
            if stage := STAGE_FILE.fullmatch(path):
                key = (stage[1], stage[2])
                text = "" if status == "D" else git("show", f"{commit}:{path}", cwd=clone)
                now = (re.search(r"^version: (\S+)", text, re.MULTILINE) or ["", "none"])[1]
                if trailers["Mreg-Action"] in {"promote", "rollback", "clear"}:
                    assert trailers["Mreg-From"] == held.get(key, "none"), f"{commit} replaced something else"
                    assert trailers["Mreg-Version"] == now
                moves[stage[1]] += now not in {held.get(key, "none"), "none"}
                held[key] = now
    assert set(versions.values()) <= {1}
    names = [ref.removeprefix("refs/tags/") for ref in refs(git, clone) if ref.startswith("refs/tags/")]
    assert sorted(name for name in names if "@" in name) == sorted(
        VERSION_FILE.sub(r"\1@\2", path) for path in versions
    )
    for model, count in moves.items():
        mine = {int(name.rpartition("#")[2]): name for name in names if name.partition("#")[0] == model}
        assert sorted(mine) == list(range(1, len(mine) + 1)), "a number is missing"
        assert sum("!" not in name for name in mine.values()) == count
        shown = (
            git("for-each-ref", "--format=%(taggerdate:unix)", f"refs/tags/{mine[n]}", cwd=clone) for n in sorted(mine)
        )
        times = [int(each) for each in shown]
        assert times == sorted(set(times)), f"{model}: the times of its tags do not increase"


def check_deeds(git: Git, clone: Path, deeds: Iterable[Deed], *, before: int) -> None:
    """Fails where what landed is not there exactly once, or what did not is there at all.

    Args:
        git: Real Git.
        clone: A clone of the remote.
        deeds: All that the writers did.
        before: How many commits there were.
    """
    commits = git("rev-list", "--first-parent", "main", cwd=clone).splitlines()
    found: dict[str, list[str]] = {}
    for commit in commits:
        shown = git("show", "--format=%B", "--unified=0", commit, cwd=clone).encode()
        added = b"\n".join(line for line in shown.split(b"\n") if not line.startswith(b"-"))
        for mark in {each.decode() for each in MARK.findall(added)}:
            found.setdefault(mark, []).append(commit)
    made = {deed.mark: deed for deed in deeds}
    assert not found.keys() - made.keys()
    for mark, deed in made.items():
        if deed.code == "landed":
            assert found.get(mark) == [deed.commit], deed
            assert deed.commit in commits
        elif deed.code == "killed":
            assert len(found.get(mark, [])) <= 1, deed
        else:
            assert mark not in found, deed
    assert len(commits) == before + len(found)


def check_clone(git: Git, clone: Path, bare: Path, *, killed: bool = False) -> None:
    """Fails where a clone has anything that the remote lacks, or is in the middle of something."""
    there, here = refs(git, bare), refs(git, clone)
    assert git("status", "--porcelain", "--untracked-files=all", cwd=clone) == ""
    assert git("branch", "--format=%(refname)", cwd=clone) == "refs/heads/main"
    assert leftovers(clone, killed=killed) == []
    git("fetch", "--quiet", "--no-tags", cwd=clone)
    git("merge-base", "--is-ancestor", "main", "origin/main", cwd=clone)
    tags = {ref: oid for ref, oid in here.items() if ref.startswith("refs/tags/")}
    assert tags.items() <= there.items(), "a tag that the remote lacks"
    assert here.keys() - tags.keys() <= {"refs/heads/main", "refs/remotes/origin/main", "refs/remotes/origin/HEAD"}
    git("fsck", "--strict", "--no-dangling", "--no-progress", cwd=clone)


def leftovers(clone: Path, *, killed: bool) -> Sequence[str]:
    """Returns locks and temporary files; of a killed Git those that are Git's own to collect do not count."""
    patterns = ["**/*.lock", "mreg-index*", "mreg/pending*", "mreg/*.tmp", "shallow*"]
    if not killed:
        patterns += ["objects/**/tmp_*", "objects/**/incoming*"]
    found = [path for pattern in patterns for path in (clone / ".git").glob(pattern)]
    found += [path for path in clone.rglob(".mreg-*") if not killed]
    return sorted(str(path.relative_to(clone)) for path in found)

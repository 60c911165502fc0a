"""What is wrong with a clone, and the command that mends it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mreg.core.results import Check, Diagnosis
from mreg.errors import MregError
from mreg.registry.artifacts import open_store
from mreg.registry.reader import Reader, Settings
from mreg.registry.tagging import Tagger
from mreg.stores.git.publishing import Publisher
from mreg.stores.git.repository import GitRepository

__all__ = ["examine"]

_OLDEST_GIT = (2, 34)


def examine(path: Path) -> Diagnosis:
    """Returns everything that was looked at around a directory; nothing is changed."""
    checks = [_attempt("git", _git_version, path)]
    try:
        repo = GitRepository(path)
        checks += [_attempt("identity", _identity, repo), _attempt("complete history", _complete, repo)]
        checks.append(_attempt("unfinished work", _unfinished, repo))
        settings = Reader(repo).settings()
    except MregError as error:
        return Diagnosis((*checks, Check("registry", ok=False, message=error.message, fix=error.hint)))
    checks.append(Check("registry", ok=True, message=f"branch {settings.branch}, folder {settings.policy.root}/"))
    checks += _branches(repo, settings)
    checks += _files(repo, settings)
    checks += _tags(repo, settings)
    checks.append(_attempt("dvc remote", _remote, repo))
    return Diagnosis(tuple(checks))


def _attempt(name: str, look: Callable[..., Check], subject: object) -> Check:
    try:
        return look(subject)
    except MregError as error:
        return Check(name, ok=False, message=error.message, fix=error.hint)


def _git_version(path: Path) -> Check:
    from mreg.stores.git.runner import GitRunner  # noqa: PLC0415 - the rest needs a repository, this does not

    words = GitRunner(path if path.is_dir() else Path.cwd()).text("version").split()
    numbers = tuple(int(part) for part in words[2].split(".")[:2])
    text = f"git {words[2]}, Python {sys.version.split()[0]}"
    if numbers < _OLDEST_GIT:
        return Check("git", ok=False, message=f"{text}: mreg needs git 2.34 or newer", fix="upgrade git")
    return Check("git", ok=True, message=text)


def _identity(repo: GitRepository) -> Check:
    who = repo.author()
    return Check("identity", ok=True, message=f"{who.name} <{who.email}>")


def _complete(repo: GitRepository) -> Check:
    if repo.is_shallow:
        message = "this clone is shallow: history, promote and sync need all of it"
        return Check("complete history", ok=False, message=message, fix="git fetch --unshallow --tags")
    return Check("complete history", ok=True, message="the clone is not shallow")


def _unfinished(repo: GitRepository) -> Check:
    if (repo.state_dir / "pending.json").exists():
        message = "a mreg command was killed while it wrote; the next one completes or undoes it"
        return Check("unfinished work", ok=False, message=message, fix="mreg sync")
    return Check("unfinished work", ok=True, message="none")


def _branches(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    branch = settings.branch
    local, remote = repo.resolve([f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"])
    if remote is None or local is None or local == remote:
        yield Check("registry branch", ok=True, message=f"{branch} is at {settings.tip[:12]}")
        return
    behind = _count(repo, f"{local}..{remote}")
    ahead = _count(repo, f"{remote}..{local}")
    if behind and ahead:
        message = f"{branch} and origin/{branch} have diverged: {ahead} commits here, {behind} there"
        yield Check(
            "registry branch", ok=False, message=message, fix=f"git pull --no-rebase origin {branch} && mreg sync"
        )
    elif behind:
        message = f"{branch} is {behind} commits behind origin/{branch}"
        yield Check("registry branch", ok=False, message=message, fix=f"git fetch origin {branch}:{branch}")
    else:
        message = f"{branch} has {ahead} commits that origin/{branch} lacks: git push origin {branch} --follow-tags"
        yield Check("registry branch", ok=True, message=message)


def _count(repo: GitRepository, commits: str) -> int:
    return int(repo.runner.text("rev-list", "--count", commits))


def _files(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    state = Reader(repo).state(settings.tip, settings.policy)
    for finding in state.findings:
        fix = f"git log -p -- {finding.place}"
        yield Check("registry files", ok=False, message=f"{finding.place}: {finding.message}", fix=fix)
    if not state.findings:
        count = sum(len(model.records) for model in state.models.values())
        yield Check("registry files", ok=True, message=f"{len(state.models)} models, {count} versions")


def _tags(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    if repo.is_shallow:
        return
    reader, layout = Reader(repo), settings.policy.layout
    timeline = reader.timeline(reader.commits(settings.tip, layout), layout)
    plan = Tagger(reader, Publisher(repo)).plan(timeline)
    if plan.missing:
        message = f"{len(plan.missing)} tags are missing, first {plan.missing[0].name}"
        yield Check("tags", ok=False, message=message, fix="git fetch --tags && mreg sync")
    for finding in (*timeline.findings, *plan.findings):
        yield Check("tags", ok=False, message=f"{finding.place}: {finding.message}", fix=f"git show {finding.place}")
    if not plan.missing and not plan.findings:
        yield Check("tags", ok=True, message=f"all {plan.present} are there")


def _remote(repo: GitRepository) -> Check:
    place = open_store(repo).remote()
    if place is None:
        message = "no default DVC remote: the bytes of models are in this clone's cache alone"
        return Check("dvc remote", ok=False, message=message, fix="mreg init --remote s3://bucket/path")
    return Check("dvc remote", ok=True, message=str(place))

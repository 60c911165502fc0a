"""What is wrong with a clone, and the command that mends it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mreg.core.history.state import RegistryState
from mreg.core.history.tags import find_blockers
from mreg.core.history.timeline import Finding
from mreg.core.layout import SETTINGS_FILE, pathspec
from mreg.core.results import Check, Diagnosis
from mreg.errors import MregError
from mreg.registry.reading.answers import find_renamed
from mreg.registry.reading.artifacts import open_store
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.setup.gitignore import ignore_text
from mreg.registry.setup.mending import mend_file, mend_history, mend_tag, mend_under_way
from mreg.registry.setup.remote_checks import count_there, examine_remote
from mreg.registry.writing.ahead import Ahead, find_ahead
from mreg.registry.writing.surveying import survey
from mreg.registry.writing.tagging import Tagger
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.under_way import find_under_way
from mreg.stores.git.writing.pending import find_writer
from mreg.stores.git.writing.publishing import Publisher
from mreg.stores.git.writing.worktrees import find_held

__all__ = ["examine"]

_OLDEST_GIT = (2, 34)


def examine(path: Path, *, remote: bool = False) -> Diagnosis:
    """Returns everything that was looked at around a directory; nothing is changed.

    Args:
        path: The directory.
        remote: Ask the Git remote too.
    """
    checks = [_attempt("git", _git_version, path)]
    try:
        repo = GitRepository(path)
        checks += [_attempt("identity", _identity, repo), _attempt("complete history", _complete, repo)]
        checks.append(_attempt("unfinished work", _unfinished, repo))
        if repo.worktree:
            checks.append(_attempt("worktree", _worktree, repo))
        settings = Reader(repo).settings()
    except MregError as error:
        return Diagnosis((*checks, Check("registry", ok=False, message=error.message, fix=error.hint)))
    checks.append(_attempt("registry", partial(_registry, settings), repo))
    checks += _branches(repo, settings)
    checks += _files(repo, settings)
    checks += _tags(repo, settings)
    checks.append(_attempt("dvc remote", _remote, repo))
    if remote:
        checks += examine_remote(repo, settings)
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
        message = "this clone is shallow: history, promote and sync need the whole history"
        return Check("complete history", ok=False, message=message, fix="git fetch --unshallow --tags")
    return Check("complete history", ok=True, message="the clone is not shallow")


def _unfinished(repo: GitRepository) -> Check:
    name, state = "unfinished work", repo.state_dir
    note, lock = state / "pending.json", state / "lock"
    if state.exists() and not state.is_dir():
        message, here = f"{state} is a file, and mreg needs a folder there to write", shlex.quote(str(state))
        return Check(name, ok=False, message=message, fix=f"mv {here} {shlex.quote(f'{state}.old')}")
    for place in (state if state.exists() else repo.common_dir, *([lock] if lock.exists() else [])):
        if not os.access(place, os.R_OK | os.W_OK):
            message = f"{place} is not writable, so mreg cannot change anything"
            return Check(name, ok=False, message=message, fix=f"ls -ld {shlex.quote(str(place))}   # shows who may")
    writer = find_writer(lock)
    if writer is not None:
        return Check(name, ok=True, message=f"mreg is writing here now{f' (pid {writer})' if writer else ''}")
    if note.exists():
        message = "a mreg command was killed while it wrote; the next one completes or undoes it"
        return Check(name, ok=False, message=message, fix="mreg sync")
    held = find_held(repo, note)
    if held:
        message = f"a mreg command was killed and left {held[0]}, which blocks git"
        return Check(name, ok=False, message=message, fix="mreg sync")
    return Check(name, ok=True, message="none")


def _worktree(repo: GitRepository) -> Check:
    found = find_under_way(repo)
    message = f"git {found.command} is in progress" if found.command else "no merge or rebase is in progress"
    if found.conflicts:
        message = f"{message}, with conflicts" if found.command else "there are conflicts"
        message += f" in {_amount(len(found.conflicts), 'file')}, first {found.conflicts[0]}"
    is_harmless = found.command in {"", "bisect"} and not found.conflicts
    return Check("worktree", ok=is_harmless, message=message, fix=mend_under_way(found))


def _registry(settings: Settings, repo: GitRepository) -> Check:
    message, fix = f"branch {settings.branch}, folder {settings.policy.root}/", ""
    if repo.worktree and repo.runner.text("status", "--porcelain", "--", f"{repo.worktree}/{SETTINGS_FILE}"):
        message += f"; {SETTINGS_FILE} has changes, which count once committed"
        fix = f"git commit -- {pathspec(SETTINGS_FILE)}"
    return Check("registry", ok=True, message=message, fix=fix)


def _branches(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    branch, name = settings.branch, shlex.quote(settings.branch)
    local, remote = repo.resolve([f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"])
    if remote is None or local is None or local == remote:
        yield Check("registry branch", ok=True, message=f"{branch} is at {settings.tip[:12]}")
        return
    behind = _count(repo, f"{local}..{remote}")
    ahead = _count(repo, f"{remote}..{local}")
    if behind and ahead:
        message = f"{branch} and origin/{branch} have diverged: {_amount(ahead, 'commit')} here, {behind} there"
        # A merge would put the local commits before those that others have seen, and renumber their tags.
        fix = "mreg push --dry-run   # then mreg push"
        yield Check("registry branch", ok=False, message=message, fix=fix)
    elif behind:
        message = f"{branch} is {_amount(behind, 'commit')} behind origin/{branch}"
        # Git does not fetch into a branch that is checked out.
        checked_out = repo.head_branch() == branch
        fix = f"git pull --ff-only origin {name}" if checked_out else f"git fetch origin {name}:{name}"
        yield Check("registry branch", ok=False, message=message, fix=fix)
    else:
        message = f"{branch} has {_amount(ahead, 'commit')} that origin/{branch} lacks"
        yield Check("registry branch", ok=True, message=message, fix="mreg push")


def _amount(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _count(repo: GitRepository, commits: str) -> int:
    return int(repo.runner.text("rev-list", "--count", commits))


def _files(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    reader = Reader(repo)
    state = reader.state(settings.tip, settings.policy)
    findings = [*state.findings, *find_renamed(reader, state)]
    for finding in findings:
        yield _fault("registry files", finding, mend_file(finding, settings.branch))
    if not findings:
        count = sum(len(model.records) for model in state.models.values())
        message = f"{_amount(len(state.models), 'model')}, {_amount(count, 'version')}"
        yield Check("registry files", ok=True, message=message)
    ignore_path = f"{settings.policy.root}/.gitignore"
    (data,) = repo.read([f"{settings.tip}:{ignore_path}"])
    text = (data or b"").decode("utf-8", "replace")
    if ignore_text(text) != text:
        message = f"{ignore_path} hides the models from DVC, so that dvc pull and dvc gc skip them"
        yield Check("registry files", ok=False, message=message, fix="mreg init")


def _tags(repo: GitRepository, settings: Settings) -> Iterator[Check]:
    if repo.is_shallow:
        return
    reader, layout = Reader(repo, settings), settings.policy.layout
    ahead = find_ahead(repo, settings.branch, settings.tip)
    found = survey(reader, Tagger(reader, Publisher(repo)), settings.tip, layout, ahead=ahead)
    plan = found.plan
    if plan.missing:
        verb = "is" if len(plan.missing) == 1 else "are"
        message = f"{_amount(len(plan.missing), 'tag')} {verb} missing, first {plan.missing[0].name}"
        yield Check("tags", ok=False, message=message, fix="git fetch --tags && mreg sync")
    past = found.standing.findings
    state = reader.state(settings.tip, settings.policy) if past else RegistryState(settings.tip, settings.policy)
    for finding in past:
        fix = mend_history(finding, found.standing, found.commits, state, settings.branch)
        yield _fault("history", finding, fix)
    yield from _tag_faults(repo, plan.findings, settings.branch, ahead)
    if ahead and plan.ahead:
        count = _amount(len(plan.ahead), "tag")
        message = f"{count} of commits that origin/{ahead.branch} has and {ahead.branch} lacks, first {plan.ahead[0]}"
        yield Check("tags", ok=True, message=message)
    if not plan.missing and not plan.findings and not plan.ahead:
        yield Check("tags", ok=True, message=count_there(plan.present))


def _tag_faults(repo: GitRepository, findings: Sequence[Finding], branch: str, ahead: Ahead | None) -> Iterator[Check]:
    if not findings:
        return
    (url,) = repo.config("remote.origin.url")
    there = {ref.name for ref in repo.tags()}
    for finding in findings:
        name = finding.place.removeprefix("refs/tags/")
        if name == finding.place:
            yield _fault("tags", finding, mend_file(finding, branch))
            continue
        if ahead and finding.code == "fetched-tag":
            yield _fault("tags", finding, ahead.command)
            continue
        # Where the tag itself is not there, one whose name begins as its own, or is a part of it, is in the way.
        blocker = find_blockers([name], there).get(name, name)
        yield _fault("tags", finding, mend_tag(finding, blocker, remote="origin" if url else ""))


def _fault(name: str, finding: Finding, fix: str) -> Check:
    message = finding.message if finding.message.startswith(finding.place) else f"{finding.place}: {finding.message}"
    return Check(name, ok=False, message=message, fix=fix)


def _remote(repo: GitRepository) -> Check:
    place = open_store(repo).ask_remote()
    if place is None:
        message = "no default DVC remote: the bytes of models are only in this clone's cache"
        return Check("dvc remote", ok=False, message=message, fix="mreg init --remote s3://bucket/path")
    return Check("dvc remote", ok=True, message=f"{place} {'answers' if '://' in place.url else 'is there'}")

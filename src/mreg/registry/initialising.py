"""Making a registry of a Git repository: the files of ``mreg init``, in one commit, and what GTO tagged, in more."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mreg.core.gto import parse_gto_name
from mreg.core.layout import SETTINGS_FILE
from mreg.core.names import StageName
from mreg.core.plan import Document, Plan
from mreg.core.policy import DEFAULT_BRANCH, Policy, StageRule
from mreg.core.results import Receipt
from mreg.errors import NotARegistryError, RefusedError, UsageError
from mreg.registry.adopting import Adoption, plan_adoption
from mreg.registry.gitignore import ignore_text
from mreg.registry.hosting import Hosting, plan_hosting
from mreg.registry.reader import Reader, Settings
from mreg.registry.view import encode_document
from mreg.stores.dvc import dvc_files
from mreg.stores.git.publishing import Publisher, RefUpdate
from mreg.stores.git.repository import GitRepository

__all__ = ["initialise"]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DVC_FILES = (".dvc/config", ".dvc/.gitignore", ".dvcignore")


@dataclass(frozen=True, slots=True)
class _Start:
    branch: str
    tip: str | None
    local: str | None
    settings: Settings | None


def initialise(
    path: Path,
    *,
    remote: str | None = None,
    adopting: bool = False,
    branch: str | None = None,
    hosting: Hosting | None = None,
    dry_run: bool = False,
) -> Receipt:
    """Makes a registry of the repository around a directory; what is there already stays.

    Args:
        path: A directory in the repository.
        remote: URL of the DVC remote that artifacts go to.
        adopting: Write records and stages for what GTO has tagged.
        branch: The registry branch; by default the one that is checked out.
        hosting: For which Git hosts to write workflows, if any.
        dry_run: Decide only.

    Raises:
        NotARegistryError: This is no Git repository.
        RefusedError: GTO has tagged models here and ``adopting`` was not asked for.
    """
    repo = GitRepository(path)
    if remote is not None and not (remote.strip() and remote.isprintable()):
        message = f"{remote!r} is no URL or path of a DVC remote: it is empty, or holds a control character"
        raise UsageError(message, hint="mreg init --remote s3://bucket/path")
    if remote is not None and not _URL.match(remote):
        remote = str((path / remote).absolute())
    if dry_run:
        start, plan, adoption = _decide(repo, remote, branch, hosting, adopting=adopting)
        return _receipt(plan, start.branch, None, adoption, dry_run=True)
    publisher = Publisher(repo)
    with publisher.locked():
        start, plan, adoption = _decide(repo, remote, branch, hosting, adopting=adopting)
        paths, tip = list(plan.documents), start.tip
        if plan.changed:
            files = {name: encode_document(document) for name, document in plan.documents.items()}
            tip = publisher.commit(
                parent=tip, files=files, author=repo.author(), committer=repo.committer(), message=plan.message
            )
        if adoption and adoption.versions and tip:
            layout = (start.settings.policy if start.settings else Policy()).layout
            tip, adopted = adoption.commit(publisher, repo, tip, layout)
            paths += adopted
        if tip and tip != start.tip:
            update = RefUpdate(f"refs/heads/{start.branch}", tip, start.local)
            publisher.publish([update], paths=tuple(paths), reason=f"mreg: {plan.subject or 'adopt from GTO'}")
    return _receipt(plan, start.branch, tip if tip != start.tip else None, adoption)


def _decide(
    repo: GitRepository, remote: str | None, branch: str | None, hosting: Hosting | None, *, adopting: bool
) -> tuple[_Start, Plan, Adoption | None]:
    start = _start(repo, branch)
    if not adopting:
        if start.settings is None:
            _refuse_gto_tags(repo)
        return start, _plan(repo, start, remote, hosting), None
    if start.settings is None:
        adoption = plan_adoption(repo, ())
        return start, _plan(repo, start, remote, hosting, stages=adoption.stages), adoption
    policy = start.settings.policy
    models = Reader(repo).state(start.tip, policy).models
    adoption = plan_adoption(repo, [name for name, model in models.items() if model.records])
    undeclared = sorted(set(adoption.stages) - set(policy.stages))
    if undeclared:
        notice = f"declare these stages in {SETTINGS_FILE} to promote into them: {', '.join(undeclared)}"
        adoption = replace(adoption, notices=(*adoption.notices, notice))
    return start, _plan(repo, start, remote, hosting), adoption


def _receipt(
    plan: Plan, branch: str, commit: str | None, adoption: Adoption | None, *, dry_run: bool = False
) -> Receipt:
    if adoption is None:
        return Receipt(plan, branch, commit, dry_run=dry_run)
    summary = "no version of GTO's is left to adopt"
    if adoption.versions:
        summary = f"{len(adoption.versions)} versions and {adoption.moves} stage changes come from GTO's tags"
        kept = plan.notices if plan.changed else ()
        plan = replace(plan, subject=plan.subject or "Adopt what GTO has tagged", notices=kept)
    notices = (*adoption.notices, summary)
    adopted = len(adoption.versions) + adoption.moves
    return Receipt(plan, branch, commit, dry_run=dry_run, notices=notices, adopted=adopted)


def _start(repo: GitRepository, branch: str | None) -> _Start:
    try:
        settings = Reader(repo).settings()
    except NotARegistryError:
        name = branch or repo.head_branch() or DEFAULT_BRANCH
        repo.check_branch_name(name)
        local = repo.branch_tip(name)
        remote = repo.resolve([f"refs/remotes/origin/{name}"])[0]
        return _Start(name, local or remote or repo.head(), local, None)
    return _Start(settings.branch, settings.tip, settings.tip if settings.is_local else None, settings)


def _plan(
    repo: GitRepository,
    start: _Start,
    remote: str | None,
    hosting: Hosting | None,
    *,
    stages: Sequence[StageName] = (),
) -> Plan:
    policy = start.settings.policy if start.settings else Policy(branch=start.branch)
    if stages:
        policy = replace(policy, stages=dict.fromkeys(stages, StageRule()))
    documents, subject = _registry_files(repo, start, remote, policy)
    notices: tuple[str, ...] = ()
    if hosting:
        beside = plan_hosting(repo, start.tip, hosting, policy, start.branch)
        documents |= beside.documents
        notices = beside.notices
    if not documents:
        return Plan(None, notices=("this is a model registry already", *notices))
    body = f"Artifacts are stored in the DVC remote {remote}." if remote else ""
    subject = subject or "Write the workflows of the registry"
    trailers = (("Mreg-Action", "init"),)
    return Plan(None, subject=subject, body=body, trailers=trailers, documents=documents, notices=notices)


def _registry_files(
    repo: GitRepository, start: _Start, remote: str | None, policy: Policy
) -> tuple[dict[str, Document], str]:
    """Returns the registry's own files that are missing, and what writing them is called."""
    documents: dict[str, Document] = {}
    ignore_path = f"{policy.root}/.gitignore"
    names = [SETTINGS_FILE, *_DVC_FILES, ignore_path]
    found = repo.read([f"{start.tip}:{name}" for name in names]) if start.tip else [None] * len(names)
    present = {
        name: data.decode("utf-8", "replace") for name, data in zip(names, found, strict=True) if data is not None
    }
    if start.settings is None:
        if SETTINGS_FILE in present:
            raise RefusedError(
                f"{start.branch} has a {SETTINGS_FILE} already, and the registry branch that it names has none",
                hint=f"git show {shlex.quote(start.branch)}:{SETTINGS_FILE}   # correct branch: there, or merge it",
                details={"file": SETTINGS_FILE, "branch": start.branch},
            )
        documents[SETTINGS_FILE] = settings_text(start.branch, policy.stages).encode()
    if ".dvc/config" not in present or remote is not None:
        existing = {name: text for name, text in present.items() if name in _DVC_FILES}
        for name, text in dvc_files(remote, repo.worktree or repo.git_dir, existing=existing).items():
            documents[name] = text.encode()
    subject = "Set the DVC remote of the registry" if documents else ""
    ignored = ignore_text(present.get(ignore_path))
    if ignored != present.get(ignore_path):
        documents[ignore_path] = ignored.encode()
        subject = subject or "Let DVC see the models of the registry"
    return documents, subject if start.settings else "Make this repository a model registry"


def _refuse_gto_tags(repo: GitRepository) -> None:
    names = [parse_gto_name(tag.name) for tag in repo.tags() if tag.kind == "tag"]
    models = sorted({name.model for name in names if name})
    if models:
        raise RefusedError(
            f"GTO has tagged {len(models)} models here ({', '.join(models[:5])})",
            hint="mreg init --adopt   # writes their versions and stages into the registry",
            details={"models": models},
        )


def settings_text(branch: str, stages: Iterable[StageName]) -> str:
    """Returns a first ``registry.yaml``."""
    lines = [
        "# The settings of this model registry.  Every key is in registry.example.yaml of mreg.",
        "schema: 1",
        f"branch: {branch}            # the branch whose history is the registry",
        "stages:                 # in the order that a version takes",
        *(f"  {stage}: {{}}" for stage in stages),
        "# metrics:              # which way is better, so that `mreg compare` and `mreg best` know",
        "#   auc: {direction: higher, format: .3f}",
        "#   latency_ms: {direction: lower, unit: ms}",
    ]
    return "\n".join(lines) + "\n"

"""Making a registry of a Git repository: the files of ``mreg init``, in one commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mreg.core.layout import SETTINGS_FILE
from mreg.core.names import StageName
from mreg.core.plan import Plan
from mreg.core.policy import DEFAULT_BRANCH, Policy
from mreg.core.results import Receipt
from mreg.core.tags import parse_tag_name
from mreg.errors import NotARegistryError, RefusedError
from mreg.registry.adopting import adopt
from mreg.registry.reader import Reader, Settings
from mreg.registry.writer import encode_document
from mreg.stores.dvc import dvc_files
from mreg.stores.git.publishing import Publisher, RefUpdate
from mreg.stores.git.repository import GitRepository

__all__ = ["initialise"]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DVC_FILES = (".dvc/config", ".dvc/.gitignore", ".dvcignore")
_GITIGNORE = (
    "# `dvc pull` puts the newest version's bytes here; Git keeps the pointers alone.\nartifact/*\n!artifact/*.dvc\n"
)


@dataclass(frozen=True, slots=True)
class _Start:
    branch: str
    tip: str | None
    local: str | None
    settings: Settings | None


def initialise(
    path: Path, *, remote: str | None = None, adopting: bool = False, branch: str | None = None, dry_run: bool = False
) -> Receipt:
    """Makes a registry of the repository around a directory; what is there already stays.

    Args:
        path: A directory in the repository.
        remote: URL of the DVC remote that artifacts go to.
        adopting: Write records and stages for what GTO has tagged.
        branch: The registry branch; by default the one that is checked out.
        dry_run: Decide only.

    Raises:
        NotARegistryError: This is no Git repository.
        RefusedError: GTO has tagged models here and ``adopting`` was not asked for.
    """
    repo = GitRepository(path)
    if remote is not None and not _URL.match(remote):
        remote = str((path / remote).absolute())
    if dry_run:
        start = _start(repo, branch)
        return Receipt(_plan(repo, start, remote), start.branch, None, dry_run=True)
    publisher = Publisher(repo)
    with publisher.locked():
        start = _start(repo, branch)
        if start.settings is None and not adopting:
            _refuse_gto_tags(repo)
        plan = _plan(repo, start, remote)
        commit, tip = None, start.tip
        if plan.changed:
            files = {name: encode_document(document) for name, document in plan.documents.items()}
            commit = tip = publisher.commit(
                parent=start.tip, files=files, author=repo.author(), committer=repo.committer(), message=plan.message
            )
            update = RefUpdate(f"refs/heads/{start.branch}", commit, start.local)
            publisher.publish([update], paths=tuple(files), reason=f"mreg: {plan.subject}")
    if not adopting or tip is None:
        return Receipt(plan, start.branch, commit)
    return adopt(repo, Receipt(plan, start.branch, commit))


def _start(repo: GitRepository, branch: str | None) -> _Start:
    try:
        settings = Reader(repo).settings()
    except NotARegistryError:
        name = branch or repo.head_branch() or DEFAULT_BRANCH
        repo.check_branch_name(name)
        local = repo.branch_tip(name)
        remote = repo.resolve([f"refs/remotes/origin/{name}"])[0]
        head = repo.head() if repo.head_branch() is None else None
        return _Start(name, local or remote or head, local, None)
    return _Start(settings.branch, settings.tip, settings.tip if settings.is_local else None, settings)


def _plan(repo: GitRepository, start: _Start, remote: str | None) -> Plan:
    policy = start.settings.policy if start.settings else Policy(branch=start.branch)
    documents: dict[str, bytes] = {}
    if start.settings is None:
        documents[SETTINGS_FILE] = settings_text(start.branch, tuple(policy.stages)).encode()
    ignore_path = f"{policy.root}/.gitignore"
    names = [*_DVC_FILES, ignore_path]
    found = repo.read([f"{start.tip}:{name}" for name in names]) if start.tip else [None] * len(names)
    present = {
        name: data.decode("utf-8", "replace") for name, data in zip(names, found, strict=True) if data is not None
    }
    if ".dvc/config" not in present or remote is not None:
        existing = {name: text for name, text in present.items() if name != ignore_path}
        for name, text in dvc_files(remote, repo.worktree or repo.git_dir, existing=existing).items():
            documents[name] = text.encode()
    if ignore_path not in present:
        documents[ignore_path] = _GITIGNORE.encode()
    subject = (
        "Make this repository a model registry" if start.settings is None else "Set the DVC remote of the registry"
    )
    body = f"Artifacts are stored in the DVC remote {remote}." if remote else ""
    notices = () if documents else ("this is a model registry already",)
    return Plan(
        None, subject=subject, body=body, trailers=(("Mreg-Action", "init"),), documents=documents, notices=notices
    )


def _refuse_gto_tags(repo: GitRepository) -> None:
    tags = [tag for tag in repo.tags() if parse_tag_name(tag.name) and tag.kind == "tag"]
    if tags:
        models = sorted({name.model for tag in tags if (name := parse_tag_name(tag.name))})
        raise RefusedError(
            f"GTO has tagged {len(models)} models here ({', '.join(models[:5])})",
            hint="mreg init --adopt   # writes their versions and stages into the registry",
            details={"models": models},
        )


def settings_text(branch: str, stages: tuple[StageName, ...]) -> str:
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

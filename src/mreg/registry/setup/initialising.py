"""Making a registry of a Git repository: the files of ``mreg init``, in one commit, and what GTO tagged, in more."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.gto import parse_gto_name
from mreg.core.layout import SETTINGS_FILE
from mreg.core.names import StageName
from mreg.core.results import Receipt
from mreg.core.settings.policy import DEFAULT_BRANCH, Policy, StageRule
from mreg.core.write_listener import WriteListener
from mreg.core.writing.plan import Document, Plan
from mreg.errors import NotARegistryError, RefusedError, UsageError
from mreg.registry.reading.reader import Reader, Settings
from mreg.registry.setup.adopting import Adoption, plan_adoption
from mreg.registry.setup.gitignore import ignore_text
from mreg.registry.setup.hosting import Hosting, plan_hosting
from mreg.registry.setup.remote import CONFIG, DVC_FILES, Storage, tell_remote
from mreg.registry.writing.view import encode_document
from mreg.stores import yaml
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import Publisher, RefUpdate

__all__ = ["initialise"]


class _Start(Struct, frozen=True):
    branch: str
    tip: str | None
    local: str | None
    settings: Settings | None
    pointing: str | None = None
    """The branch where readers look, and that must name ``branch``; ``None`` where they find it without."""


def initialise(  # noqa: PLR0913 - every choice of `mreg init`
    path: Path,
    *,
    remote: str | None = None,
    remote_options: Mapping[str, str] | None = None,
    adopting: bool = False,
    branch: str | None = None,
    hosting: Hosting | None = None,
    dry_run: bool = False,
    listener: WriteListener | None = None,
) -> Receipt:
    """Makes a registry of the repository around a directory; what is there already stays.

    Args:
        path: A directory in the repository.
        remote: URL of the DVC remote that artifacts go to.
        remote_options: Of that remote, or of the one that is there, by DVC's names; an empty value takes one away.
        adopting: Write records and stages for what GTO has tagged.
        branch: The registry branch of a new registry; by default the one that is checked out.
        hosting: For which Git hosts to write workflows, if any.
        dry_run: Decide only.
        listener: Is told whom it waits for.

    Raises:
        NotARegistryError: This is no Git repository.
        RefusedError: GTO has tagged models here and ``adopting`` was not asked for; or nothing would find the branch.
        UsageError: The registry is there, on another branch; or the remote or an option of it must not be committed.
    """
    repo = GitRepository(path)
    repo.listener = listener
    target = Storage.parse(remote, remote_options or {}, path)
    if dry_run:
        start, plan, adoption = _decide(repo, target, branch, hosting, adopting=adopting)
        return _receipt(plan, start.branch, None, adoption, dry_run=True)
    publisher = Publisher(repo)
    with publisher.locked():
        start, plan, adoption = _decide(repo, target, branch, hosting, adopting=adopting)
        notices = target.make_folder()
        tip = _land(publisher, repo, start, plan, adoption)
    plan = replace(plan, notices=(*plan.notices, *notices))
    return _receipt(plan, start.branch, tip if tip != start.tip else None, adoption)


def _land(
    publisher: Publisher, repo: GitRepository, start: _Start, plan: Plan, adoption: Adoption | None
) -> str | None:
    """Commits what was decided, and returns where the registry branch is then."""
    paths, tip = list(plan.documents), start.tip
    files = {name: encode_document(document) for name, document in plan.documents.items()}
    pointer, pointing_files = _point(publisher, repo, start, files)
    if pointer and pointer.old == tip and start.local is None:
        tip = pointer.new  # what begins on top of it can be merged with it
    if plan.changed:
        tip = publisher.commit(
            parent=tip, files=files, author=repo.author(), committer=repo.committer(), message=plan.message
        )
    if adoption and adoption.versions and tip:
        layout = (start.settings.policy if start.settings else Policy()).layout
        tip, adopted = adoption.commit(publisher, repo, tip, layout)
        paths += adopted
    if tip and tip != start.tip:
        updates = [RefUpdate(f"refs/heads/{start.branch}", tip, start.local)]
        if pointer:  # the first is the one that may be checked out
            updates, paths = [pointer, *updates], pointing_files
        publisher.publish(updates, paths=tuple(paths), reason=f"mreg: {plan.subject or 'adopt from GTO'}")
    return tip


def _decide(
    repo: GitRepository, target: Storage, branch: str | None, hosting: Hosting | None, *, adopting: bool
) -> tuple[_Start, Plan, Adoption | None]:
    start = _start(repo, branch)
    if not adopting:
        if start.settings is None:
            _refuse_gto_tags(repo)
        return start, _plan(repo, start, target, hosting), None
    if start.settings is None:
        adoption = plan_adoption(repo, ())
        return start, _plan(repo, start, target, hosting, stages=adoption.stages), adoption
    policy = start.settings.policy
    models = Reader(repo).state(start.tip, policy).models
    adoption = plan_adoption(repo, [name for name, model in models.items() if model.records])
    undeclared = sorted(set(adoption.stages) - set(policy.stages))
    if undeclared:
        notice = f"declare these stages in {SETTINGS_FILE} to promote into them: {', '.join(undeclared)}"
        adoption = replace(adoption, notices=(*adoption.notices, notice))
    return start, _plan(repo, start, target, hosting), adoption


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
        head = repo.head_branch()
        name = branch or head or DEFAULT_BRANCH
        repo.check_branch_name(name)
        local = repo.branch_tip(name)
        remote = repo.resolve([f"refs/remotes/origin/{name}"])[0]
        return _Start(name, local or remote or repo.head(), local, None, _find_pointing(repo, name, head))
    if branch not in {None, settings.branch}:
        raise UsageError(
            f"the registry branch is {settings.branch}, and init does not move a registry to another",
            hint=f"let {branch} have what {settings.branch} has, then set branch: {branch} in {SETTINGS_FILE} on both",
            details={"branch": branch, "registry": settings.branch},
        )
    return _Start(settings.branch, settings.tip, settings.tip if settings.is_local else None, settings)


def _find_pointing(repo: GitRepository, name: str, head: str | None) -> str | None:
    """Returns the branch that must name the registry branch; ``None`` where readers look there anyway."""
    if name in {DEFAULT_BRANCH, head}:
        return None
    found = DEFAULT_BRANCH if repo.branch_tip(DEFAULT_BRANCH) else head
    if found is None:
        raise RefusedError(
            f"nothing would find a registry on {name}: no branch is checked out that could point to it",
            hint=f"git switch -c {shlex.quote(name)} && mreg init",
            details={"branch": name},
        )
    return found


def _point(
    publisher: Publisher, repo: GitRepository, start: _Start, files: Mapping[str, bytes | None]
) -> tuple[RefUpdate | None, list[str]]:
    """Commits the name of the registry branch where readers look, if they must be told; and what the commit changes."""
    if start.pointing is None:
        return None, []
    tip = repo.branch_tip(start.pointing)
    # DVC's own too: there as well the cache is to be none of Git's.
    own = {name: files[name] for name in DVC_FILES if name in files} if tip == start.tip else {}
    text = f"# The model registry of this repository is on another branch.\nschema: 1\n{_branch_line(start.branch)}\n"
    own[SETTINGS_FILE] = text.encode()
    plan = Plan(None, subject=f"Name {start.branch} as the model registry", trailers=(("Mreg-Action", "init"),))
    commit = publisher.commit(
        parent=tip, files=own, author=repo.author(), committer=repo.committer(), message=plan.message
    )
    publisher.flush()
    return RefUpdate(f"refs/heads/{start.pointing}", commit, tip), list(own)


def _plan(
    repo: GitRepository,
    start: _Start,
    target: Storage,
    hosting: Hosting | None,
    *,
    stages: Sequence[StageName] = (),
) -> Plan:
    policy = start.settings.policy if start.settings else Policy(branch=start.branch)
    if stages:
        policy = replace(policy, stages=dict.fromkeys(stages, StageRule()))
    documents, subject, notices = _registry_files(repo, start, target, policy)
    if hosting:
        beside = plan_hosting(repo, start.tip, hosting, policy, start.branch)
        documents |= beside.documents
        notices = (*notices, *beside.notices)
    if not documents:
        return Plan(None, notices=("this is already a model registry", *notices))
    body = f"Artifacts are stored in the DVC remote {target.url}." if target.url else ""
    subject = subject or "Write the workflows of the registry"
    trailers = (("Mreg-Action", "init"),)
    return Plan(None, subject=subject, body=body, trailers=trailers, documents=documents, notices=notices)


def _registry_files(
    repo: GitRepository, start: _Start, target: Storage, policy: Policy
) -> tuple[dict[str, Document], str, tuple[str, ...]]:
    """Returns the registry's own files that are missing, what writing them is called, and what to know of it."""
    documents: dict[str, Document] = {}
    ignore_path = f"{policy.root}/.gitignore"
    names = [SETTINGS_FILE, *DVC_FILES, ignore_path]
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
    if CONFIG not in present or target.is_named:
        documents |= target.plan_files(repo, {name: present[name] for name in DVC_FILES if name in present})
    subject = target.subject if documents else ""
    ignored = ignore_text(present.get(ignore_path))
    if ignored != present.get(ignore_path):
        documents[ignore_path] = ignored.encode()
        subject = subject or "Let DVC see the models of the registry"
    notices = tell_remote(repo, present.get(CONFIG), documents.get(CONFIG))
    if start.settings:
        return documents, subject, notices
    return documents, "Make this repository a model registry", (*notices, *_tell_branch(repo, start))


def _tell_branch(repo: GitRepository, start: _Start) -> tuple[str, ...]:
    if start.pointing:
        return (
            f"{SETTINGS_FILE} on {start.pointing} names {start.branch}: push both, so that clones find the registry",
        )
    if start.branch != DEFAULT_BRANCH and repo.branch_tip(DEFAULT_BRANCH):
        other = f"mreg init --branch {DEFAULT_BRANCH} makes it on {DEFAULT_BRANCH}"
        return (f"{start.branch} is the registry branch from now on, and not seen from {DEFAULT_BRANCH}: {other}",)
    return ()


def _refuse_gto_tags(repo: GitRepository) -> None:
    names = [parse_gto_name(tag.name) for tag in repo.tags() if tag.kind == "tag"]
    models = sorted({name.model for name in names if name})
    if models:
        amount = "1 model" if len(models) == 1 else f"{len(models)} models"
        raise RefusedError(
            f"GTO has tagged {amount} here ({', '.join(models[:5])})",
            hint="mreg init --adopt   # writes their versions and stages into the registry",
            details={"models": models},
        )


def settings_text(branch: str, stages: Iterable[StageName]) -> str:
    """Returns a first ``registry.yaml``."""
    lines = [
        "# The settings of this model registry.  Every key is in registry.example.yaml of mreg.",
        "schema: 1",
        f"{_branch_line(branch)}            # the branch whose history is the registry",
        "stages:                 # in the order that a version takes",
        *(f"  {stage}: {{}}" for stage in stages),
        "# metrics:              # which way is better, so that `mreg compare` and `mreg best` know",
        "#   auc: {direction: higher, format: .3f}",
        "#   latency_ms: {direction: lower, unit: ms}",
    ]
    return "\n".join(lines) + "\n"


def _branch_line(branch: str) -> str:
    return yaml.dump({"branch": branch}).rstrip("\n")  # in quotes where it would be a number

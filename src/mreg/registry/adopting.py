"""Adopting a repository that GTO has tagged: its versions become records, its stage tags transitions.

One commit brings all records; then each stage tag becomes one commit, in GTO's order, that names the tag it was read
from.  So ``history`` and ``rollback`` know what happened before mreg, and no tag of GTO's is written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mreg.core.history import Lane
from mreg.core.layout import DVC_FILE, Layout
from mreg.core.manifest import Adopted, StageEntry, format_stage
from mreg.core.names import ModelName, StageName, Version
from mreg.core.plan import Document
from mreg.core.record import Artifact, Code, Record, format_record
from mreg.core.results import Receipt
from mreg.core.tags import TagName, parse_tag_name, transition_subject
from mreg.errors import DataError
from mreg.registry.reader import Reader
from mreg.registry.writer import encode_document
from mreg.stores import yaml
from mreg.stores.dvc_yaml import find_artifact
from mreg.stores.git.objects import Identity
from mreg.stores.git.publishing import Publisher, RefUpdate
from mreg.stores.git.repository import GitRepository

__all__ = ["adopt"]


@dataclass(frozen=True, slots=True)
class _GtoTag:
    name: str
    says: TagName
    commit: str
    tagger: Identity

    @property
    def adopted(self) -> Adopted:
        return Adopted(self.name, self.tagger.when, self.commit)


def adopt(repo: GitRepository, made: Receipt) -> Receipt:
    """Writes what GTO's tags say into the registry; what it knows already stays.

    Args:
        repo: The repository, which is a registry by now.
        made: The receipt of making it, which this one extends.
    """
    publisher = Publisher(repo)
    with publisher.locked():
        reader = Reader(repo)
        settings = reader.settings()
        layout = settings.policy.layout
        known = reader.state(settings.tip, settings.policy).models
        tags, notices = _read_tags(repo)
        new = [tag for tag in tags if not (tag.says.model in known and known[tag.says.model].records)]
        versions = {(tag.says.model, tag.says.version): tag for tag in new if tag.says.version}
        if not versions:
            return replace(made, notices=(*made.notices, *notices, "no version of GTO's is left to adopt"))
        tip = _commit_records(publisher, repo, settings.tip, layout, versions)
        stages = {tag.says.stage for tag in new if tag.says.stage}
        tip, moved = _commit_stages(publisher, repo, tip, layout, new, versions)
        undeclared = sorted(stage for stage in stages if stage not in settings.policy.stages)
        if undeclared:
            notices = (*notices, f"declare these stages in registry.yaml to promote into them: {', '.join(undeclared)}")
        local = settings.tip if settings.is_local else None
        update = RefUpdate(f"refs/heads/{settings.branch}", tip, local)
        publisher.flush()
        paths = [
            change.path
            for commit in repo.log(tip, [layout.root, DVC_FILE], since=settings.tip)
            for change in commit.changes
        ]
        publisher.publish([update], paths=tuple(dict.fromkeys(paths)), reason="mreg init --adopt")
    summary = f"adopted {len(versions)} versions and {moved} stage changes of GTO's"
    return replace(made, commit=tip, adopted=len(versions) + moved, notices=(*made.notices, *notices, summary))


def _read_tags(repo: GitRepository) -> tuple[list[_GtoTag], tuple[str, ...]]:
    refs = [ref for ref in repo.tags() if any(mark in ref.name for mark in "@#")]
    contents = repo.read([ref.oid for ref in refs])
    tags, notices = [], []
    for ref, content in zip(refs, contents, strict=True):
        says = parse_tag_name(ref.name)
        if ref.kind != "tag" or says is None or content is None:
            notices.append(
                f"{ref.name} was left out: "
                + ("its name is outside mreg's grammar" if says is None else "it is not annotated")
            )
            continue
        tagger = next(
            (line[7:] for line in content.decode("utf-8", "replace").split("\n") if line.startswith("tagger ")), ""
        )
        if tagger:
            tags.append(_GtoTag(ref.name, says, ref.target, Identity.parse(tagger)))
    # GTO takes the order of stage tags from the tagger's second; the number breaks ties.
    return sorted(tags, key=lambda tag: (tag.tagger.time, tag.says.number, tag.name)), tuple(notices)


def _commit_records(
    publisher: Publisher,
    repo: GitRepository,
    tip: str,
    layout: Layout,
    versions: Mapping[tuple[ModelName, Version], _GtoTag],
) -> str:
    files: dict[str, Document] = {}
    for (model, version), tag in sorted(versions.items(), key=lambda item: item[0]):
        record = Record(
            model=model,
            version=version,
            artifact=_artifact_at(repo, tag.commit, model),
            code=Code(commit=tag.commit),
            adopted=tag.adopted,
        )
        files[layout.record(model, version)] = format_record(record)
    models = len({model for model, _ in versions})
    return publisher.commit(
        parent=tip,
        files={path: encode_document(document) for path, document in files.items()},
        author=repo.author(),
        committer=repo.committer(),
        message=f"Adopt {len(files)} versions of {models} models from GTO\n\nMreg-Action: adopt\n",
    )


def _commit_stages(
    publisher: Publisher,
    repo: GitRepository,
    tip: str,
    layout: Layout,
    tags: list[_GtoTag],
    versions: Mapping[tuple[ModelName, Version], _GtoTag],
) -> tuple[str, int]:
    by_commit = {(model, tag.commit): version for (model, version), tag in versions.items()}
    lanes: dict[tuple[ModelName, StageName], Lane] = {}
    author, committer, moved = repo.author(), repo.committer(), 0
    for tag in tags:
        version = by_commit.get((tag.says.model, tag.commit))
        if tag.says.stage is None or version is None:
            continue
        lane = lanes.setdefault((tag.says.model, tag.says.stage), Lane())
        source, target = lane.current, None if tag.says.is_clear else version
        if target == source or (tag.says.is_clear and source != version):
            continue
        action = lane.apply(target)
        entry = StageEntry(
            target, replaces=source, has_replaces=True, by=tag.tagger.email, at=tag.tagger.when, adopted=tag.adopted
        )
        subject = transition_subject(action, tag.says.model, tag.says.stage, source, target)
        # Each commit builds on the tree of the one before, which must be readable.
        publisher.flush()
        tip = publisher.commit(
            parent=tip,
            files={layout.stage(tag.says.model, tag.says.stage): encode_document(format_stage(entry))},
            author=author,
            committer=committer,
            message=f"{subject}\n\nAdopted from GTO's tag {tag.name}\n\nMreg-Action: adopt\n",
        )
        moved += 1
    return tip, moved


def _artifact_at(repo: GitRepository, commit: str, model: ModelName) -> Artifact:
    """Returns what DVC knew of a model's bytes at a commit; a bare name where it knew nothing."""
    (dvc_yaml,) = repo.read([f"{commit}:{DVC_FILE}"])
    path = _artifact_path(dvc_yaml, model)
    name = path.rstrip("/").rpartition("/")[2] or "model"
    pointer, lock = repo.read([f"{commit}:{path}.dvc", f"{commit}:dvc.lock"])
    out = _find_out(pointer, name) or _find_out(lock, path) or {}
    md5, size, count = out.get("md5"), out.get("size"), out.get("nfiles")
    return Artifact(
        path=name,
        size=size if isinstance(size, int) else 0,
        md5=md5 if isinstance(md5, str) else "",
        sha256="",
        files=count if isinstance(count, int) else None,
    )


def _artifact_path(dvc_yaml: bytes | None, model: ModelName) -> str:
    path = find_artifact(dvc_yaml, model).get("path")
    return path if isinstance(path, str) and path else "model"


def _find_out(data: bytes | None, path: str) -> dict[str, object] | None:
    document = _load(data)
    stages = document.get("stages")
    holders = [document, *(stages.values() if isinstance(stages, dict) else ())]
    for holder in holders:
        outs = holder.get("outs") if isinstance(holder, dict) else None
        for out in outs if isinstance(outs, list) else ():
            if isinstance(out, dict) and out.get("path") == path:
                return out
    return None


def _load(data: bytes | None) -> dict[str, object]:
    try:
        document = yaml.load_foreign(data or b"", DVC_FILE)
    except DataError:
        return {}
    return document if isinstance(document, dict) else {}

"""The plan of a registration: one new version, its record, its pointer, and perhaps its first stage.

Rules:
    * A version is written once; its number is the next one, or one asked for that is not there yet.
    * Bytes that equal the newest version's are refused unless forced.
    * A new model's name fits ``naming:`` and is no folder of another model's.
    * What enters a stage has a reason: the one that is given, else the notes.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from mreg.core.history.record import Record, format_record
from mreg.core.history.state import ModelState
from mreg.core.history.timeline import Lane
from mreg.core.layout import DVC_FILE
from mreg.core.names import ModelName, StageName, avoid_folder_clash, find_folder_clash
from mreg.core.settings.policy import Policy
from mreg.core.writing.plan import Document, Plan, Statement
from mreg.core.writing.transitions import plan_promote
from mreg.errors import NamingError, UnchangedArtifactError, UsageError

__all__ = ["Content", "check_new_model", "plan_register", "refuse_unchanged"]


class Content(Struct, frozen=True):
    """The files that come with a record."""

    pointer_path: str
    pointer: bytes
    dvc_yaml: bytes
    file_list: bytes | None = None


def check_new_model(policy: Policy, model: ModelName, neighbours: Sequence[ModelName]) -> None:
    """Refuses a model's name that cannot be in this registry.

    Args:
        policy: The settings in force.
        model: The new model.
        neighbours: The models in folders above and below its own.

    Raises:
        NamingError: ``naming:`` does not allow it, or its folder is, or holds, another model's.
    """
    policy.check_name(model)
    clash = find_folder_clash(model, neighbours)
    if clash:
        near = avoid_folder_clash(model, neighbours)
        near = near if near and policy.allows_name(near) else None
        raise NamingError(
            f"{model!r} cannot be a model beside {clash!r}: one would be a folder of the other",
            hint=f"choose another name: {near}" if near else f"choose a name neither above nor below {clash}",
            details={"model": model, "other": clash},
        )


def refuse_unchanged(
    state: ModelState, newest: Record | None, record: Record, *, stage: StageName | None, force: bool
) -> None:
    """Refuses bytes that are the newest version's.

    Raises:
        RefusedError: They are, and that was not forced; the hint promotes that version where a stage was asked for.
    """
    if force or newest is None or not newest.artifact.sha256 or newest.artifact.sha256 != record.artifact.sha256:
        return
    hint = "--force registers them as a new version anyway"
    if stage:
        hint = f"mreg promote {state.model}@{newest.version} {stage} --reason 'why'   # {hint}"
    raise UnchangedArtifactError(
        f"{record.artifact.path} has the same bytes as {state.model} {newest.version}: nothing was registered",
        hint=hint,
        details={"model": state.model, "version": str(newest.version), "sha256": record.artifact.sha256},
    )


def plan_register(  # noqa: PLR0913 - all that a version is made of
    policy: Policy,
    state: ModelState,
    lane: Lane,
    record: Record,
    content: Content,
    statement: Statement,
    *,
    stage: StageName | None,
) -> Plan:
    """Returns the plan that adds a version, and with ``stage`` promotes it in the same commit.

    Raises:
        RefusedError: The stage's rule says no.
        NotFoundError: The stage is not declared.
        UsageError: It goes to a stage, and there is neither a reason nor a note.
    """
    layout = policy.layout
    documents: dict[str, Document] = {
        layout.record(record.model, record.version): format_record(record),
        content.pointer_path: content.pointer,
        DVC_FILE: content.dvc_yaml,
    }
    if content.file_list is not None:
        documents[layout.file_list(record.model, record.version)] = content.file_list
    for path in state.pointers:
        documents.setdefault(path, None)
    subject = f"Register {record.model} {record.version}"
    plan = Plan(
        model=record.model,
        version=record.version,
        subject=subject,
        body=record.notes,
        trailers=(
            ("Mreg-Action", "register"),
            ("Mreg-Model", record.model),
            ("Mreg-Version", str(record.version)),
        ),
        documents=documents,
        record=record,
    )
    if stage is None:
        return plan
    grown = replace(state, records={**state.records, record.version: ""})
    policy.stage(stage)
    reason = statement.reason or record.notes
    if not reason:
        raise UsageError(
            f"a reason is needed to put {record.model} into {stage}: the history records it",
            hint="--reason 'why', or --notes, which says it where there is no reason",
        )
    moved = plan_promote(policy, grown, lane, record.version, stage, replace(statement, reason=reason))
    return replace(
        moved,
        subject=f"{subject} and promote it to {stage}",
        body="\n\n".join(dict.fromkeys(part for part in (record.notes, reason) if part)),
        documents={**documents, **moved.documents},
        record=record,
    )

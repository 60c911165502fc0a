"""The view that a plan is made from: one model on the branch that the commit will go to."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from mreg.core.history.record import Record
from mreg.core.history.state import ModelState, RegistryState
from mreg.core.history.timeline import Commit, Lane, Timeline
from mreg.core.names import ModelName, StageName, Version
from mreg.core.settings.policy import Policy
from mreg.core.writing.plan import Document, Plan, Statement
from mreg.errors import DataError
from mreg.registry.reading.originals import refuse_change
from mreg.registry.reading.reader import Reader
from mreg.registry.reading.seals import read_records
from mreg.registry.writing.signing import Signing
from mreg.stores import yaml
from mreg.stores.git.objects import Identity

__all__ = ["View", "encode_document", "encode_files"]


class View(Struct, frozen=True):
    """What a plan is made from: one model on the branch that the commit will go to."""

    reader: Reader
    policy: Policy
    registry: RegistryState
    """The model, and those in folders below its own, if any."""
    model: ModelState
    """Empty where the model is not registered."""
    timeline: Timeline
    author: Identity
    committer: Identity
    rules: Policy
    """In force for the commit: those of the registry branch, wherever it goes."""
    signing: Signing
    landed: str
    """Tip of the registry branch."""
    is_branch: bool = False
    """True where the commit goes to another branch."""
    commits: Sequence[Commit] = ()
    """What ``timeline`` was folded from."""

    def registered(self) -> ModelState:
        """Returns the model if it is registered.

        Raises:
            NotFoundError: It is not; the hint names the nearest that is.
        """
        if self.model.records:
            return self.model
        return self.reader.state(self.registry.commit, self.policy).model(self.model.model)

    def record(self, version: Version) -> Record:
        """Returns a version's record as it was registered.

        Raises:
            DataError: It cannot be read, or names another version.
        """
        key = (self.model.model, version)
        found = read_records(self.reader, self.timeline, self.policy.layout, [key])[key]
        if isinstance(found, DataError):
            raise found
        return found

    def require_record(self, version: Version | None, *, is_forward: bool = True) -> None:
        """Passes a version whose record can be read: nobody could pull another.

        Args:
            version: ``None`` passes.
            is_forward: True where the record must still say what was registered; an outage is no time for that.

        Raises:
            DataError: It cannot be read, names another version, or was changed.
        """
        if version is None or version not in self.model.records:
            return
        self.record(version)
        if is_forward and self.timeline.records[self.model.model, version] != self.model.records[version]:
            raise refuse_change(self.policy.layout.record(self.model.model, version), self.commits)

    def once(self) -> list[Version]:
        """Returns every version of the model that history knows, those whose record was deleted since included."""
        return [version for model, version in self.timeline.appearances if model == self.model.model]

    def neighbours(self) -> list[ModelName]:
        """Returns the other models in folders above and below this one's; one Git call."""
        name = self.model.model
        above = [ModelName(name[:at]) for at, char in enumerate(name) if char == "/"]
        folders = [f"{self.registry.commit}:{self.policy.layout.model(each)}/versions" for each in above]
        found = [each for each, oid in zip(above, self.reader.repo.resolve(folders), strict=True) if oid]
        return found + [each for each, state in self.registry.models.items() if each != name and state.records]

    def lane(self, stage: StageName) -> Lane:
        """Returns the replayed history of one stage of the model."""
        return self.timeline.lane(self.model.model, stage)

    def statement(self, reason: str, approved_by: Sequence[str] = ()) -> Statement:
        """Returns the statement of whoever commits now."""
        return Statement(reason.strip(), self.author.email, self.author.when, tuple(approved_by))


def encode_files(plan: Plan) -> dict[str, bytes | None]:
    """Returns the files that a plan writes, as bytes; ``None`` deletes."""
    return {path: encode_document(document) for path, document in plan.documents.items()}


def encode_document(document: Document) -> bytes | None:
    """Returns a document as the bytes of its file."""
    if document is None or isinstance(document, bytes):
        return document
    return yaml.dump(document).encode()

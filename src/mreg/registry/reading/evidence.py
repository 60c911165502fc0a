"""Evidence: what cases are decided by besides the history of paths: records, approvals, signatures, scans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import islice

from mreg.core.history.record import Record, parse_record
from mreg.core.history.statements import Namespace
from mreg.core.history.timeline import ApprovalFile, Commit
from mreg.core.layout import Layout, PathKind
from mreg.core.names import ModelName, Version
from mreg.core.review.approvals import Approval, Vote, encode_approval, parse_approval
from mreg.core.review.gates import Scan
from mreg.core.settings.people import Proof
from mreg.errors import DataError
from mreg.registry.reading.reader import Reader
from mreg.stores import yaml
from mreg.stores.git.parsing import authors_of

__all__ = ["StoredEvidence"]


class StoredEvidence:
    """The ``core.cases.Evidence`` of one repository, read when it is asked for, and once."""

    def __init__(
        self,
        reader: Reader,
        layout: Layout,
        tip: str | None,
        *,
        folders: Iterable[str] = (),
        planned: Mapping[str, bytes] | None = None,
        scan: Callable[[Record], Scan | None] | None = None,
    ) -> None:
        """Keeps where to look; nothing is read yet.

        Args:
            reader: The repository.
            layout: Where the registry's files are.
            tip: The commit whose whole history tells who committed an approval; ``None`` where there is none.
            folders: The models' folders that matter; all where empty.
            planned: Contents by object id of blobs that are not written yet.
            scan: Scans a version's bytes; by default nobody does.
        """
        self._reader = reader
        self._layout = layout
        self._tips = [tip] if tip else []
        self._folders = list(folders) or [layout.root]
        self._blobs: dict[str, bytes | None] = dict(planned or {})
        self._records: dict[str, Record | None] = {}
        self._approvals: dict[str, Approval | DataError] = {}
        self._votes: dict[tuple[str, str], Vote] = {}
        self._scan = scan

    def follow(self, tip: str) -> None:
        """Lets the history of another commit tell too who committed an approval."""
        self._tips.append(tip)

    def prefetch(self, commits: Iterable[Commit]) -> None:
        """Reads the records and approvals that commits bring, in one Git call."""
        kinds = {PathKind.RECORD, PathKind.APPROVAL}
        changes = (change for commit in commits for change in commit.changes if change.new)
        self.prefetch_blobs(
            c.new for c in changes if c.new and (place := self._layout.locate(c.path)) and place.kind in kinds
        )

    def prefetch_blobs(self, oids: Iterable[str]) -> None:
        """Reads records and approvals by their object ids, in one Git call."""
        missing = [oid for oid in dict.fromkeys(oids) if oid not in self._blobs and oid not in self._records]
        self._blobs.update(zip(missing, self._reader.repo.read(missing), strict=True))

    def supply(self, blobs: Mapping[str, bytes]) -> None:
        """Takes the contents of some blobs, by object id."""
        self._blobs.update(blobs)

    def forget(self, *, most: int) -> None:
        """Lets go of the contents of blobs, and of all records but the newest: what is asked for again is read again.

        Args:
            most: So many records stay.
        """
        self._blobs.clear()
        for oid in list(islice(self._records, max(0, len(self._records) - most))):
            del self._records[oid]

    def record(self, model: ModelName, version: Version, oid: str) -> Record | None:
        """Returns the record in a blob; ``None`` where it cannot be read, or is another's."""
        if oid not in self._records:
            path = self._layout.record(model, version)
            try:
                self._records[oid] = yaml.read(self._read(oid) or b"", path, parse_record)
            except DataError:
                self._records[oid] = None
        found = self._records[oid]
        return found if found and (found.model, found.version) == (model, version) else None

    def vote(self, file: ApprovalFile) -> Vote:
        """Returns an approval, who committed it, and what its signature shows."""
        key = (file.path, file.oid)
        if key not in self._votes:
            self._votes[key] = self._open_vote(file)
        return self._votes[key]

    def _open_vote(self, file: ApprovalFile) -> Vote:
        found = self._approval(file)
        authors = self._authors.get((file.path, file.oid)) or authors_of(file.commit)
        if isinstance(found, DataError):
            return Vote(file.path, None, fault=found.message, authors=authors)
        proof = self.proof(encode_approval(found), Namespace.APPROVAL, found.signature) if found.signature else None
        return Vote(file.path, found, authors=authors, proof=proof)

    def proof(self, statement: bytes, kind: Namespace, signature: str) -> Proof:
        """Returns what a signature over a statement shows."""
        from mreg.stores.signatures.sshsig import verify  # noqa: PLC0415 - most registries have no signature

        return verify(statement, kind.value, signature)

    def scan(self, record: Record) -> Scan | None:
        """Returns what a scanner says of a version's bytes; ``None`` where nobody scans."""
        return self._scan(record) if self._scan else None

    def _approval(self, file: ApprovalFile) -> Approval | DataError:
        if file.oid not in self._approvals:
            try:
                self._approvals[file.oid] = yaml.read(self._read(file.oid) or b"", file.path, parse_approval)
            except DataError as error:
                self._approvals[file.oid] = error
        return self._approvals[file.oid]

    def _read(self, oid: str) -> bytes | None:
        if oid not in self._blobs:
            (self._blobs[oid],) = self._reader.repo.read([oid])
        return self._blobs[oid]

    @cached_property
    def _authors(self) -> Mapping[tuple[str, str], frozenset[str]]:
        # Not those of the first parents alone: what a merge brings was committed on its branch.
        found: dict[tuple[str, str], frozenset[str]] = {}
        for tip in self._tips:
            for key, who in self._reader.repo.authors_of(tip, self._folders, under="approvals").items():
                found[key] = who | found.get(key, frozenset())
        return found

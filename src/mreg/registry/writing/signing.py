"""Signing statements: transitions and approvals, with the SSH key that Git is configured to sign with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from msgspec.structs import replace

from mreg.core.fields import Fields
from mreg.core.history.manifest import StageEntry, format_stage, parse_stage
from mreg.core.history.record import Record
from mreg.core.history.statements import Namespace, artifact_name, encode_transition
from mreg.core.layout import PathKind
from mreg.core.names import ARCHIVED, StageName
from mreg.core.settings.people import Proof
from mreg.core.settings.policy import Policy, Signatures
from mreg.core.writing.plan import Document, Plan
from mreg.registry.reading.reader import Reader
from mreg.stores.signatures.keys import Signer, get_signer, signs_by_default

__all__ = ["Signing"]

_UNMADE = "planned"
"""What stands for a signature that a dry run does not make."""


class Signing:
    """Signs statements with the key that Git is configured to sign with, where the rules ask for it or Git does."""

    def __init__(self, reader: Reader, rules: Policy, *, dry_run: bool) -> None:
        """Keeps by which rules; no key is looked for before one is needed."""
        self._repo = reader.repo
        self._rules = rules
        self.dry_run = dry_run
        """While this is true, nothing is signed, and what would be counts as signed."""

    def sign(self, stage: StageName, statement: bytes, kind: Namespace) -> str:
        """Returns the signature of a statement about a stage; empty where none is asked for.

        Raises:
            IdentityError: One is asked for, and Git is not configured to sign, or the key cannot be used.
        """
        rule = self._rules.stages.get(stage)
        is_required = rule is not None and rule.signatures is Signatures.REQUIRED
        if not is_required and not self._signs_by_default:
            return ""
        if self.dry_run:
            self.signer.key()  # a key that is not there is said now
        return _UNMADE if self.dry_run else self.signer.sign(statement, kind.value)

    def sign_plan(self, plan: Plan, policy: Policy, records: Callable[[StageEntry], Record | None]) -> Plan:
        """Returns a plan whose stage files are signed."""
        signed: dict[str, Document] = {}
        for path, document in plan.documents.items():
            place = policy.layout.locate(path)
            if place is None or place.kind is not PathKind.STAGE or place.stage in {None, ARCHIVED}:
                continue
            if not isinstance(document, Mapping) or plan.keeps_statement:
                continue
            entry = parse_stage(Fields(document, where=path))
            record = records(entry)
            name = artifact_name(record.artifact if record else None)
            stage = place.stage or ARCHIVED
            signature = self.sign(stage, encode_transition(place.model, stage, name, entry), Namespace.TRANSITION)
            signed[path] = format_stage(replace(entry, signature=signature))
        return replace(plan, documents={**plan.documents, **signed}) if signed else plan

    def proof(self, signature: str) -> Proof | None:
        """Returns what a signature that a dry run did not make would show; ``None`` for all others."""
        return Proof(self.signer.key()) if signature == _UNMADE and self.dry_run else None

    @cached_property
    def signer(self) -> Signer:
        """The key.

        Raises:
            IdentityError: Git is not configured to sign with one.
        """
        return get_signer(self._repo)

    @cached_property
    def _signs_by_default(self) -> bool:
        return signs_by_default(self._repo.settings())

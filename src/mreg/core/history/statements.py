"""Statements: the exact bytes that a signature is made over.

Rules:
    * A statement names all that it is about: model, stage, version, the hash of the artifact, what is replaced.
    * The bytes are JSON with sorted keys and without white space, in ASCII, ended by one line feed: any language can
      make them again from the file in the tree.
    * Each kind has an SSHSIG namespace of its own, so that no signature serves as one of another kind
      (https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig).
    * ``hold`` is no part of it: a hold is set and released without a new statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from msgspec.json import Encoder

from mreg.core.fields import Plain, format_moment
from mreg.core.history.manifest import NO_VERSION, StageEntry
from mreg.core.history.record import Artifact
from mreg.core.names import ModelName, StageName, Version

__all__ = ["Namespace", "artifact_name", "encode_statement", "encode_transition"]

SCHEMA = 1
_encode = Encoder(order="sorted").encode
_OTHERWISE = b"\x7f"


class Namespace(str, Enum):
    """The SSHSIG namespace of each kind of statement."""

    TRANSITION = "transition.mreg"
    APPROVAL = "approval.mreg"


def artifact_name(artifact: Artifact | None) -> str:
    """Returns what a statement calls an artifact: ``sha256:<hex>``, or ``md5:<hex>`` where no more is known."""
    if artifact is None:
        return ""
    return f"sha256:{artifact.sha256}" if artifact.sha256 else f"md5:{artifact.md5}" if artifact.md5 else ""


def encode_transition(model: ModelName, stage: StageName, artifact: str, entry: StageEntry) -> bytes:
    """Returns the bytes that the signature in a stage file is made over.

    Args:
        model: The model.
        stage: The stage.
        artifact: As ``artifact_name`` gives it; empty where the stage is emptied.
        entry: What the stage file says.
    """
    return encode_statement(
        {
            "model": model,
            "stage": stage,
            "version": _version(entry.version),
            "artifact": artifact,
            "replaces": _version(entry.replaces),
            "reason": entry.reason,
            "by": entry.by,
            "at": _moment(entry.at),
            "approved_by": list(entry.approved_by),
        },
        Namespace.TRANSITION,
    )


def encode_statement(facts: Mapping[str, Plain], kind: Namespace) -> bytes:
    """Returns the canonical bytes of a statement."""
    document = {**facts, "schema": SCHEMA, "kind": kind.value}
    try:
        quick = _encode(document)  # in an eightieth of the time, but for what it writes otherwise
    except UnicodeEncodeError:  # half a surrogate pair
        quick = _OTHERWISE
    if quick.isascii() and _OTHERWISE not in quick:
        return quick + b"\n"
    import json  # noqa: PLC0415 - few statements need it

    return (json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode("ascii")


def _version(version: Version | None) -> str:
    return str(version or NO_VERSION)


def _moment(moment: datetime | None) -> str:
    return format_moment(moment) if moment else ""

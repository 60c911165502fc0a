"""Every error that mreg raises, in one tree.

::

    MregError
    ├── UsageError                what was asked makes no sense: a bad name, flag or file     (exit 2)
    │   └── NamingError           a model, stage or version name outside the grammar
    ├── RefusedError              the answer is no: a rule                                    (exit 1)
    │   └── UnchangedArtifactError  the bytes are registered already
    ├── DataError                 stored data cannot be read: YAML, record, manifest, bytes   (exit 3)
    │   └── CorruptArtifactError  bytes that do not equal the record
    ├── NotFoundError             the named model, version, stage, path or object is not there (exit 4)
    │   ├── NotARegistryError     no registry here
    │   └── BytesDeletedError     the version is there, and its bytes were given up
    ├── ConflictError             someone else moved first                                    (exit 5)
    │   ├── IncompleteHistoryError  the clone lacks history
    │   └── OlderStateError       a registry went back behind what was seen of it
    └── OutsideError              git, DVC, the network, the disk or the identity failed      (exit 6)
        ├── GitError
        ├── StorageError          DVC, its remotes, or the disk
        ├── IdentityError         Git does not know who commits
        ├── NotificationError     a sink could not be told
        ├── PushRefusedError      the remote's rules say no: a protected branch, a hook
        └── DirtyFilesError       files that mreg must change have uncommitted changes

``code`` is a stable slug for programs, ``hint`` a command that works when pasted, which a traceback shows as a note.
Exit numbers live in ``mreg.cli.exit_codes`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import ClassVar

__all__ = [
    "BytesDeletedError",
    "ConflictError",
    "CorruptArtifactError",
    "DataError",
    "DirtyFilesError",
    "GitError",
    "IdentityError",
    "IncompleteHistoryError",
    "MregError",
    "NamingError",
    "NotARegistryError",
    "NotFoundError",
    "NotificationError",
    "OlderStateError",
    "OutsideError",
    "PushRefusedError",
    "RefusedError",
    "StorageError",
    "UnchangedArtifactError",
    "UsageError",
]


class MregError(Exception):
    """The root of the tree: what went wrong, where, and what to do about it."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, object] | None = None) -> None:
        """Keeps the parts of the message apart, for people and for programs.

        Args:
            message: What, which, where; lower case, no full stop after a name.
            hint: A command that works when pasted, or advice in a few words; may be empty.
            details: JSON-ready facts (names, paths, lines, numbers).
        """
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: Mapping[str, object] = MappingProxyType(dict(details or {}))
        self.__notes__ = [f"hint: {hint}"] if hint else []  # what tracebacks and notebooks show below the message

    def __reduce__(self) -> tuple[Callable[[str], MregError], tuple[str], dict[str, object]]:
        """Lets an error pass from one process to another, as from the workers of a pool."""
        same = partial(type(self), hint=self.hint, details=dict(self.details))
        return same, (self.message,), {"__notes__": self.__notes__}


class UsageError(MregError):
    """What was asked for makes no sense."""

    code = "usage"


class NamingError(UsageError):
    """A model, stage or version name lies outside the grammar."""

    code = "bad-name"


class RefusedError(MregError):
    """The answer is no: a rule, or a version that may not go there."""

    code = "refused"

    @property
    def findings(self) -> tuple[Mapping[str, str], ...]:
        """What each gate said, those that passed too; empty where no gate was asked.

        Each has ``rule``, ``gate``, ``outcome`` (``pass``, ``fail``, ``unproven``), ``measured`` and ``why``.
        """
        found = self.details.get("findings")
        return tuple(found) if isinstance(found, list) else ()


class UnchangedArtifactError(RefusedError):
    """The bytes are those of the newest version."""

    code = "unchanged-artifact"


class DataError(MregError):
    """Stored data cannot be read; ``details`` names file, key path and line where known."""

    code = "bad-data"


class CorruptArtifactError(DataError):
    """Bytes were found, and they are not those of the record."""

    code = "corrupt-artifact"


class NotFoundError(MregError):
    """The named thing does not exist."""

    code = "not-found"


class NotARegistryError(NotFoundError):
    """There is a Git repository and no registry in it, or no Git repository."""

    code = "not-a-registry"


class BytesDeletedError(NotFoundError):
    """The version is registered, and its bytes were deleted on purpose; ``details`` names who did, and when."""

    code = "bytes-deleted"


class ConflictError(MregError):
    """Someone else moved first."""

    code = "conflict"


class IncompleteHistoryError(ConflictError):
    """The clone lacks the history that the answer needs."""

    code = "incomplete-history"


class OlderStateError(ConflictError):
    """A registry elsewhere is not, or not provably, ahead of what this machine has seen of it."""

    code = "older-state"


class OutsideError(MregError):
    """Something outside mreg failed."""

    code = "outside"


class GitError(OutsideError):
    """Git failed or is missing."""

    code = "git"


class StorageError(OutsideError):
    """DVC, its remote or the disk failed."""

    code = "storage"


class IdentityError(OutsideError):
    """Git does not know who commits."""

    code = "identity"


class NotificationError(OutsideError):
    """A sink could not be told of a transition, which stands all the same."""

    code = "notification"


class PushRefusedError(OutsideError):
    """The remote's own rules refuse a push: a protected branch, a hook, missing rights."""

    code = "push-refused"


class DirtyFilesError(OutsideError):
    """Files that mreg must change have changes that are not committed."""

    code = "dirty-files"

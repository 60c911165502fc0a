"""What ``mreg list`` says of each model, kept below ``.git/mreg/models`` for the tree that it was read from.

In a registry of 100 000 versions Git names 106 000 files for it, and a change touches a few.

Rules:
    * It is for one tree, by its id, and the declared stages.  For another, Git says which files differ, and their
      models are read anew.
    * Only a registry without findings is kept, and only a large one.
    * It is never the source of truth: a file that is missing, of another form, or not as its checksum says is not
      there.  Nothing that proves reads it.
    * It is written to another name and renamed: the last of several writers wins.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from mreg.core.names import StageName
from mreg.core.results import ModelSummary
from mreg.errors import GitError
from mreg.stores.checksummed import load_checksummed, save_checksummed
from mreg.stores.git.repository import GitRepository

__all__ = ["KeptModels", "find_changes", "load_models", "save_models"]

_FORM = b"mreg-models-1"
"""With another number wherever a stage file is read otherwise than before."""


class KeptModels(Struct, frozen=True):
    """The models of one tree."""

    tree: str
    stages: tuple[StageName, ...]
    """Those that were declared."""
    models: tuple[ModelSummary, ...]
    """Sorted by name."""


_encode = Encoder().encode
_decode = Decoder(KeptModels).decode


def load_models(repo: GitRepository) -> KeptModels | None:
    """Returns what is kept; ``None`` where nothing is."""
    body = load_checksummed(_path(repo), _FORM)
    with suppress(ValueError):  # a hand that knew the checksum wrote it
        return None if body is None else _decode(body)
    return None


def save_models(repo: GitRepository, kept: KeptModels) -> None:
    """Keeps the models of a tree in place of what was kept; a full disk is no error."""
    save_checksummed(_path(repo), _FORM, _encode(kept))


def find_changes(repo: GitRepository, old: str, new: str) -> list[str] | None:
    """Returns the paths that differ between two trees, in one Git call; ``None`` where one of them is gone."""
    try:
        out = repo.runner.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
    except GitError:
        return None
    return out.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _path(repo: GitRepository) -> Path:
    return repo.state_dir / "models"

"""When commits are found by a look at trees, and not by ``git log``; and what was found so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mreg.core.history.timeline import Commit
from mreg.stores.git.history.covering import gather
from mreg.stores.git.runner import GitRunner

__all__ = ["Looks"]

LONG = 4 << 20
"""Bytes of the indexes of packs: those of 140 000 objects, where an older commit of 2 000 models has five."""


class Looks:
    """Looks at the trees of one repository; a short history is not worth it, which the size of its packs tells."""

    def __init__(self, runner: GitRunner, common_dir: Path) -> None:
        """Keeps where to look; nothing is read yet."""
        self._runner, self._common_dir = runner, common_dir
        self._found: dict[tuple[str, ...], tuple[str, list[str]]] = {}
        """Commits that changed some paths, first parents alone, and up to which one; all by their ids."""

    def log(self, tip: str, paths: Sequence[str], *, is_whole: bool) -> Iterator[Commit] | None:
        """Returns what ``GitRepository.iter_log`` does, where ``git log`` would need long."""
        told = self.log_all(tip, paths, is_first_parent=True, is_whole=is_whole)
        changed = None if told is not None or is_whole else self.find(tip, gather(paths), is_first_parent=True)
        if changed is None:
            return told
        from mreg.stores.git.history.tree_search import read_changed  # noqa: PLC0415 - most histories are short

        return read_changed(self._runner, changed, paths)

    def log_all(
        self, tip: str, paths: Sequence[str], *, is_first_parent: bool, is_whole: bool = False
    ) -> Iterator[Commit] | None:
        """Returns what ``git log`` says of all that is in a large folder, newest first, where it would need long."""
        if self._is_short():
            return None
        from mreg.stores.git.history.tree_log import is_large, read_tree_log  # noqa: PLC0415 - most histories are short

        if not is_large(self._runner, tip, paths):
            return None
        objects = self._common_dir / "objects"
        return read_tree_log(self._runner, objects, tip, paths, is_first_parent=is_first_parent, is_whole=is_whole)

    def find(self, tip: str, paths: Sequence[str], *, is_first_parent: bool) -> list[str] | None:
        """Returns the commits that changed some paths, and maybe others, where ``git log`` would need long."""
        if self._is_short():
            return None
        from mreg.stores.git.history.tree_search import add_newer, find_changed  # noqa: PLC0415 - most histories are short

        known = None if is_first_parent else self._found.get(tuple(paths))
        found = add_newer(self._runner, known[1], known[0], tip) if known else None
        if found is None:
            found = find_changed(self._runner, self._common_dir, tip, paths, is_first_parent=is_first_parent)
        if is_first_parent and found is not None and set(tip) <= set("0123456789abcdef"):
            self._found[tuple(paths)] = tip, found
        return found

    def _is_short(self) -> bool:
        size = 0
        for index in (self._common_dir / "objects" / "pack").glob("*.idx"):
            with suppress(FileNotFoundError):  # a repack has deleted it meanwhile
                size += index.stat().st_size
        return size < LONG

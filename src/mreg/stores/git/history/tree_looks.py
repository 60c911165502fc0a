"""When commits are found by a look at trees, and not by ``git log``; and what was found so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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

    def find(self, tip: str, paths: Sequence[str], *, is_first_parent: bool) -> list[str] | None:
        """Returns the commits that changed some paths, and maybe others, where ``git log`` would need long."""
        packs = (self._common_dir / "objects" / "pack").glob("*.idx")
        if sum(each.stat().st_size for each in packs) < LONG:
            return None
        from mreg.stores.git.history.tree_search import add_newer, find_changed  # noqa: PLC0415 - most histories are short

        known = None if is_first_parent else self._found.get(tuple(paths))
        found = add_newer(self._runner, known[1], known[0], tip) if known else None
        if found is None:
            found = find_changed(self._runner, self._common_dir, tip, paths, is_first_parent=is_first_parent)
        if is_first_parent and found is not None and set(tip) <= set("0123456789abcdef"):
            self._found[tuple(paths)] = tip, found
        return found

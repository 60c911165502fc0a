"""The ``.gitignore`` in the registry's folder: it keeps bytes out of Git, and lets DVC see the pointers."""

from __future__ import annotations

__all__ = ["ignore_text"]

_HIDING = "**/artifact/*"
"""To dulwich, by which DVC reads ignore files, ``*`` is also nothing: the folder itself, and DVC looks into no such."""
_BYTES = "**/artifact/?*"
_NEW = f"""\
# `dvc pull` puts the newest version's bytes here; Git keeps the pointers alone.
{_BYTES}
!**/artifact/*.dvc
"""


def ignore_text(existing: str | None) -> str:
    """Returns what the file should say: what it says, but for a line that hides the models from DVC.

    Args:
        existing: What it says; ``None`` where it is not there.
    """
    if existing is None:
        return _NEW
    lines = existing.splitlines(keepends=True)
    return "".join(line.replace(_HIDING, _BYTES) if line.strip() == _HIDING else line for line in lines)

"""What a disk does to files, and what a command that ended too soon may not leave behind."""

from __future__ import annotations

from pathlib import Path

__all__ = ["litter", "spoil"]


def spoil(path: Path) -> None:
    """Flips one bit in the middle, as a tired disk does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def litter(folder: Path) -> list[Path]:
    """Returns the scratch files and folders that were not removed."""
    return sorted(folder.rglob(".mreg-*"))

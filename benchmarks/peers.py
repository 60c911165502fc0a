"""Programs that mreg is measured against, and that do not belong in its own environment."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["install"]


def install(*packages: str, into: Path | None = None) -> Path:
    """Returns the ``bin`` folder of a virtual environment with these packages, made where it is not there yet."""
    folder = into or Path(tempfile.gettempdir()) / "mreg-bench-peers" / "-".join(sorted(packages))
    done = folder / "done"
    if not done.exists():
        _call([sys.executable, "-m", "venv", folder])
        _call([folder / "bin" / "pip", "install", "-qq", "--disable-pip-version-check", *packages])
        done.touch()
    return folder / "bin"


def _call(command: Sequence[str | Path]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)

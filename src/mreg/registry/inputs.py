"""Metrics and parameters as they are typed, or lie in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mreg.core.fields import Plain
from mreg.stores.measures import as_metrics, as_params, parse_assignments, read_measures

__all__ = ["gather_measures"]


def gather_measures(files: Sequence[Path], pairs: Sequence[str], what: str) -> dict[str, Plain]:
    """Returns the values of some files and ``key=value`` pairs; a pair wins over a file, a later file over an earlier.

    Args:
        files: JSON, YAML or TOML.
        pairs: As typed.
        what: ``metric`` or ``param``, for messages.

    Raises:
        NotFoundError: A file is not there.
        UsageError: A file or a pair cannot be read.
    """
    # Checked source by source, so that an error names the file or the flag.
    check: Callable[[Mapping[str, object], str], Mapping[str, Plain]] = as_metrics if what == "metric" else as_params
    values: dict[str, Plain] = {}
    for file in files:
        values |= check(read_measures(file, f"{what}s"), str(file))
    return {**values, **check(parse_assignments(pairs, what), f"--{what}")}

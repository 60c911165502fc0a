"""What issue 5 asks for, as ratios in one run, and whether a run has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measuring import Cost, Failed

__all__ = ["NEEDED", "Outcome", "Results", "judge"]

Results = Mapping[str, Mapping[str, Mapping[str, Cost | Failed]]]
"""Suite (``scale``), then size or group (``100``), then program."""
_SMALLEST, _LARGE, _LARGEST = "100", "10000", "100000"
NEEDED = frozenset({(_LARGE, "gto show")})
"""What is run at a size though the limit ended it at a smaller one: that it takes longer than this is the answer."""


@dataclass(frozen=True)
class Outcome:
    """One goal and what was measured."""

    what: str
    goal: str
    measured: str
    met: bool | None
    """``None`` where it was not measured, or nothing is asked for."""


class _Bound(float):
    """What a figure is at the least: a program was ended before it was done."""

    ended: str
    """When."""


class _MissingError(Exception):
    pass


@dataclass(frozen=True)
class _Goal:
    what: str
    goal: str
    """Empty where it is only told."""
    limit: float
    figure: Callable[[Results], float]
    at_least: bool = False
    unit: str = "×"

    def judge(self, results: Results) -> Outcome:
        try:
            value = self.figure(results)
        except _MissingError as missing:
            return Outcome(self.what, self.goal, f"not measured: {missing}", None)
        met: bool | None = value >= self.limit if self.at_least else value <= self.limit
        said = f"{value:.3g} {self.unit}"
        if isinstance(value, _Bound):
            said = f"≥ {said} ({value.ended})"
            if met != self.at_least:  # what it would have been in the end may be on the other side
                met = None
        return Outcome(self.what, self.goal, said, met if self.goal else None)


def judge(results: Results) -> list[Outcome]:
    """Returns every goal's outcome, in the order of the issue."""
    return [goal.judge(results) for goal in _GOALS]


def _cost(results: Results, suite: str, group: str, program: str) -> Cost:
    found = results.get(suite, {}).get(group, {}).get(program)
    if not isinstance(found, Cost):
        raise _MissingError(f"{program}, {group}" + (f": {found}" if found else ""))
    return found


def _ratio(suite: str, group: str, program: str, floor: str, kind: str = "cpu_s") -> Callable[[Results], float]:
    def figure(results: Results) -> float:
        below = getattr(_cost(results, suite, group, floor), kind)
        found = results.get(suite, {}).get(group, {}).get(program)
        if isinstance(found, Failed) and found.used:
            bound = _Bound(getattr(found.used, kind) / below)
            bound.ended = str(found)
            return bound
        return float(getattr(_cost(results, suite, group, program), kind) / below)

    return figure


def _cpu(size: str, program: str, floor: str) -> Callable[[Results], float]:
    return _ratio("scale", size, program, floor)


def _wall(suite: str, group: str, program: str, floor: str) -> Callable[[Results], float]:
    return _ratio(suite, group, program, floor, "wall_s")


def _growth(program: str) -> Callable[[Results], float]:
    def figure(results: Results) -> float:
        return _cost(results, "scale", _LARGEST, program).cpu_s / _cost(results, "scale", _SMALLEST, program).cpu_s

    return figure


def _seconds(suite: str, group: str, program: str) -> Callable[[Results], float]:
    return lambda results: _cost(results, suite, group, program).cpu_s


def _peak(results: Results) -> float:
    at = results.get("scale", {}).get(_LARGEST, {})
    peaks = [cost.peak_mib for name, cost in at.items() if name.startswith("mreg ") and isinstance(cost, Cost)]
    if not peaks:
        raise _MissingError(f"mreg, {_LARGEST}")
    return max(peaks) * 1.048576


_GOALS = (
    _Goal("`mreg --version` / `python -c pass`, CPU", "≤ 3", 3, _cpu(_SMALLEST, "mreg --version", "python -c pass")),
    _Goal("`mreg --version` / `gto --version`, CPU", "≤ 1/4", 0.25, _cpu(_SMALLEST, "mreg --version", "gto --version")),
    _Goal("`show MODEL` at 100 000 / at 100, CPU", "≤ 1.3", 1.3, _growth("mreg show MODEL@production")),
    _Goal("`promote` at 100 000 / at 100, CPU", "≤ 1.3", 1.3, _growth("mreg promote")),
    _Goal("`history MODEL` at 100 000 / at 100, CPU", "≤ 1.3", 1.3, _growth("mreg history MODEL")),
    _Goal(
        "`list` of 10 000 versions / (Python and `git cat-file --batch` of the stage files), CPU", "≤ 2", 2,
        _cpu(_LARGE, "mreg list", "python, git cat-file of the stage files"),
    ),
    _Goal(
        "the same, with the imports that a Python program on Git cannot do without", "", 0,
        _cpu(_LARGE, "mreg list", "python with imports, git cat-file of the stage files"),
    ),
    _Goal(
        "`gto show` / `list`, 10 000 versions, CPU", "≥ 100", 100,
        _cpu(_LARGE, "gto show", "mreg list"), at_least=True,
    ),
    _Goal(
        "all 10 000 versions with metrics, warm, CPU", "≤ 0.5 s", 0.5,
        _seconds("scale", _LARGE, "mreg list of all versions"), unit="s",
    ),
    _Goal(
        "the same, cold", "≤ 2 s", 2,
        _seconds("scale", _LARGE, "mreg list of all versions, without a cache"), unit="s",
    ),
    _Goal(
        "`history` of everything at 100 000, warm / `git log --first-parent`, CPU", "≤ 3", 3,
        _cpu(_LARGEST, "mreg history", "git log --first-parent"),
    ),
    _Goal(
        "the same, the first look", "", 0,
        _cpu(_LARGEST, "mreg history, without a cache", "git log --first-parent"),
    ),
    _Goal(
        "the first look / `git log --first-parent --raw`", "", 0,
        _cpu(_LARGEST, "mreg history, without a cache", "git log --first-parent --raw"),
    ),
    _Goal(
        "`verify` of 10 000 signed transitions, CPU", "≤ 10 s", 10,
        _seconds("verify", "10000", "mreg verify"), unit="s",
    ),
    _Goal("the same, `--incremental`", "", 0, _seconds("verify", "10000", "mreg verify --incremental"), unit="s"),
    _Goal("peak memory at 100 000 versions", "≤ 200 MB", 200, _peak, unit="MB"),
    _Goal(
        "`register` of a large file / (both sums at once, then `cp`), wall", "≤ 1.25", 1.25,
        _wall("artifact", "large", "mreg register", "sums at once, then cp"),
    ),
    _Goal(
        "`register` of 10 000 small files / hashing them, wall", "≤ 3", 3,
        _wall("artifact", "small", "mreg register", "read and hash"),
    ),
    _Goal(
        "`promote --push` / `git push` of a commit and a tag, 100 000 versions, wall", "bounded by it", 4,
        _wall("push", _LARGEST, "mreg promote --push", "git push of a commit and a tag"),
    ),
    _Goal(
        "`pull` of a large file from S3 / (boto3 and `sha256sum`), wall", "≤ 1.2", 1.2,
        _wall("transfer", "large down", "mreg pull", "boto3 download_file, then sha256sum"),
    ),
    _Goal(
        "`register --push` of a large file to S3 / (both sums at once, then boto3), wall", "≤ 1.2", 1.2,
        _wall("transfer", "large up", "mreg register --push", "sha256sum and md5sum at once, then boto3"),
    ),
)  # fmt: skip

"""What a program costs: wall time, CPU time and the peak of its memory, and how programs are compared fairly.

Programs take turns (A B C A B C …), so that other work on the machine disturbs all of them alike, and medians are
compared; one that takes long is run once.  CPU time includes the processes that a program starts and waits for (Git,
hooks), not servers.

The kernel counts the memory that a process had before it became another program into that program's peak.  So a program
is started by a small shell, which says afterwards what its children took.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

__all__ = [
    "BIN",
    "ENV",
    "Command",
    "Cost",
    "Failed",
    "Groups",
    "describe_machine",
    "median",
    "print_costs",
    "run",
    "take_turns",
]

BIN = Path(sys.executable).parent
"""Where mreg, GTO and DVC are installed."""
ENV = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "",  # an installed program is compiled once
    "DVC_NO_ANALYTICS": "1",
    "NO_COLOR": "1",
    **{f"GIT_{who}_{what}": "bench@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}

LONG_S = 15
"""What a program may take before it is not repeated: a minute is not off by much."""

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    """Of the largest process, what it maps of files counted in."""

    def __add__(self, other: Cost) -> Cost:
        """Returns the cost of one after the other."""
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mib, other.peak_mib))


class Failed(Exception):  # noqa: N818 - a result, not a fault
    """A program failed, or was ended by the limit."""

    def __init__(self, message: str, used: Cost | None = None) -> None:
        """Says what happened.

        Args:
            message: In words.
            used: What it had taken when the limit ended it: it would have taken more.
        """
        super().__init__(message)
        self.used = used


Groups = dict[str, dict[str, Cost | Failed]]
"""What was measured: by size or kind, then by program."""


_REPORT = """
import json, resource, sys
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([int(sys.argv[1]), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
_LAUNCH = f"""\
"$@" >/dev/null &
exec 2>&-  # when the program has closed its own, it has ended
wait $!
exec "$0" -SIc '{_REPORT}' $?
"""
"""A process keeps what it knows of its children when it becomes another program: the shell becomes Python to tell."""


_SESSION, _TIMES = 3, slice(11, 15)
"""Where ``/proc/PID/stat`` has them, counted from behind the name: user and system time, own and of children."""


def run(command: Command, *, cwd: Path, env: Mapping[str, str] = ENV, limit_s: float = 3600) -> Cost:
    """Runs a program to its end.

    Raises:
        Failed: It ended with an error (its last words are the message), or was ended after ``limit_s``; what it had
            used by then is in there.
    """
    used_s: list[float] = []
    launch = ["sh", "-c", _LAUNCH, sys.executable, *command]
    start = time.perf_counter()
    with subprocess.Popen(
        launch,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        report, errors = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        timer = threading.Timer(limit_s, lambda: used_s.append(_end_children(process.pid)))
        timer.start()
        said = errors.read().decode(errors="replace").strip()
        wall_s = time.perf_counter() - start
        timer.cancel()
        status, cpu_s, peak_mib = json.loads(report.read())
    if used_s:
        raise Failed(f"ended after {limit_s:.0f} s", Cost(wall_s, max(used_s[0], cpu_s), peak_mib))
    if status:
        raise Failed(said[-400:] or f"exit code {status}")
    return Cost(wall_s, cpu_s, peak_mib)


def _end_children(leader: int) -> float:
    """Ends all processes of a session but the one that leads it; returns the CPU time that they have used.

    Theirs, and that of the children they waited for: what ends here is waited for by nobody.
    """
    used = 0
    for place in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda each: int(each.parent.name)):
        with suppress(OSError):  # it has ended in the meantime
            words = place.read_text().rpartition(")")[2].split()
            if int(words[_SESSION]) == leader != int(place.parent.name):
                used += sum(map(int, words[_TIMES]))
                os.kill(int(place.parent.name), signal.SIGKILL)
    return used / os.sysconf("SC_CLK_TCK")


def take_turns(steps: Mapping[str, Callable[[], Cost]], repeat: int) -> dict[str, Cost | Failed]:
    """Runs every step ``repeat`` times, in turns, and returns the medians.

    One that fails, or takes more than ``LONG_S``, is not run again.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in steps}
    failed: dict[str, Failed] = {}
    for _ in range(repeat):
        for name, step in steps.items():
            if name in failed or sum(cost.wall_s for cost in costs[name]) > LONG_S:
                continue
            try:
                costs[name].append(step())
            except Failed as failure:
                failed[name] = failure
    return {name: failed[name] if name in failed else median(costs[name]) for name in steps}


def median(costs: Sequence[Cost]) -> Cost:
    """Returns the median of each figure."""
    return Cost(
        statistics.median(each.wall_s for each in costs),
        statistics.median(each.cpu_s for each in costs),
        statistics.median(each.peak_mib for each in costs),
    )


def print_costs(title: str, costs: Mapping[str, Cost | Failed]) -> None:
    """Prints a table, with ratios to its first line."""
    print(f"\n{title}; load {describe_machine()['load']}")
    print(f"  {'':44} {'wall s':>8} {'CPU s':>8} {'MiB':>6} {'× wall':>7} {'× CPU':>7}")
    first = next((cost for cost in costs.values() if isinstance(cost, Cost)), None)
    for name, cost in costs.items():
        if isinstance(cost, Failed) or first is None:
            print(f"  {name:44} {cost}")
            continue
        ratios = f"{cost.wall_s / first.wall_s:7.2f} {cost.cpu_s / max(first.cpu_s, 1e-3):7.2f}"
        print(f"  {name:44} {cost.wall_s:8.2f} {cost.cpu_s:8.2f} {cost.peak_mib:6.0f} {ratios}", flush=True)


def describe_machine() -> dict[str, str]:
    """Returns what the figures depend on, and how busy the machine is."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return {
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "git": git,
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }

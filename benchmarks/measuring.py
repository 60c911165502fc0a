"""What a program costs: wall time, CPU time and the peak of its memory, and how programs are compared fairly.

Programs take turns (A B C A B C …), so that other work on the machine disturbs all of them alike, and medians are
compared.  CPU time includes the processes that a program starts and waits for (Git, hooks), not servers.
"""

from __future__ import annotations

import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    """Of the largest process.  Not less than the benchmark's own memory, which the kernel counts in."""

    def __add__(self, other: Cost) -> Cost:
        """Returns the cost of one after the other."""
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mib, other.peak_mib))


class Failed(Exception):  # noqa: N818 - a result, not a fault
    """A program failed, or did not end in time."""


Groups = dict[str, dict[str, Cost | Failed]]
"""What was measured: by size or kind, then by program."""


def run(command: Command, *, cwd: Path, env: Mapping[str, str] = ENV, limit_s: float = 3600) -> Cost:
    """Runs a program to its end.

    Raises:
        Failed: It ended with an error (its last words are the message), or was ended after ``limit_s``.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        ended_early = threading.Event()

        def end() -> None:
            ended_early.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit_s, end)
        timer.start()
        said = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    if ended_early.is_set():
        raise Failed(f"not done after {limit_s:.0f} s")
    if process.returncode:
        raise Failed(said.decode(errors="replace").strip()[-400:] or f"exit code {process.returncode}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def take_turns(steps: Mapping[str, Callable[[], Cost]], repeat: int) -> dict[str, Cost | Failed]:
    """Runs every step ``repeat`` times, in turns, and returns the medians; one that fails is not run again."""
    costs: dict[str, list[Cost]] = {name: [] for name in steps}
    failed: dict[str, Failed] = {}
    for _ in range(repeat):
        for name, step in steps.items():
            if name in failed:
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

"""One registry of a size, and what every program takes on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.measuring import BIN, ENV, Cost, Failed, run, take_turns
from benchmarks.programs import MLFLOW, MODEL, PROGRAMS, Program, stage_files

__all__ = ["Site", "measure", "models_of", "prepare"]

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Site:
    """A registry and the same content in MLflow's database, if that is measured."""

    folder: Path
    database: Path
    mlflow: Path | None
    """The Python that has MLflow."""


def models_of(versions: int) -> int:
    """Returns how many models so many versions are in: 10 to 2 000."""
    return min(max(10, versions // 50), 2000)


def prepare(folder: Path, versions: int, mlflow: Path | None) -> Site:
    """Makes the registry, where it is not there yet.

    In a process of its own: the kernel counts the memory of the one that starts a program into that program's.
    """
    models = models_of(versions)
    if not (folder / ".git").exists():
        options = ["--versions", str(versions), "--models", str(models), "--share", str(max(50, versions // models))]
        subprocess.run([sys.executable, "-m", "benchmarks.generate", folder, *options], check=True, cwd=ROOT)
    stage_files(folder)
    subprocess.run([BIN / "mreg", "-C", folder, "show", MODEL], check=True, env=ENV, stdout=subprocess.DEVNULL)
    database = folder.with_name(f"{folder.name}.db")
    if mlflow and not database.exists():
        subprocess.run(
            [mlflow, MLFLOW, "fill", database, str(versions), str(models)], check=True, stderr=subprocess.DEVNULL
        )
    return Site(folder, database, mlflow)


def measure(
    site: Site, repeat: int, limit_s: float, left_out: Collection[str], only: str = ""
) -> dict[str, Cost | Failed]:
    """Returns what each program takes, in turns.

    Args:
        site: Where.
        repeat: How often each is run.
        limit_s: Seconds after which a program is ended.
        left_out: Names of programs or of their owners that are not run.
        only: What the name of each program must hold.
    """
    steps: dict[str, Callable[[], Cost]] = {}
    given_up: dict[str, str] = {}
    for program in PROGRAMS:
        if {program.name, program.owner} & set(left_out) or (program.owner == "mlflow" and not site.mlflow):
            continue
        if only not in program.name:
            continue
        steps[program.name] = partial(_step, program, site, limit_s, given_up)
    return take_turns(steps, repeat)


def _step(program: Program, site: Site, limit_s: float, given_up: dict[str, str]) -> Cost:
    """Runs one program; where a peer was not done in time, its other programs are not waited for either."""
    if program.owner in given_up and not program.name.endswith("--version"):
        raise Failed(f"not run: {given_up[program.owner]}")
    if program.before:
        program.before(site.folder)
    known, aside = site.folder / ".git" / "mreg", site.folder / ".git" / "mreg-aside"
    if program.is_cold and known.exists():
        known.rename(aside)
    places = {"{mlflow}": site.mlflow, "{database}": site.database}
    command = [places.get(str(word)) or word for word in program.command]
    try:
        return run(command, cwd=site.folder, env=ENV, limit_s=limit_s)
    except Failed as failure:
        if str(failure).startswith("not done") and program.owner != "mreg":
            given_up[program.owner] = f"{program.name} was {failure}"
        raise
    finally:
        if aside.exists():
            shutil.rmtree(known, ignore_errors=True)
            aside.rename(known)

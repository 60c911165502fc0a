"""One registry of a size, and what every program takes on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.measuring import BIN, ENV, Cost, Failed, run, take_turns
from benchmarks.programs import MLFLOW, MODEL, PROGRAMS, Program, note_objects

__all__ = ["Site", "copy", "measure", "models_of", "prepare"]

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
    """Makes the registry, where it is not there yet; it is not written to again."""
    models = models_of(versions)
    if not (folder / ".git").exists():
        options = ["--versions", str(versions), "--models", str(models), "--share", str(max(50, versions // models))]
        subprocess.run([sys.executable, "-m", "benchmarks.generate", folder, *options], check=True, cwd=ROOT)
    database = folder.with_name(f"{folder.name}.db")
    if mlflow and not database.exists():
        subprocess.run(
            [mlflow, MLFLOW, "fill", database, str(versions), str(models)], check=True, stderr=subprocess.DEVNULL
        )
    return Site(folder, database, mlflow)


def copy(site: Site, into: Path) -> Site:
    """Returns the same with a registry of its own, which promotions may change."""
    folder = into / site.folder.name
    subprocess.run(["cp", "-a", site.folder, folder], check=True)
    folder.with_name(f"{folder.name}.store").symlink_to(site.folder.with_name(f"{folder.name}.store"))
    shutil.rmtree(folder / ".git" / "mreg", ignore_errors=True)
    subprocess.run(["git", "-C", folder, "update-index", "-q", "--refresh"], check=True)  # new files, the same content
    note_objects(folder)
    for verb in ("show", "history"):  # warm; of what has a row without a cache, that row sees to it
        subprocess.run([BIN / "mreg", "-C", folder, verb, MODEL], check=True, env=ENV, stdout=subprocess.DEVNULL)
    return replace(site, folder=folder)


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
        if failure.used and program.owner != "mreg":
            given_up[program.owner] = f"{program.name} was {failure}"
        raise
    finally:
        if aside.exists():
            if known.exists():
                shutil.copytree(known, aside, dirs_exist_ok=True)
                shutil.rmtree(known)
            aside.rename(known)

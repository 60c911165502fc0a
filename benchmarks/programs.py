"""What is measured on a generated registry: mreg, its peers, and what Git and Python need at the least for the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import BIN, ENV, Command

__all__ = ["MODEL", "PROGRAMS", "Program", "note_objects"]

MODEL = "model-0000"
OUTPUT = "served.bin"
OBJECTS = "stage-files"
"""Below ``.git``: the ids of all stage files, for ``git cat-file --batch``."""
BASE, HEAD = "refs/bench/base", "refs/bench/head"
"""What a pull request is made of: a registration and two promotions."""
MLFLOW = Path(__file__).with_name("mlflow_store.py")
_PYTHON = sys.executable
_IMPORTS = "import git, typer.main, yaml"


@dataclass(frozen=True)
class Program:
    """One line of the table."""

    name: str
    """Its first word says whose it is; ``floor`` for what nobody can do without."""
    command: Command
    verb: str = ""
    """The picture that it belongs to; empty for none."""
    before: Callable[[Path], None] | None = None
    """What to do to the registry each time, unmeasured."""
    is_cold: bool = False
    """True to run without what earlier commands worked out.  What runs after it finds all of it, this one's too."""

    @property
    def owner(self) -> str:
        """``mreg``, ``gto``, ``dvc``, ``mlflow`` or ``floor``."""
        word = self.name.partition(" ")[0]
        return word if word in {"mreg", "gto", "dvc", "mlflow"} else "floor"


def note_objects(folder: Path) -> None:
    """Writes down the ids of all stage files, and gives names to what a pull request would be."""
    git: Command = ["git", "-C", folder]
    lines = subprocess.run(
        [*git, "ls-tree", "-r", "main", "registry"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    ids = "".join(f"{line.split()[2]}\n" for line in lines if "/stages/" in line)
    (folder / ".git" / OBJECTS).write_text(ids)
    for name, commit in ((BASE, "main~3"), (HEAD, "main")):
        subprocess.run([*git, "update-ref", name, commit], check=True)


def _forget(folder: Path) -> None:
    """Takes away what was fetched before."""
    (folder / OUTPUT).unlink(missing_ok=True)
    for known in (".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(folder / known, ignore_errors=True)


def _alternate(folder: Path) -> None:
    """Takes the model out of staging, so that there is something to promote."""
    path = folder / "registry" / MODEL / "stages" / "staging.yaml"
    command: Command = [BIN / "mreg", "-C", folder, "clear", MODEL, "staging", "--reason", "to promote it again"]
    if path.exists():
        subprocess.run(command, check=True, env=ENV, stdout=subprocess.DEVNULL)


def _mreg(
    name: str, *words: str, verb: str = "", before: Callable[[Path], None] | None = None, is_cold: bool = False
) -> Program:
    return Program(f"mreg {name}", [BIN / "mreg", *words], verb, before, is_cold)


def _gto(name: str, *words: str, verb: str = "") -> Program:
    return Program(f"gto {name}", [BIN / "gto", *words], verb)


def _mlflow(name: str, verb_of_script: str, *, verb: str = "") -> Program:
    return Program(f"mlflow {name}", ["{mlflow}", MLFLOW, verb_of_script, "{database}"], verb)


def _floor(name: str, *command: str | Path, verb: str = "") -> Program:
    return Program(name, command, verb)


_LOG = ("git", "log", "--first-parent", "--format=%H%x00%an%x00%ae%x00%at%x00%B", "main")
_WHY = ("--reason", "better on the holdout set")

PROGRAMS: tuple[Program, ...] = (
    _floor("python -c pass", _PYTHON, "-c", "pass"),
    _floor("python, imports", _PYTHON, "-c", _IMPORTS),
    _mreg("--version", "--version"),
    _gto("--version", "--version"),
    Program("dvc --version", [BIN / "dvc", "--version"]),
    _floor("git for-each-ref", "git", "for-each-ref", "--format=%(refname)", "refs/tags", verb="list"),
    _floor(
        "python, git cat-file of the stage files",
        "sh", "-c", f"{_PYTHON} -c pass; git cat-file --batch <.git/{OBJECTS}", verb="list",
    ),
    _floor(
        "python with imports, git cat-file of the stage files",
        "sh", "-c", f"{_PYTHON} -c '{_IMPORTS}'; git cat-file --batch <.git/{OBJECTS}",
    ),
    _mreg("list, without a cache", "list", "--format", "json", is_cold=True),
    _mreg("list", "list", "--format", "json", verb="list"),
    _gto("show", "show", "--json", verb="list"),
    _mlflow("search_registered_models", "list", verb="list"),
    _mreg(
        "list of all versions, without a cache", "list", "--versions", "--format", "json",
        verb="list all versions", is_cold=True,
    ),
    _mreg("list of all versions", "list", "--versions", "--format", "json", verb="list all versions"),
    _mreg("list of all versions, as a table", "list", "--versions"),
    _mlflow("search_model_versions", "versions", verb="list all versions"),
    _mreg("list MODEL", "list", MODEL, "--format", "json", verb="list MODEL"),
    _gto("show MODEL", "show", MODEL, "--json", verb="list MODEL"),
    _mlflow("search_model_versions of MODEL", "list-model", verb="list MODEL"),
    _mreg("show, without a cache", "show", f"{MODEL}@production", "--format", "json", verb="show", is_cold=True),
    _mreg("show MODEL@production", "show", f"{MODEL}@production", "--format", "json", verb="show"),
    _gto("show MODEL#production", "show", f"{MODEL}#production", "--json", verb="show"),
    _mlflow("get_model_version_by_alias", "show", verb="show"),
    _floor(
        "git log of MODEL", "git", "log", "--first-parent", "--format=%H", "main", "--", f"registry/{MODEL}",
        verb="history MODEL",
    ),
    _mreg("history MODEL, without a cache", "history", MODEL, "--format", "json", verb="history MODEL", is_cold=True),
    _mreg("history MODEL", "history", MODEL, "--format", "json", verb="history MODEL"),
    _gto("history MODEL", "history", MODEL, "--json", verb="history MODEL"),
    _floor("git log --first-parent", *_LOG, verb="history"),
    _floor("git log --first-parent --raw", *_LOG[:3], "--raw", *_LOG[3:], verb="history"),
    _mreg("history, without a cache", "history", "--format", "json", verb="history", is_cold=True),
    _mreg("history", "history", "--format", "json", verb="history"),
    _mreg("history, as a table", "history"),
    _mreg("history --format csv", "history", "--format", "csv"),
    _mreg("history --format markdown", "history", "--format", "markdown"),
    _gto("history", "history", "--json", verb="history"),
    _mreg("compare", "compare", f"{MODEL}@v1", f"{MODEL}@production", "--format", "json"),
    _mreg("best MODEL", "best", MODEL, "--by", "auc:higher", "--format", "json"),
    _mreg("promote", "promote", MODEL, "staging", *_WHY, verb="promote", before=_alternate),
    _mreg("promote --dry-run", "promote", MODEL, "production", *_WHY, "--dry-run"),
    _mlflow("set_registered_model_alias", "promote", verb="promote"),
    _mreg("check of a pull request", "check", "--base", BASE, "--head", HEAD, "--format", "json", verb="check"),
    _mreg("verify", "verify"),
    _mreg("fsck", "fsck"),
    _mreg("sync, nothing to do", "sync", verb="sync"),
    _mreg("doctor", "doctor", verb="doctor"),
    _mreg("pull, from the store", "pull", f"{MODEL}@production", "--output", OUTPUT, verb="pull", before=_forget),
    Program(
        "dvc artifacts get",
        [BIN / "dvc", "artifacts", "get", ".", MODEL, "--stage", "production", "--out", OUTPUT], "pull", _forget,
    ),
)  # fmt: skip

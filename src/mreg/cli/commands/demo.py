"""``mreg demo``: the main job, on real files, in a scratch directory."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mreg.cli.app import run_command
from mreg.cli.options import directory_of
from mreg.registry.setup.demonstration import prepare, train

__all__ = ["demo"]

_RUNS = (
    {"epochs": 1, "rate": 0.01},
    {"epochs": 20, "rate": 0.3},
    {"epochs": 60, "rate": 0.5},
)


def demo(
    context: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Where to; default: a new temporary directory. It is kept."),
    ] = None,
) -> None:
    """Take a tour: train, register, compare, promote, roll back, pull.

    It uses a new Git repository, with a directory as DVC remote.

    \b
    Example:
      mreg demo
    """
    here = directory_of(context)
    scratch = prepare(here / directory if directory else None)
    typer.echo(f"A Git repository in {scratch.repository}, and a directory as its DVC remote.\n")
    run = _Runner(context, scratch.repository)
    run("init", "--remote", str(scratch.remote))
    for params in _RUNS:
        typer.echo(f"# train a logistic regression: epochs {params['epochs']}, rate {params['rate']}")
        metrics, model = train(scratch, **params)
        flags = [f"--param={key}={value}" for key, value in params.items()]
        run("register", "churn", model, "--metrics", metrics, *flags, "--dataset", "customers@2026-10")
    run("list", "churn")
    run("compare", "churn@v1", "churn@v3", "--higher", "auc", "--lower", "log_loss")
    run("promote", "churn@v1", "production", "--reason", "the first one there is")
    run("best", "churn", "--by", "auc:higher", "--stage", "production")
    run("promote", "churn@v3", "production", "--reason", "best AUC", "--approved-by", "jane@example.com")
    run("rollback", "churn", "production", "--reason", "error rate doubled")
    run("history", "churn")
    run("pull", "churn@production", "-o", "served.json")
    run("list")
    typer.echo(f"Everything is in Git:  git -C {shlex.quote(str(scratch.repository))} log --oneline --decorate")


class _Runner:
    """Runs commands as if typed; an error ends the demonstration like any command."""

    def __init__(self, context: typer.Context, repository: Path) -> None:
        self._mreg, self._witness = context.find_root().command, context.find_root().obj
        self._repository = repository

    def __call__(self, *words: str) -> None:
        typer.echo(f"$ mreg {shlex.join(words)}")
        run_command(self._mreg, ["-C", str(self._repository), *words], self._witness)
        typer.echo("")

"""``mreg pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mreg.cli.options import Format, OutputFormat, Selector, directory_of, parse_path
from mreg.cli.output import show_notes, show_result, transfer_bar
from mreg.core.results import LinkMode
from mreg.registry.facade import Registry

__all__ = ["pull"]


def pull(
    context: typer.Context,
    selector: Selector,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to; by default the artifact's name, here.",
            parser=parse_path,
        ),
    ] = None,
    link: Annotated[LinkMode, typer.Option("--link", help="Copy the bytes out of the cache, or link.")] = LinkMode.AUTO,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there, whatever it is.")] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Put a version's verified bytes in place, and print the path.

    \b
    mreg pull churn@production -o model.pkl
    mreg pull churn@v3
    """
    here = directory_of(context)
    registry = Registry.open(here)
    with transfer_bar("pulling") as progress:
        pulled = registry.pull(
            selector, here / target if target else None, into=here, link=link, force=force, progress=progress
        )
    show_notes(pulled.notices)
    show_result(pulled, output, registry.policy)

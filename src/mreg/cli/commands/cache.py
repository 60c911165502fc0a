"""``mreg cache``."""

from __future__ import annotations

from typing import Annotated

import typer

from mreg.cli.options import Format, OutputFormat
from mreg.cli.output import show_notes, show_result

__all__ = ["cache"]


def cache(
    context: typer.Context,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="How large it may be: 5GB, 10% (of the disk), 0, unlimited."),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without it, only show what would go.")] = False,
    output: Format = OutputFormat.TABLE,
) -> None:
    """Show what this machine keeps of pulled versions, and trim it.

    This is the cache of pulls with --repo or --watch. They trim it by themselves once it exceeds its limit: git config
    mreg.cacheSize, or a tenth of the disk. What was used least recently goes first; what was placed last for each stage
    stays whatever the limit, and so does what is in use. No clone is needed, and no registry changes: what was deleted
    is downloaded again when it is pulled.

    \b
    Examples:
      mreg cache
      mreg cache --size 5GB
      mreg cache --size 5GB --delete
      mreg cache --size 0 --delete
    """
    from mreg.registry.serving.trimming import cache as look

    found = look(size=size, delete=delete)
    if output is not OutputFormat.JSON:
        show_notes(found.notices)
    show_result(context, found, output)

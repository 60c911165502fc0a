"""``mreg schema``."""

from __future__ import annotations

from importlib.resources import files

import typer

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of registry.yaml, for editors and linters.

    Save it next to the settings (> registry.schema.json), and name it in their first line:

    \b
      # yaml-language-server: $schema=registry.schema.json

    \b
    Example:
      mreg schema
    """
    typer.echo(files("mreg.registry").joinpath("settings.schema.json").read_text(encoding="utf-8"), nl=False)

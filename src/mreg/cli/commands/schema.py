"""``mreg schema``."""

from __future__ import annotations

from importlib.resources import files

import typer

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of registry.yaml, for editors and linters.

    \b
    mreg schema > registry.schema.json
    check-jsonschema --schemafile registry.schema.json registry.yaml
    """
    typer.echo(files("mreg.registry").joinpath("settings.schema.json").read_text(encoding="utf-8"), nl=False)

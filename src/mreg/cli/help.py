"""The help in sections: the commands by what they are for, the options of a command by what they are about.

An option names its heading by ``rich_help_panel``, which Typer has for that; the help stays plain text.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMON", "SECTIONS", "SectionedCommand", "SectionedGroup"]

SECTIONS = {
    "Models and versions": ("init", "register", "list", "show", "compare", "best"),
    "Stages": ("promote", "rollback", "clear", "archive", "approve", "hold"),
    "Review and audit": ("history", "plan", "check", "verify"),
    "Serving and sharing": ("pull", "push", "sync"),
    "Upkeep and more": ("fsck", "gc", "cache", "doctor", "schema", "demo"),
}
"""The commands, in the order of the help."""
COMMON = "Common options"
"""The heading of the options that many commands share."""
_OWN, _ARGUMENTS = "Options", "Arguments"
_WIDEST = 30
"""Of what stands before a description: longer ones have a line of their own, as in Click."""


class SectionedGroup(TyperGroup):
    """The tree of commands."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own Click is not public
        """Writes the commands that were imported, below the headings of ``SECTIONS``."""
        width = max(map(len, self.commands), default=0)
        for heading, names in SECTIONS.items():
            found = [(name, self.commands[name]) for name in names if name in self.commands]
            if found:
                limit = formatter.width - 6 - width
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), each.get_short_help_str(limit)) for name, each in found])


class SectionedCommand(TyperCommand):
    """One command."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own Click is not public
        """Writes arguments and options: its own first, those of many commands last."""
        sections: dict[str, list[tuple[str, str]]] = {_ARGUMENTS: [], _OWN: []}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                sections.setdefault(_heading(param), []).append(record)
        sections[COMMON] = sections.pop(COMMON, [])
        if not any(records for heading, records in sections.items() if heading not in (_ARGUMENTS, COMMON)):
            sections[_OWN] = sections.pop(COMMON)
        width = min(_WIDEST, max(len(name) for records in sections.values() for name, _ in records))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), said) for name, said in records])


def _heading(param: Any) -> str:  # noqa: ANN401 - Typer's own Click is not public
    if param.param_type_name == "argument":
        return _ARGUMENTS
    return getattr(param, "rich_help_panel", None) or (COMMON if param.name == "help" else _OWN)

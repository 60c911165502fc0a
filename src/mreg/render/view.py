"""From a result to its page: the one dispatch of the table and the Markdown form."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from mreg.core.settings.policy import Policy
from mreg.render.commands import place_commands
from mreg.render.page import Block, Cell, Facts, Line, Page, Rows

if TYPE_CHECKING:
    from mreg.core.results import (
        Diagnosis,
        History,
        ModelList,
        Pulled,
        Receipt,
        SyncReport,
        VersionDetails,
        VersionList,
        VersionStream,
    )
    from mreg.core.review.audited import Audit, Report
    from mreg.core.review.reviewed import Review
    from mreg.core.sharing.pushed import Pushed
    from mreg.core.storage.cached import CacheReport
    from mreg.core.storage.soundness import Soundness
    from mreg.core.storage.swept import Sweep
    from mreg.core.versions.best import Choice
    from mreg.core.versions.compare import Comparison

__all__ = ["VIEWED", "Result", "view"]

Result: TypeAlias = (
    "ModelList | VersionList | VersionStream | VersionDetails | History | Comparison | Choice"
    " | Receipt | Pulled | Pushed | SyncReport | Diagnosis | Review | Audit | Report | Soundness | Sweep | CacheReport"
)
"""All that the registry answers."""

_VIEWS = {
    "ModelList": ("listing", "view_models"),
    "VersionList": ("listing", "view_versions"),
    "VersionStream": ("listing", "view_versions"),
    "VersionDetails": ("details", "view_details"),
    "History": ("listing", "view_history"),
    "Comparison": ("comparison", "view_comparison"),
    "Choice": ("comparison", "view_choice"),
    "Receipt": ("receipt", "view_receipt"),
    "Pulled": ("receipt", "view_pulled"),
    "Pushed": ("pushed", "view_pushed"),
    "SyncReport": ("receipt", "view_sync"),
    "Diagnosis": ("receipt", "view_diagnosis"),
    "Review": ("sections", "view_review"),
    "Audit": ("audit", "view_audit"),
    "Report": ("audit", "view_report"),
    "Soundness": ("upkeep", "view_soundness"),
    "Sweep": ("upkeep", "view_sweep"),
    "CacheReport": ("cached", "view_cache"),
}
"""By name: an answer does not wait for the modules that the others need."""
VIEWED = frozenset(_VIEWS) - {"VersionStream"}
"""What can be shown more than once."""


def view(result: Result, policy: Policy, directory: str = "") -> Page:
    """Returns the page of a result, without its empty blocks.

    Args:
        result: What the registry answered.
        policy: Gives the order of the stages, and how metrics are written.
        directory: Where commands are to run; empty for the current one.
    """
    module, name = _VIEWS[type(result).__name__]
    page: Page = getattr(import_module(f"mreg.render.pages.{module}"), name)(result, policy)
    shown = (block for block in page if isinstance(block, Line) or block.rows)
    return tuple(_place(block, directory) for block in shown) if directory else tuple(shown)


def _place(block: Block, directory: str) -> Block:
    def place(cell: Cell) -> Cell:
        return replace(cell, text=place_commands(cell.text, directory)) if cell.is_command else cell

    if isinstance(block, Line):
        return replace(block, cell=place(block.cell))
    if isinstance(block, Facts):
        return replace(block, rows=tuple((name, place(cell)) for name, cell in block.rows))
    return replace(block, rows=Rows(lambda row: tuple(map(place, row)), block.rows))

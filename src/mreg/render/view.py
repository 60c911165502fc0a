"""From a result to its page: the one dispatch of the table and the Markdown form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mreg.core.audited import Audit, Report
from mreg.core.best import Choice
from mreg.core.compare import Comparison
from mreg.core.policy import Policy
from mreg.core.results import Diagnosis, History, ModelList, Pulled, Receipt, SyncReport, VersionDetails, VersionList
from mreg.core.review import Review
from mreg.render.audit import view_audit, view_report
from mreg.render.comparison import view_choice, view_comparison
from mreg.render.details import view_details
from mreg.render.listing import view_history, view_models, view_versions
from mreg.render.page import Line, Page
from mreg.render.receipt import view_diagnosis, view_pulled, view_receipt, view_sync
from mreg.render.sections import view_review

__all__ = ["Result", "view"]

Result = (
    ModelList
    | VersionList
    | VersionDetails
    | History
    | Comparison
    | Choice
    | Receipt
    | Pulled
    | SyncReport
    | Diagnosis
    | Review
    | Audit
    | Report
)
"""All that the registry answers."""

_VIEWS: dict[type, Callable[[Any, Policy], Page]] = {
    ModelList: view_models,
    VersionList: view_versions,
    VersionDetails: view_details,
    History: lambda result, _: view_history(result),
    Comparison: view_comparison,
    Choice: lambda result, _: view_choice(result),
    Receipt: view_receipt,
    Pulled: lambda result, _: view_pulled(result),
    SyncReport: lambda result, _: view_sync(result),
    Diagnosis: lambda result, _: view_diagnosis(result),
    Review: view_review,
    Audit: lambda result, _: view_audit(result),
    Report: lambda result, _: view_report(result),
}


def view(result: Result, policy: Policy) -> Page:
    """Returns the page of a result, without its empty blocks."""
    page = _VIEWS[type(result)](result, policy)
    return tuple(block for block in page if isinstance(block, Line) or block.rows)

"""A Git-native model registry: bytes go to DVC, facts to small YAML files, every change is one commit.

The public API is ``Registry``, ``RemoteRegistry``, ``pull``, ``watch``, ``cache``, the values that they return, and
``mreg.errors``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing`, whose import takes longer than all else that `mreg --version` does
if TYPE_CHECKING:
    from mreg import errors
    from mreg.core.following import News, NewsKind
    from mreg.core.history.record import Artifact, Code, Dataset, Environment, Record, Run
    from mreg.core.history.timeline import Action, Transition
    from mreg.core.names import Bump, Version
    from mreg.core.results import (
        History,
        LinkMode,
        ModelList,
        ModelSummary,
        Pulled,
        Receipt,
        SyncReport,
        VersionDetails,
        VersionList,
        VersionStream,
        VersionSummary,
    )
    from mreg.core.review.audited import Audit, AuditFault, Report
    from mreg.core.review.gates import GateFinding, Outcome
    from mreg.core.review.reviewed import Review
    from mreg.core.settings.policy import OnReplace, Policy
    from mreg.core.sharing.pushed import Pushed
    from mreg.core.storage.cached import CacheReport
    from mreg.core.storage.soundness import Soundness
    from mreg.core.storage.swept import Sweep
    from mreg.core.versions.best import Choice
    from mreg.core.versions.compare import Comparison
    from mreg.registry.api.facade import Registry
    from mreg.registry.serving.remote_pulling import pull
    from mreg.registry.serving.remote_registry import RemoteRegistry
    from mreg.registry.serving.trimming import cache
    from mreg.registry.serving.watching import watch

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Artifact",
    "Audit",
    "AuditFault",
    "Bump",
    "CacheReport",
    "Choice",
    "Code",
    "Comparison",
    "Dataset",
    "Environment",
    "GateFinding",
    "History",
    "LinkMode",
    "ModelList",
    "ModelSummary",
    "News",
    "NewsKind",
    "OnReplace",
    "Outcome",
    "Policy",
    "Pulled",
    "Pushed",
    "Receipt",
    "Record",
    "Registry",
    "RemoteRegistry",
    "Report",
    "Review",
    "Run",
    "Soundness",
    "Sweep",
    "SyncReport",
    "Transition",
    "Version",
    "VersionDetails",
    "VersionList",
    "VersionStream",
    "VersionSummary",
    "__version__",
    "cache",
    "errors",
    "pull",
    "watch",
]

_HOMES = {
    "mreg.core.review.audited": ("Audit", "AuditFault", "Report"),
    "mreg.core.versions.best": ("Choice",),
    "mreg.core.versions.compare": ("Comparison",),
    "mreg.core.following": ("News", "NewsKind"),
    "mreg.core.history.timeline": ("Action", "Transition"),
    "mreg.core.names": ("Bump", "Version"),
    "mreg.core.review.gates": ("GateFinding", "Outcome"),
    "mreg.core.settings.policy": ("OnReplace", "Policy"),
    "mreg.core.sharing.pushed": ("Pushed",),
    "mreg.core.history.record": ("Artifact", "Code", "Dataset", "Environment", "Record", "Run"),
    "mreg.core.results": (
        "History",
        "LinkMode",
        "ModelList",
        "ModelSummary",
        "Pulled",
        "Receipt",
        "SyncReport",
        "VersionDetails",
        "VersionList",
        "VersionStream",
        "VersionSummary",
    ),
    "mreg.core.review.reviewed": ("Review",),
    "mreg.core.storage.cached": ("CacheReport",),
    "mreg.core.storage.soundness": ("Soundness",),
    "mreg.core.storage.swept": ("Sweep",),
    "mreg.registry.api.facade": ("Registry",),
    "mreg.registry.serving.remote_pulling": ("pull",),
    "mreg.registry.serving.remote_registry": ("RemoteRegistry",),
    "mreg.registry.serving.trimming": ("cache",),
    "mreg.registry.serving.watching": ("watch",),
}


def __getattr__(name: str) -> object:
    # `mreg --version`, and whoever wants the errors alone, need not wait for Git and YAML.
    from importlib import import_module  # noqa: PLC0415 - nor for that

    if name == "errors":  # `import mreg` is enough for `except mreg.errors.RefusedError`
        return import_module("mreg.errors")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: object) -> None:
    """Shows results as tables in a notebook: ``%load_ext mreg``."""
    from mreg.render.formats.notebook import show_tables  # noqa: PLC0415 - as above

    show_tables(shell, {name: module for module, names in _HOMES.items() for name in names})


def __dir__() -> list[str]:
    return sorted(__all__)

"""A Git-native model registry: bytes go to DVC, facts to small YAML files, every change is one commit.

The public API is ``Registry``, ``pull``, ``watch``, the values that they return, and ``mreg.errors``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing`, whose import takes longer than all else that `mreg --version` does
if TYPE_CHECKING:
    from mreg.core.audited import Audit, AuditFault, Report
    from mreg.core.best import Choice
    from mreg.core.compare import Comparison
    from mreg.core.following import News, NewsKind
    from mreg.core.history import Action, Transition
    from mreg.core.names import Bump, Version
    from mreg.core.policy import OnReplace
    from mreg.core.record import Artifact, Dataset, Record
    from mreg.core.results import LinkMode, ModelList, Pulled, Receipt, SyncReport, VersionDetails, VersionList
    from mreg.core.review import Review
    from mreg.core.soundness import Soundness
    from mreg.core.swept import Sweep
    from mreg.registry.facade import Registry
    from mreg.registry.serving.serving import pull
    from mreg.registry.serving.watching import watch

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Artifact",
    "Audit",
    "AuditFault",
    "Bump",
    "Choice",
    "Comparison",
    "Dataset",
    "LinkMode",
    "ModelList",
    "News",
    "NewsKind",
    "OnReplace",
    "Pulled",
    "Receipt",
    "Record",
    "Registry",
    "Report",
    "Review",
    "Soundness",
    "Sweep",
    "SyncReport",
    "Transition",
    "Version",
    "VersionDetails",
    "VersionList",
    "__version__",
    "pull",
    "watch",
]

_HOMES = {
    "mreg.core.audited": ("Audit", "AuditFault", "Report"),
    "mreg.core.best": ("Choice",),
    "mreg.core.compare": ("Comparison",),
    "mreg.core.following": ("News", "NewsKind"),
    "mreg.core.history": ("Action", "Transition"),
    "mreg.core.names": ("Bump", "Version"),
    "mreg.core.policy": ("OnReplace",),
    "mreg.core.record": ("Artifact", "Dataset", "Record"),
    "mreg.core.results": ("LinkMode", "ModelList", "Pulled", "Receipt", "SyncReport", "VersionDetails", "VersionList"),
    "mreg.core.review": ("Review",),
    "mreg.core.soundness": ("Soundness",),
    "mreg.core.swept": ("Sweep",),
    "mreg.registry.facade": ("Registry",),
    "mreg.registry.serving.serving": ("pull",),
    "mreg.registry.serving.watching": ("watch",),
}


def __getattr__(name: str) -> object:
    # `mreg --version`, and whoever wants the errors alone, need not wait for Git and YAML.
    from importlib import import_module  # noqa: PLC0415 - nor for that

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

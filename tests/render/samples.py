"""One result of each kind, small enough to be compared as a whole; ``text`` is what a user wrote anywhere in it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from msgspec.structs import replace

from mreg.core.history.manifest import Adopted, ArchivedMark
from mreg.core.history.record import Artifact, Code, Dataset, Environment, Record, Run
from mreg.core.history.timeline import Action, Commit, Finding, Transition
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.results import (
    Check,
    Diagnosis,
    History,
    ModelList,
    ModelSummary,
    Pulled,
    Receipt,
    SyncReport,
    VersionDetails,
    VersionList,
    VersionSummary,
)
from mreg.core.review.reviewed import Fault
from mreg.core.settings.policy import Direction, MetricRule, Policy, StageRule
from mreg.core.sharing.joints import Matter, Way
from mreg.core.sharing.pushed import PushConflict, Pushed, PushedCommit
from mreg.core.versions.best import choose_best
from mreg.core.versions.compare import Subject, compare
from mreg.core.versions.constraint import parse_constraint
from mreg.core.writing.plan import Plan, PlannedChange
from mreg.render.view import Result

CHURN = ModelName("churn")
STAGING, PRODUCTION, SHADOW = StageName("staging"), StageName("production"), StageName("shadow")
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
JANE, JOE = "jane@example.com", "joe@example.com"
TIP = "c" * 40
HOSTILE = (
    "[/x] [red]x[/red] a|b `c` **d** _e_ ~~f~~\n<script>alert(1)</script> &amp; <img src=x onerror=y>\r\n"
    "@everyone #123 GH-7 o/r#8 ![i](https://evil.example/i.png) [l](javascript:x) https://evil.example "
    "www.evil.example jane@example.com $x$ \u202egnp.exe \x1b[31mred\x1b[0m \x07\x9b2J \\| \\ {{ }} [^1] \u2028 end"
)

POLICY = Policy(
    stages={STAGING: StageRule(), PRODUCTION: StageRule()},
    metrics={
        "auc": MetricRule(Direction.HIGHER, format=".3f"),
        "latency_ms": MetricRule(Direction.LOWER, unit="ms"),
    },
)


def make_record(number: int, auc: float, latency_ms: float, text: str) -> Record:
    return Record(
        model=CHURN,
        version=Version(number),
        artifact=Artifact("model.pkl", 48213 * number, md5=f"{number}" * 32, sha256=f"{number}" * 64, format="pickle"),
        metrics={"auc": auc, "latency_ms": latency_ms, "loss": 0.5},
        params={"depth": 2 + number, "seed": 1, "words": text},
        dataset=Dataset("customers", "2026-10", path="data/train.parquet"),
        code=Code(f"{number}" * 40, dirty=number == 2, entrypoint=text),
        run=Run("ci", "https://ci.example/1"),
        trained_at=NOON,
        environment=Environment("3.11.7", {"scikit-learn": "1.7.2"}),
        notes=text,
        metadata={"nested": {"list": [1, None, True]}, "note": text},
    )


def make_transition(text: str) -> Transition:
    return Transition(
        CHURN, PRODUCTION, Action.PROMOTE, Version(1), Version(2), JANE, NOON, text, (JOE, text), "d" * 40, "Jane", JANE
    )


def make_versions(text: str) -> VersionList:
    return VersionList(
        CHURN,
        (
            VersionSummary(CHURN, Version(4), (), archived=False, record=None),
            VersionSummary(CHURN, Version(3), (STAGING,), archived=False, record=make_record(3, 0.913, 61.2, text)),
            VersionSummary(CHURN, Version(2), (PRODUCTION,), archived=False, record=make_record(2, 0.902, 11.2, text)),
            VersionSummary(CHURN, Version(1), (), archived=True, record=make_record(1, 0.9, 14.3, text)),
        ),
        TIP,
        (Finding("bad-data", "registry/churn/versions/v4.0.0.yaml", text),),
    )


def make_receipts(text: str) -> dict[str, Receipt]:
    path = "registry/churn/stages/production.yaml"
    moved = (
        PlannedChange(PRODUCTION, Action.PROMOTE, Version(1), Version(2)),
        PlannedChange(ARCHIVED, Action.ARCHIVE, None, Version(1)),
    )
    back = (
        PlannedChange(PRODUCTION, Action.ROLLBACK, Version(2), Version(1)),
        PlannedChange(ARCHIVED, Action.CLEAR, Version(1), None),
    )
    promote = Plan(
        CHURN, Version(2), PRODUCTION, "Promote churn v2.0.0 to production", text, (), {path: {}}, moved, (text,)
    )
    rollback = Plan(
        CHURN, Version(1), PRODUCTION, "Roll back churn production to v1.0.0", text, (), {path: {"hold": True}}, back
    )
    emptied = (PlannedChange(PRODUCTION, Action.CLEAR, Version(2), None),)
    clear = Plan(
        CHURN, Version(2), PRODUCTION, "Clear churn production of v2.0.0", documents={path: {}}, changes=emptied
    )
    register = Plan(CHURN, Version(3), subject="Register churn v3.0.0", documents={"b": b"", "a": {}})
    return {
        "promote": Receipt(promote, "main", "e" * 40, ("churn#production#5",)),
        "promote on a branch": Receipt(promote, "promote-churn", "e" * 40),
        "promote, dry run": Receipt(promote, "main", None, dry_run=True),
        "rollback": Receipt(rollback, "main", "e" * 40, ("churn#production#6",)),
        "clear": Receipt(clear, "main", "e" * 40, ("churn#production!#7",)),
        "register": Receipt(register, "main", "e" * 40, ("churn@v3.0.0",), record=make_record(3, 0.9, 1, text)),
        "init": Receipt(Plan(None, subject="Make this a registry", documents={"registry.yaml": {}}), "main", "e" * 40),
        "nothing": Receipt(Plan(CHURN, Version(2), PRODUCTION, notices=(text,)), "main", None),
    }


def make_results(text: str = "retrained on October data") -> dict[str, Result]:
    """Returns every kind of result, by name."""
    versions = make_versions(text)
    subjects = [Subject(each.record, each.stages, each.archived) for each in versions.versions[:0:-1] if each.record]
    transition = make_transition(text)
    held = {STAGING: None, PRODUCTION: Version(2), SHADOW: Version(1)}
    shown = make_record(2, 0.902, 11.2, text)
    mark = ArchivedMark(text, JANE, NOON, replaced_in=PRODUCTION)
    return {
        "models": ModelList((ModelSummary(CHURN, Version(4), 4, held, archived=1, holds=(PRODUCTION,)),), TIP),
        "versions": versions,
        "all versions": replace(versions, model=None),
        "details": VersionDetails(shown, (PRODUCTION,), mark, TIP, "churn@v2.0.0", JANE, NOON, (transition,), (text,)),
        "history": History((transition,)),
        "comparison": compare(subjects, POLICY.metrics),
        "choice": choose_best(
            CHURN,
            versions.versions,
            ["auc"],
            POLICY.metrics,
            [parse_constraint("latency_ms<=100")],
            stage=PRODUCTION,
        ),
        **make_receipts(text),
        "pulled": Pulled(
            CHURN, Version(2), Path("/models/model.pkl"), True, "2" * 64, 96426, commit=TIP, branch="main"
        ),
        "sync": SyncReport(
            ("churn@v2.0.0", "churn#production#1"), 3, (transition,), (Finding("tag-moved", text, text),)
        ),
        "pushed": make_pushed(text),
        "diagnosis": Diagnosis((Check("git", ok=True, message="2.39.5"), Check("identity", False, text, text))),
    }


def make_pushed(text: str) -> Pushed:
    """Returns a push that both conflicts and a rule stand against."""
    ours, theirs = (Commit(each * 40, text, text, NOON, text) for each in "ab")
    conflict = PushConflict(Matter.STAGE, text, text, ours, text, theirs, text, "mreg push --drop a", "mreg sync")
    return Pushed(
        branch="main",
        remote="origin",
        before=TIP,
        commit=None,
        commits=(PushedCommit(ours, Way.REMADE, "b" * 40),),
        tags=("churn#production#1",),
        replaced=("churn#production#2",),
        uploaded=48213,
        conflicts=(conflict, replace(conflict, theirs=None)),
        complaints=(Fault("rule-who", text, text, fix=text),),
        settle="mreg push --drop a",
        notices=(text,),
    )


def make_bare_details() -> VersionDetails:
    """Returns a version of which as little as possible is known."""
    record = Record(
        CHURN, Version(1), Artifact("model", 10, md5="", sha256="", files=2), adopted=Adopted("churn@v1.0.0")
    )
    return VersionDetails(record, (), None, None, None, "", None, ())

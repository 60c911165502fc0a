"""What a review finds: what the difference between two commits does to the registry, and whether it may land.

``review`` makes one; ``render`` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from mreg.core.history.record import Record
from mreg.core.history.timeline import Transition
from mreg.core.names import ARCHIVED, ModelName, StageName, Version
from mreg.core.review.gates import GateFinding, Judgement, Outcome
from mreg.core.review.refusals import format_finding
from mreg.core.settings.changed import SettingChange
from mreg.core.settings.people import Actor
from mreg.core.settings.policy import ApprovalRule, Policy
from mreg.core.versions.compare import Comparison

__all__ = [
    "Fault",
    "GivenApproval",
    "HoldChange",
    "Registration",
    "Review",
    "ReviewedChange",
    "SettingsReview",
    "name_able",
]


def name_able(policy: Policy, roles: Iterable[str]) -> str:
    """Returns who may do what some roles may."""
    names = dict.fromkeys(name for role in roles for name in policy.people.roles.get(role, ()))
    return f"one of them may: {', '.join(names) or 'nobody'}"


class Fault(Struct, frozen=True):
    """One reason why a difference may not land, and what mends it."""

    code: str
    """A stable slug, the same that an audit gives once it has landed."""
    place: str
    """The file."""
    message: str
    line: int | None = None
    """From 1; ``None`` where none is to blame."""
    fix: str = ""
    """A command that works when pasted, or advice; may be empty."""


class ReviewedChange(Struct, frozen=True):
    """One transition, and what the rules of the base say of it."""

    transition: Transition
    path: str
    """The file that was changed."""
    judgement: Judgement
    actor: Actor
    """Who makes it; where several people changed the file, one who may not."""
    approvals: ApprovalRule = field(default_factory=ApprovalRule)
    """What the stage asks for; nothing of what is no promotion."""
    record: Record | None = None
    """Of the version that the stage is to hold; ``None`` where there is none, or it cannot be read."""
    is_known: bool = True
    """False where there is no such version."""
    comparison: Comparison | None = None
    """With the version replaced; ``None`` where one of the two is missing."""
    line: int | None = None
    """Where the file names the version."""
    steps: tuple[str, ...] = ()
    """What to do about each refusal of ``judgement``, in their order."""

    @property
    def next_step(self) -> str:
        """What to do first; empty where nothing is refused."""
        return next(iter(self.steps), "")

    @property
    def lacking(self) -> int:
        """How many approvals are missing."""
        return max(0, self.approvals.count - len(self.judgement.tally.approvers))

    @property
    def title(self) -> str:
        """What happens, in words."""
        move = self.transition
        if move.stage == ARCHIVED:
            return (
                f"{move.model} {move.target} is archived" if move.target else f"{move.model} {move.source} is taken out"
            )
        source, target = (str(each or "nothing") for each in (move.source, move.target))
        return f"{move.model} {move.stage}: {source} → {target} ({move.action.value})"


class Registration(Struct, frozen=True):
    """One version whose record appears."""

    model: ModelName
    version: Version
    path: str
    record: Record | None = None
    """``None`` where it cannot be read."""


class SettingsReview(Struct, frozen=True):
    """A change of ``registry.yaml``, judged by the settings that it would replace."""

    path: str
    changes: tuple[SettingChange, ...] = ()
    """Empty where only comments or layout differ."""
    actors: tuple[Actor, ...] = ()
    """Everyone who changed the file."""
    findings: tuple[GateFinding, ...] = ()
    is_there: bool = True
    """False where it would be deleted, or no YAML: then nobody knows what it changes."""


class GivenApproval(Struct, frozen=True):
    """One approval file that appears."""

    path: str
    model: ModelName
    version: Version
    stage: StageName
    actor: Actor | None = None
    """Who approves; ``None`` where the file cannot be read."""
    reason: str = ""
    code: str = ""
    """Why it does not count, as a slug; empty where it counts."""
    why: str = ""
    """The same in words."""


class HoldChange(Struct, frozen=True):
    """A stage that is held afterwards against automatic promotions, or no more."""

    path: str
    model: ModelName
    stage: StageName
    is_set: bool
    actor: Actor
    findings: tuple[GateFinding, ...] = ()
    """Empty where it comes with a transition, which is asked itself."""


class Review(Struct, frozen=True):
    """What a difference does to the registry, and whether it may land."""

    base: str
    """The commit whose rules judge."""
    head: str
    """The commit, or the tree of the index."""
    base_name: str = ""
    """What people call the base, such as ``origin/main``."""
    is_staged: bool = False
    """True where ``head`` is the index."""
    is_draft: bool = False
    """True where it lands on a branch of its own first: what is to be approved need not be so yet."""
    policy: Policy = field(default_factory=Policy)
    """The settings of the base."""
    changes: tuple[ReviewedChange, ...] = ()
    registrations: tuple[Registration, ...] = ()
    settings: SettingsReview | None = None
    """``None`` where ``registry.yaml`` stays as it is."""
    approvals: tuple[GivenApproval, ...] = ()
    holds: tuple[HoldChange, ...] = ()
    faults: tuple[Fault, ...] = ()
    """What no rule of a stage is about: files that nobody may change, that cannot be read, that do not belong there."""
    notices: tuple[str, ...] = ()
    co_authors: tuple[str, ...] = ()
    """Whom the message of a squash must name, ``Bo <bo@example.com>``: they approved without a signature."""

    def __repr__(self) -> str:
        """Returns what would change, and whether it may."""
        said = [change.title for change in self.changes] + [
            f"{each.model} {each.version}" for each in self.registrations
        ]
        verdict = "may land" if self.ok else f"may not land: {self.complaints[0].message}"
        return f"<Review of {', '.join(said) or 'no version'}: {verdict}>"

    @property
    def ok(self) -> bool:
        """True where it may land."""
        return not self.complaints

    @property
    def changed(self) -> bool:
        """True where anything of the registry changes."""
        found = (self.changes, self.registrations, self.approvals, self.holds, self.faults, self.notices)
        return self.settings is not None or any(found)

    @property
    def complaints(self) -> tuple[Fault, ...]:
        """Every reason why it may not land: what gates refuse, then faults."""
        return (*self._refusals(), *self.faults)

    def is_allowed(self, change: ReviewedChange) -> bool:
        """Returns whether one transition may land."""
        return not self._refused(change.judgement.refusals)

    def _refusals(self) -> Iterator[Fault]:
        for change in self.changes:
            steps = dict(zip(change.judgement.refusals, change.steps, strict=True))
            for finding in self._refused(change.judgement.refusals):
                message = f"{change.title}: {format_finding(finding)}"
                is_unknown = finding.rule == "record" and not change.is_known
                code = "unknown-version" if is_unknown else f"rule-{finding.rule}"
                yield Fault(code, change.path, message, change.line, steps[finding])
        for hold in self.holds:
            what = f"{hold.model} {hold.stage}: the hold is {'set' if hold.is_set else 'released'}"
            for finding in self._refused(hold.findings):
                fix = name_able(self.policy, self.policy.stages[hold.stage].who)
                yield Fault(f"rule-{finding.rule}", hold.path, f"{what}: {format_finding(finding)}", fix=fix)
        if self.settings:
            for finding in self._refused(self.settings.findings):
                message = f"the settings: {format_finding(finding)}"
                fix = name_able(self.policy, self.policy.owners)
                yield Fault("policy-not-by-owner", self.settings.path, message, fix=fix)

    def _refused(self, findings: tuple[GateFinding, ...]) -> list[GateFinding]:
        is_pardoned = self.is_draft
        return [
            each for each in findings if each.outcome is Outcome.FAIL and not (is_pardoned and each.rule == "approvals")
        ]

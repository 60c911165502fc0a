"""The settings of a registry: ``registry.yaml``, written by people.

Rules:
    * Every key is optional but ``schema``; unknown keys are errors that name the nearest known one.
    * The stages come in the order of the file, which is the order that a version is meant to take.
    * The rules in force for a change are those of its parent commit, the people and keys among them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum

from msgspec import Struct, field

from mreg.core.fields import UPGRADE, Fields
from mreg.core.layout import DVC_FILE, SETTINGS_FILE, Layout
from mreg.core.names import ModelName, StageName, is_branch_name, parse_stage_name
from mreg.core.patterns import find_pattern_fault
from mreg.core.settings.people import People, parse_people
from mreg.core.settings.retention import Retention, parse_retention
from mreg.core.settings.rules import Gate, parse_gates
from mreg.core.settings.sinks import Sink, parse_sinks
from mreg.errors import NamingError, NotFoundError

__all__ = [
    "ApprovalRule",
    "Direction",
    "MetricRule",
    "OnReplace",
    "Policy",
    "Signatures",
    "StageRule",
    "parse_policy",
]

SCHEMA = 1
DEFAULT_BRANCH = "main"
_DEFAULT_STAGES = (StageName("staging"), StageName("production"))
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_FORMAT = r"[,_]?(?:\.[0-9]{1,2})?[eEfFgG%]?"
_AUTHOR = "author"


class Direction(str, Enum):
    """Which way a metric is better."""

    HIGHER = "higher"
    LOWER = "lower"


class OnReplace(str, Enum):
    """What happens to the version that a promotion replaces."""

    KEEP = "keep"
    ARCHIVE = "archive"


class MetricRule(Struct, frozen=True, repr_omit_defaults=True):
    """How a metric is read."""

    direction: Direction | None = None
    """``None`` where neither way is better."""
    unit: str = ""
    """Written behind the value, such as ``ms``."""
    format: str = ""
    """Of Python's format specifications the grouping, the precision and the kind: ``.3f``, ``,.0f``, ``.1%``."""


class Signatures(str, Enum):
    """Whether the statements of a stage's changes and approvals must be signed."""

    OPTIONAL = "optional"
    REQUIRED = "required"


class ApprovalRule(Struct, frozen=True, repr_omit_defaults=True):
    """Who must agree before a version enters a stage."""

    count: int = 0
    """Persons, not keys or addresses."""
    by: tuple[str, ...] = ()
    """Roles; empty for anyone."""
    not_author: bool = False
    """True where whoever proposes the promotion cannot approve it."""


class StageRule(Struct, frozen=True, repr_omit_defaults=True):
    """What one stage asks for."""

    origin: tuple[StageName, ...] = ()
    """``from:``: a version enters only out of one of these; empty allows any."""
    on_replace: OnReplace = OnReplace.KEEP
    gates: tuple[Gate, ...] = ()
    approvals: ApprovalRule = ApprovalRule()
    who: tuple[str, ...] = ()
    """Roles that may change the stage; empty for anyone."""
    signatures: Signatures = Signatures.OPTIONAL
    auto: bool = False
    """True where ``sync`` promotes what passes the gates."""


class Policy(Struct, frozen=True, repr_omit_defaults=True):
    """All settings."""

    root: str = "registry"
    """Folder of the registry's files."""
    branch: str = DEFAULT_BRANCH
    """The registry branch."""
    stages: Mapping[StageName, StageRule] = field(default_factory=lambda: dict.fromkeys(_DEFAULT_STAGES, StageRule()))
    metrics: Mapping[str, MetricRule] = field(default_factory=dict)
    naming: str = ""
    """A regular expression that every model name must match as a whole; empty allows all."""
    people: People = field(default_factory=People)
    notify: tuple[Sink, ...] = ()
    owners: tuple[str, ...] = ()
    """Roles that may change ``registry.yaml``; empty for anyone."""
    push: bool = False
    """True where writers push what they land."""
    retention: Retention = field(default_factory=Retention)
    """Which versions' bytes ``gc`` keeps."""

    @property
    def layout(self) -> Layout:
        """Where the files are."""
        return Layout(self.root)

    def stage(self, name: StageName) -> StageRule:
        """Returns the rule of a declared stage.

        Raises:
            NotFoundError: The stage is not declared.
        """
        rule = self.stages.get(name)
        if rule is None:
            known = ", ".join(self.stages)
            raise NotFoundError(
                f"stage {name!r} is not declared in registry.yaml",
                hint=f"the stages are: {known} (what is committed counts)",
                details={"stage": name, "known": list(self.stages)},
            )
        return rule

    def allows_name(self, model: str) -> bool:
        """Returns whether ``naming:`` allows a new model's name."""
        return not self.naming or re.fullmatch(self.naming, model) is not None

    def check_name(self, model: ModelName) -> None:
        """Refuses a new model's name that ``naming:`` does not allow.

        Raises:
            NamingError: It does not match.
        """
        if not self.allows_name(model):
            raise NamingError(
                f"{model!r} does not match naming: {self.naming} in registry.yaml",
                hint="choose a name of that form, or change naming: in registry.yaml",
                details={"model": model, "naming": self.naming},
            )


def parse_policy(fields: Fields) -> Policy:
    """Returns what ``registry.yaml`` says.

    Raises:
        DataError: A key is unknown or has a value that cannot be.
    """
    if not fields.has("schema"):
        raise fields.error(
            "schema",
            "required, but missing: is the file another tool's?",
            hint=f"git mv {SETTINGS_FILE} registry.other.yaml   # or, if it is mreg's: write schema: {SCHEMA} into it",
        )
    schema = fields.required_integer("schema")
    if schema != SCHEMA:
        raise fields.error("schema", f"schema {schema} is not known to this mreg, which reads {SCHEMA}", hint=UPGRADE)
    metrics, people = _parse_metrics(fields), parse_people(fields)
    stages = _parse_stages(fields, people, [name for name, rule in metrics.items() if rule.direction])
    policy = Policy(
        root=_parse_root(fields),
        branch=_parse_branch(fields),
        stages=stages,
        metrics=metrics,
        naming=_parse_naming(fields),
        people=people,
        notify=parse_sinks(fields, stages),
        owners=_parse_roles(fields, "owners", people),
        push=fields.boolean("push"),
        retention=parse_retention(fields.section("retention")),
    )
    fields.finish()
    return policy


def _parse_root(fields: Fields) -> str:
    root = fields.text("root", "registry")
    if not all(_SEGMENT.fullmatch(part) for part in root.split("/")) or root in {SETTINGS_FILE, DVC_FILE}:
        raise fields.error("root", f"{root!r} is not a folder of this repository", hint="root: registry")
    return root


def _parse_branch(fields: Fields) -> str:
    branch = fields.text("branch", DEFAULT_BRANCH)
    if not is_branch_name(branch):
        raise fields.error("branch", f"{branch!r} is not a branch name", hint="branch: main")
    return branch


def _parse_stages(fields: Fields, people: People, directions: Collection[str]) -> dict[StageName, StageRule]:
    if not fields.has("stages"):
        return dict(Policy().stages)
    sections = fields.sections("stages")
    names: dict[str, StageName] = {}
    for name, _ in sections:
        try:
            names[name] = parse_stage_name(name)
        except NamingError as error:
            raise fields.error(f"stages.{name}", error.message, hint=error.hint) from error
    rules: dict[StageName, StageRule] = {}
    for name, section in sections:
        rules[names[name]] = StageRule(
            origin=_parse_origin(section, names[name], names),
            on_replace=section.choice("on_replace", OnReplace, OnReplace.KEEP),
            gates=parse_gates(section, names, directions),
            approvals=_parse_approvals(section, people),
            who=_parse_roles(section, "who", people),
            signatures=section.choice("signatures", Signatures, Signatures.OPTIONAL),
            auto=section.boolean("auto"),
        )
        section.finish()
    if not rules:
        raise fields.error("stages", "at least one stage is needed", hint="stages: {staging: {}, production: {}}")
    return rules


def _parse_origin(section: Fields, stage: StageName, names: Mapping[str, StageName]) -> tuple[StageName, ...]:
    value = section.value("from")
    origin = (value,) if isinstance(value, str) else section.texts("from")
    for name in origin:
        if name not in names:
            raise section.error("from", f"stage {name!r} is not declared", hint="the stages are: " + ", ".join(names))
        if name == stage:
            raise section.error("from", "a version does not enter a stage from that stage")
    return tuple(names[name] for name in origin)


def _parse_approvals(stage: Fields, people: People) -> ApprovalRule:
    section = stage.section("approvals")
    if section is None:
        return ApprovalRule()
    rule = ApprovalRule(section.required_integer("count"), _parse_roles(section, "by", people), _parse_not(section))
    section.finish()
    if rule.by:
        able = {name for role in rule.by for name in people.roles[role]}
        if len(able) < rule.count:
            message = f"{rule.count} people must approve, but {' and '.join(rule.by)} has {len(able)}"
            raise section.error("count", message, hint="add people to the role, or lower count:")
    return rule


def _parse_not(section: Fields) -> bool:
    excluded = section.texts("not")
    for word in excluded:
        if word != _AUTHOR:
            raise section.error("not", f"{word!r} is not known here", hint=f"not: [{_AUTHOR}]")
    return bool(excluded)


def _parse_roles(section: Fields, key: str, people: People) -> tuple[str, ...]:
    roles = section.texts(key)
    for role in roles:
        if role not in people.roles:
            known = ", ".join(people.roles) or "none"
            raise section.error(key, f"role {role!r} is not declared in roles:", hint=f"the roles are: {known}")
    return roles


def _parse_metrics(fields: Fields) -> dict[str, MetricRule]:
    rules: dict[str, MetricRule] = {}
    for name, section in fields.sections("metrics"):
        rule = MetricRule(
            direction=section.choice("direction", Direction, None),
            unit=section.text("unit"),
            format=section.text("format"),
        )
        if not re.fullmatch(_FORMAT, rule.format):
            raise section.error("format", f"{rule.format!r} is not a number format", hint="format: .3f")
        section.finish()
        rules[name] = rule
    return rules


def _parse_naming(fields: Fields) -> str:
    naming = fields.text("naming")
    if not naming:
        return naming
    try:
        re.compile(naming)
    except (re.error, OverflowError, RecursionError) as error:
        raise fields.error("naming", f"{naming!r} is not a regular expression: {error}") from error
    fault = find_pattern_fault(naming)
    if fault:
        raise fields.error("naming", fault, hint="naming: '[a-z]+(_[a-z0-9]+)*'   # parts between separators")
    return naming

"""Workflows of GitHub Actions: the known mistakes that break a registry, or open it to whoever can write a text.

Rules:
    * A workflow is read as data, and what is not of its form is passed over: GitHub itself says what it refuses.
    * A job runs mreg where a step calls it in a script, or uses an action whose repository or folder is named mreg.
    * Text of others is all that someone without write access, or a registry, can fill: titles, branch names, inputs,
      outputs.  Numbers and ids are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

__all__ = ["Flaw", "examine_workflow"]

Path = tuple[str | int, ...]
Section = Mapping[object, object]

_MREG_ACTION = re.compile(r"(?:[^@\s]*/)?\.?mreg(?:@\S*)?|[^@\s/]+/mreg/[^@\s]+@\S*")
_MREG_CALL = re.compile(r"(?:^|[\s;&|(])(?:[^\s;&|()]*/)?mreg(?:\s+-C\s+\S+)?\s+(?P<verb>[a-z]+)", re.MULTILINE)
_NEEDS_HISTORY = frozenset({
    "approve", "archive", "check", "clear", "history", "hold", "plan", "promote", "register", "rollback", "sync",
    "verify",
})  # fmt: skip
_REVIEWS = frozenset({"check", "plan"})
_CHECKOUT = "actions/checkout@"
_PINNED = re.compile(r"[^@\s]+@[0-9a-f]{40}|docker://[^\s]+@sha256:[0-9a-f]{64}|(?:\.{1,2}|\$)/.*")
_EXPRESSION = re.compile(r"\$\{\{(?P<body>.*?)\}\}", re.DOTALL)
_OTHERS_TEXT = re.compile(
    r"\b(?:github\.(?:head_ref|ref_name|ref\b|event\b)|inputs\b|env\b|(?:steps|needs|jobs)\.[\w-]+\.outputs\b"
    r"|to[jJ][sS][oO][nN]\(\s*github\s*\))"
)
_INERT = re.compile(r"github\.event(?:\.\w+)*\.(?:number|id|node_id|sha|before|after|action|merged|draft|run_id)\b")
_HEAD = re.compile(r"github\.head_ref|github\.event\.pull_request\.(?:head|number|merge_commit_sha)|refs/pull/")
_TAGS = ("churn@v1.0.0", "churn#production#1", "churn#production!#2")
"""What mreg's tags look like."""


class Flaw(Struct, frozen=True):
    """One mistake in a workflow."""

    rule: str
    """A slug for programs."""
    path: Path
    """Keys and positions that lead to it."""
    message: str
    fix: str
    is_note: bool = False
    """True for what is no mistake, but surprises."""


class _Step(Struct, frozen=True):
    path: Path
    uses: str
    script: str
    """Of ``run:``, or of the action that runs JavaScript."""
    script_key: Path
    inputs: Section

    @property
    def verbs(self) -> list[str]:
        """The commands of mreg that it runs."""
        if self.is_action:
            return str(self.inputs.get("command", "")).split()[:1]
        return [match["verb"] for match in _MREG_CALL.finditer(self.script)] if not self.uses else []

    @property
    def is_action(self) -> bool:
        return bool(_MREG_ACTION.fullmatch(self.uses))

    @property
    def is_checkout(self) -> bool:
        return self.uses.startswith(_CHECKOUT)


class _Job(Struct, frozen=True):
    path: Path
    document: Section
    steps: tuple[_Step, ...]
    permissions: object
    """Its own, or those of the workflow; ``None`` where neither says any."""
    permissions_path: Path

    @property
    def verbs(self) -> set[str]:
        return {verb for step in self.steps for verb in step.verbs}


def examine_workflow(document: object) -> tuple[Flaw, ...]:
    """Returns the mistakes of one workflow, in the order of the file's jobs.

    Args:
        document: What its YAML says, with ``on`` as text.
    """
    workflow = _section(document)
    triggers = _triggers(workflow.get("on"))
    jobs = [_job(workflow, name, job) for name, job in _section(workflow.get("jobs")).items() if isinstance(name, str)]
    flaws = [*_tag_triggers(triggers)]
    for job in jobs:
        flaws += [
            *_missing_permissions(job),
            *_write_permissions(job, triggers),
            *_head_checkout(job, triggers),
            *_shallow_checkout(job),
            *_unpinned(job),
            *_injections(job),
            *_silent_pushes(job),
        ]
    return tuple(flaws)


def _section(value: object) -> Section:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _triggers(value: object) -> Section:
    return value if isinstance(value, Mapping) else dict.fromkeys(_items(value))


def _job(workflow: Section, name: str, value: object) -> _Job:
    job, path = _section(value), ("jobs", name)
    steps = tuple(_step((*path, "steps", at), step) for at, step in enumerate(_items(job.get("steps"))))
    own = "permissions" in job
    holder = job if own else workflow
    return _Job(path, job, steps, holder.get("permissions"), (*path, "permissions") if own else ("permissions",))


def _step(path: Path, value: object) -> _Step:
    step = _section(value)
    inputs, uses = _section(step.get("with")), step.get("uses")
    if "run" in step:
        return _Step(path, "", str(step["run"]), (*path, "run"), inputs)
    return _Step(path, str(uses or ""), str(inputs.get("script", "")), (*path, "with", "script"), inputs)


def _tag_triggers(triggers: Section) -> Iterator[Flaw]:
    patterns = _items(_section(triggers.get("push")).get("tags"))
    for at, pattern in enumerate(patterns):
        text = str(pattern)
        if not text.startswith("!") and (set(text) & set("@#") or any(fnmatchcase(tag, text) for tag in _TAGS)):
            yield Flaw(
                "tag-trigger",
                ("on", "push", "tags", at),
                f"tags {text!r} start it, but a push of more than three tags starts nothing, nor does one of mreg sync",
                "on: {push: {branches: [main], paths: ['registry/**']}}, and the outputs of mreg sync",
            )


def _missing_permissions(job: _Job) -> Iterator[Flaw]:
    if job.permissions_path == ("permissions",) and job.permissions is None:
        message = f"job {job.path[-1]} has no permissions: its token may do what the repository's setting says"
        yield Flaw("missing-permissions", job.path, message, "permissions: {contents: read}")


def _write_permissions(job: _Job, triggers: Section) -> Iterator[Flaw]:
    if not job.verbs & _REVIEWS or not {"pull_request", "pull_request_target"} & set(map(str, triggers)):
        return
    granted = job.permissions
    scopes = [str(scope) for scope, level in _section(granted).items() if level == "write"]
    if granted == "write-all":
        scopes = ["write-all"]
    if scopes:
        yield Flaw(
            "write-permissions",
            job.permissions_path,
            f"the check of pull requests may write ({', '.join(scopes)}): reading is all that it needs",
            "permissions: {contents: read}; comment in a job of its own, which runs nothing of the pull request",
        )


def _head_checkout(job: _Job, triggers: Section) -> Iterator[Flaw]:
    if "pull_request_target" not in triggers:
        return
    for step in job.steps:
        if step.is_checkout and _HEAD.search(str(step.inputs.get("ref", ""))):
            yield Flaw(
                "target-checkout",
                (*step.path, "with", "ref"),
                "pull_request_target checks out the pull request's code, with secrets and a token that can write",
                "on: pull_request",
            )


def _shallow_checkout(job: _Job) -> Iterator[Flaw]:
    shallow: _Step | None = None
    for step in job.steps:
        if step.is_checkout:
            is_deep = str(step.inputs.get("fetch-depth", 1)) == "0"
            shallow = None if is_deep else step
        elif "--unshallow" in step.script:
            shallow = None
        elif shallow and _NEEDS_HISTORY.intersection(step.verbs) and not _fetches_itself(step, shallow):
            key = ("with", "fetch-depth") if "fetch-depth" in shallow.inputs else ()
            verb = next(verb for verb in step.verbs if verb in _NEEDS_HISTORY)
            message = f"mreg {verb} needs the whole history and all tags, and this fetches a part"
            yield Flaw("shallow-checkout", (*shallow.path, *key), message, "with: {fetch-depth: 0}")
            shallow = None


def _fetches_itself(step: _Step, checkout: _Step) -> bool:
    # The action completes the clone, where the checkout has left it the means to.
    return step.is_action and str(checkout.inputs.get("persist-credentials", "true")).lower() != "false"


def _unpinned(job: _Job) -> Iterator[Flaw]:
    called = [((*step.path, "uses"), step.uses) for step in job.steps]
    called.append(((*job.path, "uses"), str(job.document.get("uses") or "")))
    for path, uses in called:
        if uses and not _PINNED.fullmatch(uses):
            name = uses.partition("@")[0]
            message = f"{uses} is not pinned: whoever moves that tag or branch runs code here"
            yield Flaw("unpinned-action", path, message, f"uses: {name}@<the commit, 40 digits> # <the version>")


def _injections(job: _Job) -> Iterator[Flaw]:
    matrix = _section(job.document.get("strategy")).get("matrix")
    has_filled_matrix = "${{" in str(matrix)
    for step in job.steps:
        for match in _EXPRESSION.finditer(step.script):
            body = match["body"].strip()
            rest = _INERT.sub("", body)
            if _OTHERS_TEXT.search(rest) or (has_filled_matrix and re.search(r"\bmatrix\b", rest)):
                yield Flaw(
                    "script-injection",
                    step.script_key,
                    f"${{{{ {body} }}}} becomes part of the script: whoever writes that text writes the script",
                    f"env: {{TEXT: '${{{{ {body} }}}}'}}, and \"$TEXT\" in the script",
                )
                break


def _silent_pushes(job: _Job) -> Iterator[Flaw]:
    checkout = next((step for step in job.steps if step.is_checkout), None)
    for step in job.steps:
        text = f"mreg {step.inputs.get('command', '')}" if step.is_action else step.script
        pushes = re.search(r"\bmreg\s[^\n]*--push\b", text) or (step.verbs and re.search(r"\bgit\s+push\b", text))
        if pushes and not (checkout and (checkout.inputs.get("token") or checkout.inputs.get("ssh-key"))):
            yield Flaw(
                "silent-push",
                step.path,
                "what is pushed with the token of the job starts no other workflow",
                "needs: this job, and its outputs; or a deploy key: with: {ssh-key: …} of actions/checkout",
                is_note=True,
            )
            return

"""A registry with people, keys, rules and a clean history, to plant threats in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest  # noqa: TC002 - a test helper, beside what imports it anyway
from msgspec.structs import replace

from mreg import Registry
from mreg.core.history.statements import Namespace, artifact_name
from mreg.core.layout import Layout
from mreg.core.names import ModelName, StageName, parse_version
from mreg.core.review.approvals import Approval, approval_id, encode_approval, format_approval
from mreg.core.review.audited import Audit
from mreg.registry.review import auditing, replaying
from mreg.stores import yaml
from mreg.stores.git.history import stretches
from mreg.stores.signatures.keys import Signer
from tests.conftest import Git, become

LAYOUT, CHURN = Layout(), ModelName("churn")
STAGING, PRODUCTION = StageName("staging"), StageName("production")
METRICS = (0.95, 0.92, 0.5, 0.99)
"""AUC of each version; the third may go nowhere."""
PEOPLE = ("ada", "bo", "cy")
SETTINGS = """\
schema: 1
people:
{people}
roles:
  managers: [ada, bo]
  reviewers: [bo, cy]
  owners: [ada]
owners: [owners]
stages:
  staging:
    gates:
    - metric: auc
      min: 0.6
  production:
    gates:
    - metric: auc
      min: 0.9
    approvals:
      count: 1
      by: [reviewers]
      not: [author]
    who: [managers]
    signatures: required
"""


@dataclass
class World:
    """One registry; whoever ``become`` names commits and signs."""

    repo: Path
    keys: Path
    git: Git
    monkeypatch: pytest.MonkeyPatch

    @property
    def registry(self) -> Registry:
        return Registry.open(self.repo)

    def become(self, name: str) -> None:
        become(name, self.monkeypatch)
        self.git("config", "gpg.format", "ssh", cwd=self.repo)
        self.git("config", "user.signingkey", str(self.keys / name), cwd=self.repo)

    def key(self, name: str) -> str:
        return (self.keys / f"{name}.pub").read_text(encoding="utf-8").strip()

    def settings(self, *names: str, **keys: str) -> str:
        """Returns settings with some people; ``keys`` gives some of them other keys."""
        lines = [
            f"  {name}: {{emails: [{name}@example.com], keys: ['{self.key(keys.get(name, name))}']}}"
            for name in names or PEOPLE
        ]
        return SETTINGS.format(people="\n".join(lines))

    def commit(self, files: Mapping[str, str | None], message: str = "By hand", *, who: str = "ada") -> str:
        """Commits files of the worktree by hand, and returns the commit."""
        self.become(who)
        for path, text in files.items():
            file = self.repo / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        self.git("add", "--all", "--", *files, cwd=self.repo)
        self.git("commit", "--quiet", "--allow-empty", "--file=-", cwd=self.repo, input=message)
        return self.git("rev-parse", "HEAD", cwd=self.repo)

    def read(self, path: str) -> str:
        return (self.repo / path).read_text(encoding="utf-8")

    def edit(self, stage: str, version: str, *, who: str = "ada") -> str:
        """Changes the version in a stage file, and nothing else, and makes the tag."""
        path = LAYOUT.stage(CHURN, StageName(stage))
        lines = self.read(path).splitlines() if (self.repo / path).exists() else ["version: none"]
        lines = [f"version: {version}" if line.startswith("version:") else line for line in lines]
        commit = self.commit({path: "\n".join(lines) + "\n"}, who=who)
        self.registry.sync()
        return commit

    def promote(self, version: str, stage: str = "production", *, who: str = "ada") -> None:
        self.become(who)
        self.registry.promote(f"churn@{version}", stage, reason="better")

    def force(self, version: str, stage: str = "production", *, who: str = "ada") -> None:
        """Lands a signed promotion that no gate of the registry branch has seen."""
        self.become(who)
        self.registry.promote(f"churn@{version}", stage, reason="better", branch="forced")
        self.git("merge", "--quiet", "--ff-only", "forced", cwd=self.repo)
        self.git("branch", "--quiet", "-D", "forced", cwd=self.repo)
        self.registry.sync()

    def approve(self, version: str, stage: str = "production", *, who: str = "bo", branch: str | None = None) -> None:
        self.become(who)
        self.registry.approve(f"churn@{version}", stage, branch=branch)

    def approval(self, version: str, stage: StageName = PRODUCTION, *, by: str = "bo") -> Approval:
        """Returns what an approval would say now."""
        record = self.registry.show(f"churn@{version}").record
        holder = {each.model: each for each in self.registry.list().models}[CHURN].stages[stage]
        return Approval(CHURN, record.version, stage, artifact_name(record.artifact), holder, f"{by}@example.com")

    def plant(self, approval: Approval, *, signer: str, who: str, at: tuple[str, StageName] | None = None) -> str:
        """Commits an approval signed by some key, below some version and stage, and returns its path."""
        key = Signer(self.repo, "ssh-keygen", path=self.keys / signer)
        signed = replace(approval, signature=key.sign(encode_approval(approval), Namespace.APPROVAL.value))
        version, stage = (parse_version(at[0]), at[1]) if at else (approval.version, approval.stage)
        path = LAYOUT.approval(CHURN, version, stage, approval_id(approval))
        self.commit({path: yaml.dump(format_approval(signed))}, "Approve", who=who)
        return path

    def tag(self, name: str, **changes: str) -> None:
        """Makes a tag anew with some lines of its object changed: ``object``, ``tag``, ``tagger`` or ``message``."""
        content = self.git("cat-file", "tag", f"refs/tags/{name}", cwd=self.repo)
        head, _, message = content.partition("\n\n")
        lines = dict(line.split(" ", 1) for line in head.split("\n"))
        message = changes.pop("message", message)
        text = "\n".join(f"{key} {value}" for key, value in (lines | changes).items()) + f"\n\n{message}\n"
        oid = self.git("hash-object", "-t", "tag", "-w", "--stdin", cwd=self.repo, input=text)
        self.git("update-ref", f"refs/tags/{name}", oid, cwd=self.repo)

    def oid(self, rev: str) -> str:
        return self.git("rev-parse", rev, cwd=self.repo)

    def verify(self, *, since: str | None = None, remote: bool = False) -> Audit:
        """Returns what an audit finds.

        Where all is judged, what was new is judged before, and must be the same; then all of it in very small pieces.
        """
        news = None if since or remote else self.registry.verify(incremental=True)
        with self.monkeypatch.context() as small:
            small.setattr(stretches, "STRETCH", 3)
            small.setattr(replaying, "MOST_RECORDS", 1)
            small.setattr(auditing, "BATCH", 2)
            found = self.registry.verify(since=since, remote=remote)
        if news and found.complete:  # where nothing is new, nobody misses an object
            assert (news.faults, news.complete) == (found.faults, True)
        return found

    def faults(self, *, since: str | None = None, remote: bool = False) -> list[tuple[str, str]]:
        """Returns code and place of each fault."""
        return [(fault.code, fault.place) for fault in self.verify(since=since, remote=remote).faults]


class Worlds:
    """Gives each test a world of its own: one is made, the others are copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, repo: Path, to: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> World:
        made, keys = self.folder / "repo", self.folder / "keys"
        if not made.exists():
            keys.mkdir(parents=True)
            for name in (*PEOPLE, "eve", "new"):
                command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(keys / name)]
                subprocess.run(command, check=True)
            _build(World(repo, keys, git, monkeypatch), to)
            shutil.copytree(repo, made)
        elif repo.exists():
            shutil.rmtree(repo)
            shutil.copytree(made, repo)
        monkeypatch.chdir(repo)
        world = World(repo, keys, git, monkeypatch)
        world.become("ada")
        git.clock.now += 1000  # later than all that the copy holds
        return world


def _build(world: World, scratch: Path) -> None:
    world.become("ada")
    Registry.init(world.repo)
    world.commit({"registry.yaml": world.settings()}, "Set the rules")
    for number, auc in enumerate(METRICS, 1):
        path = scratch / "model.bin"
        path.write_bytes(b"model %d" % number)
        world.registry.register("churn", path, metrics={"auc": auc})
    world.promote("v1", "staging")
    world.approve("v1")
    world.promote("v1")
    assert world.registry.verify().ok  # which is noted, so that later audits can begin here

"""The files that a Git host needs beside a registry: workflows, owners, rulesets; of ``mreg init --github``.

They are templates that ship with mreg, filled in once: from then on they are the user's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files

from msgspec import Struct

from mreg.core.settings.policy import Policy
from mreg.core.setup.hosting import Host, Source, find_repository_name, parse_source
from mreg.errors import MregError, UsageError
from mreg.stores.git.repository import GitRepository
from mreg.stores.installation import find_origin
from mreg.stores.surroundings import strip_credentials

__all__ = ["Hosting", "HostingFiles", "open_hosting", "plan_hosting"]

_CHECKOUT = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2"
_OWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks; the first that is there counts."""
_PLACES: Mapping[Host, Mapping[str, str]] = {
    Host.GITHUB: {
        "mreg-check.yml": ".github/workflows/mreg-check.yml",
        "mreg-sync.yml": ".github/workflows/mreg-sync.yml",
        "mreg-promote.yml": ".github/workflows/mreg-promote.yml",
        "mreg-rollback.yml": ".github/workflows/mreg-rollback.yml",
        "CODEOWNERS": _OWNERS[0],
        "README.md": ".github/rulesets/README.md",
        "mreg-branch.json": ".github/rulesets/mreg-branch.json",
        "mreg-tags.json": ".github/rulesets/mreg-tags.json",
    },
    Host.GITLAB: {"mreg.gitlab-ci.yml": ".gitlab/mreg.gitlab-ci.yml"},
}
"""Template → path in the repository."""
_LEFT = {
    Host.GITHUB: "still to do on GitHub: import the rulesets (.github/rulesets/README.md), and make an environment for "
    "each stage under Settings → Environments",
    Host.GITLAB: "still to do on GitLab: include the file in .gitlab-ci.yml, and do what its first lines list; if you "
    "squash, add %{co_authored_by} to the squash commit message template, or unsigned approvals stop counting",
}
"""What no file can do."""
_MARK = re.compile(r"__[A-Z]+(?:_[A-Z]+)*__")
_SINKS = re.compile(r"^ *# __SINKS__\n", re.MULTILINE)


class Hosting(Struct, frozen=True):
    """For which hosts, and where mreg comes from there."""

    hosts: tuple[Host, ...]
    source: Source


class HostingFiles(Struct, frozen=True):
    """What is to be written, and what a person should know of it."""

    documents: Mapping[str, bytes]
    notices: tuple[str, ...]


def open_hosting(hosts: Sequence[Host], source: str | None = None) -> Hosting | None:
    """Returns for which hosts files are to be written; ``None`` for none.

    Args:
        hosts: GitHub, GitLab, or both.
        source: Where mreg comes from in a job; by default where this mreg was installed from.

    Raises:
        UsageError: Where mreg comes from is not known, or not as this host needs it.
    """
    if not hosts:
        if source is not None:
            raise UsageError("--mreg is for the files of a Git host, and none is named", hint="mreg init --github")
        return None
    found = parse_source(source) if source is not None else _installed_source()
    for host in hosts:
        if found is None or not (found.action if host is Host.GITHUB else found.requirement):
            form = "OWNER/mreg@COMMIT" if host is Host.GITHUB else "https://HOST/OWNER/mreg@COMMIT"
            raise UsageError(
                f"jobs of {host.value} install mreg from its repository, and where that is is not known here",
                hint=f"mreg init --{host.value} --mreg {form}   # the commit in full: 40 digits",
                details={"host": host.value},
            )
    return Hosting(tuple(hosts), found) if found else None


def plan_hosting(repo: GitRepository, tip: str | None, hosting: Hosting, policy: Policy, branch: str) -> HostingFiles:
    """Returns the files that are missing at a commit; none that is there is changed.

    Args:
        repo: The registry's repository.
        tip: The commit that they will be added to; ``None`` for the first.
        hosting: For which hosts.
        policy: Names the folder, the stages, the roles and who is notified.
        branch: The registry branch.
    """
    places = [(host, name, path) for host in hosting.hosts for name, path in _PLACES[host].items()]
    paths = [*(path for _, _, path in places), *_OWNERS]
    found = repo.resolve([f"{tip}:{path}" for path in paths]) if tip else [None] * len(paths)
    there = {path for path, oid in zip(paths, found, strict=True) if oid}
    filler = _Filler(repo, hosting.source, policy, branch)
    documents: dict[str, bytes] = {}
    notices: list[str] = []
    for host, name, path in places:
        owners = next((each for each in _OWNERS if each in there), None)
        if path == _OWNERS[0] and owners:
            notices += [
                f"{owners} exists already, and stays as it is; add to it: {line}" for line in filler.owner_lines()
            ]
        elif path in there:
            notices.append(f"{path} exists already, and stays as it is")
        else:
            documents[path] = filler.fill(host, name).encode()
    notices += [_LEFT[host] for host in hosting.hosts if any(path in documents for path in _PLACES[host].values())]
    return HostingFiles(documents, tuple(notices))


class _Filler(Struct, frozen=True):
    repo: GitRepository
    source: Source
    policy: Policy
    branch: str

    def fill(self, host: Host, name: str) -> str:
        """Returns a template with everything filled in."""
        template = (files("mreg.registry") / "templates" / host.value / name).read_text("utf-8")
        values = self._values(host)
        return _MARK.sub(lambda match: values[match[0]], _SINKS.sub(lambda _: self._sinks(), template))

    def owner_lines(self) -> list[str]:
        """Returns the lines of a ``CODEOWNERS`` file: the settings, the workflows, each stage that a role changes."""
        rules = {"/registry.yaml": self.policy.owners, "/.github/": self.policy.owners}
        for stage, rule in self.policy.stages.items():
            rules[f"/{self.policy.root}/**/stages/{stage}.yaml"] = (*rule.who, *rule.approvals.by)
        return [f"{path} {' '.join(self._teams(roles))}" for path, roles in rules.items() if roles]

    def _values(self, host: Host) -> Mapping[str, str]:
        root, branch = self.policy.root, self.branch
        globbed = re.sub(r"([+!])", r"\\\1", branch)  # signs of GitHub's own, in a pattern
        below = f"{root}/**" if host is Host.GITHUB else f"{root}/**/*"
        return {
            "__CHECKOUT__": _CHECKOUT,
            "__ACTION__": self.source.action,
            "__SOURCE__": _quote(self.source.requirement),
            "__ROOT__": _quote(root),
            "__BRANCHES__": f"[{_quote(globbed)}]",
            "__BRANCH__": _quote(branch) if host is Host.GITLAB else branch,
            "__REF__": _quote(f"refs/heads/{branch}"),
            "__DISPATCH__": f"'{json.dumps({'ref': branch}, ensure_ascii=False)}'",
            "__PATHS__": json.dumps(["registry.yaml", "dvc.yaml", below]),
            "__STAGES__": json.dumps(list(self.policy.stages)),
            "__OWNER_LINES__": "\n".join(self._owner_template()),
        }

    def _owner_template(self) -> Iterator[str]:
        yield from self.owner_lines()
        team = self._teams(["release-managers"])[0]
        for stage, rule in self.policy.stages.items():
            if not rule.who and not rule.approvals.by:
                yield f"# /{self.policy.root}/**/stages/{stage}.yaml {team}"

    def _teams(self, roles: Sequence[str]) -> list[str]:
        url = self.repo.config("remote.origin.url")[0] or ""
        owner = find_repository_name(url).partition("/")[0] or "OWNER"
        return [f"@{owner}/{role}" for role in dict.fromkeys(roles)]

    def _sinks(self) -> str:
        names = dict.fromkeys(sink.url_env for sink in self.policy.notify)
        if not names:
            return "        # env: the variables named in notify: of registry.yaml, each from a secret of that name\n"
        lines = (f"          {name}: ${{{{ secrets.{name} }}}}\n" for name in names)
        return "        env:\n" + "".join(lines)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _installed_source() -> Source | None:
    origin = find_origin()
    if origin is None:
        return None
    if origin.folder is None:
        return Source(strip_credentials(origin.url), origin.commit, origin.version)
    try:
        checkout = GitRepository(origin.folder)
        url, head = checkout.config("remote.origin.url")[0], checkout.head()
    except MregError:
        return None
    return Source(strip_credentials(url), head, origin.version) if url and head else None

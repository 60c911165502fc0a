"""A promotion with ``--push`` beside ``git push`` itself, in a registry whose remote has very many tags.

    python -m benchmarks.run --suites push --sizes 10000,100000

Git's protocol for pushing has the server name all its refs to the client, some 90 bytes each, before anything is sent;
whoever pushes pays for that, mreg or not.  What keeps it low is fewer refs: see docs/performance.md.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.measuring import BIN, ENV, Command, Cost, Failed, run, take_turns
from benchmarks.programs import MODEL

__all__ = ["measure"]


class Clone:
    """A clone of a registry, and its remote."""

    def __init__(self, registry: Path, folder: Path, *, keeps_old_tags: bool) -> None:
        """Makes both: what is not measured."""
        self.origin = folder / "origin.git"
        self.folder = folder / "clone"
        _call(["git", "clone", "--quiet", "--mirror", registry, self.origin])
        if not keeps_old_tags:
            _prune(self.origin)
        _call(["git", "clone", "--quiet", "--no-checkout", self.origin, self.folder])  # links: unpacking takes minutes
        _call(["git", "-C", self.folder, "remote", "set-url", "origin", self.origin.as_uri()])
        _call(["git", "-C", self.folder, "reset", "--quiet", "--hard"])
        shutil.rmtree(self.folder / ".dvc" / "cache", ignore_errors=True)
        self._numbers = count(1)

    def push(self) -> Cost:
        """Returns what Git takes to push one commit and one tag."""
        number = next(self._numbers)
        git = ["git", "-C", str(self.folder)]
        commit = _read([*git, "commit-tree", "-p", "HEAD", "-m", f"bench {number}", "HEAD^{tree}"])
        text = f"object {commit}\ntype commit\ntag bench/{number}\ntagger B <b@example.com> 1 +0000\n\nbench\n"
        tag = _read([*git, "mktag"], text)
        refs = [f"{commit}:refs/heads/main", f"{tag}:refs/tags/bench/{number}"]
        cost = run([*git, "push", "--quiet", "--atomic", "origin", *refs], cwd=self.folder)
        _call([*git, "reset", "--quiet", "--hard", commit])
        return cost

    def promote(self) -> Cost:
        """Returns what ``mreg promote --push`` takes."""
        words = ["--reason", "measured", "--push"]
        if (self.folder / "registry" / MODEL / "stages" / "staging.yaml").exists():
            _call([BIN / "mreg", "-C", self.folder, "clear", MODEL, "staging", *words])
        return run([BIN / "mreg", "promote", MODEL, "staging", *words], cwd=self.folder)

    def ask(self) -> Cost:
        """Returns what one question by name takes: protocol 2 filters on the server."""
        return run(["git", "ls-remote", "origin", "refs/heads/main"], cwd=self.folder)


def measure(registry: Path, folder: Path, repeat: int) -> dict[str, Cost | Failed]:
    """Returns what pushing takes, with all tags on the remote and with only those that still say something."""
    steps = {}
    for title, keeps in (("", True), (", old stage tags pruned", False)):
        place = folder / ("all" if keeps else "pruned")
        place.mkdir()
        clone = Clone(registry, place, keeps_old_tags=keeps)
        steps[f"git ls-remote of one branch{title}"] = partial(Clone.ask, clone)
        steps[f"git push of a commit and a tag{title}"] = partial(Clone.push, clone)
        steps[f"mreg promote --push{title}"] = partial(Clone.promote, clone)
    return take_turns(steps, repeat)


def _prune(origin: Path) -> None:
    """Deletes all stage tags but the newest ten of each model's: what there would be to gain."""
    names = _read(["git", "-C", str(origin), "for-each-ref", "--format=%(refname)", "refs/tags"]).splitlines()
    kept: dict[str, int] = {}
    gone = []
    for name in sorted((each for each in names if "#" in each), key=lambda each: -int(each.rpartition("#")[2])):
        model = name.partition("#")[0]
        kept[model] = kept.get(model, 0) + 1
        if kept[model] > 10:  # noqa: PLR2004
            gone.append(f"delete {name}\n")
    subprocess.run(["git", "-C", origin, "update-ref", "--stdin"], input="".join(gone), text=True, check=True)
    _call(["git", "-C", origin, "pack-refs", "--all"])


def _call(command: Command) -> None:
    subprocess.run(command, check=True, env=ENV, stdout=subprocess.DEVNULL)


def _read(command: Command, text: str = "") -> str:
    return subprocess.run(command, check=True, env=ENV, input=text, capture_output=True, text=True).stdout.strip()

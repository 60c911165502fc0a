"""Histories with all that Git can hold, in the form of a registry, for tests of what is said of them."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import Git

MODELS = [*(f"model-{number:02}" for number in range(24)), "a", "b a", "team", "odd\xff"]
PARTS = ("versions", "stages", "approvals")
WANTED = ("model-07", "a", "team", "absent")
"""Folders that are looked for; one is also the end of another's name, and one comes and goes as other things."""
WILD = 0.2
"""So many merges has a history that also begins anew, and goes on from older commits."""


def grow(
    repo: Path, git: Git, chance: random.Random, commits: int, *, digits: int = 40, merges: float = WILD
) -> list[str]:
    """Makes a history with all that Git can hold, and gives its commits, oldest first."""
    stream = b"".join(_commit(chance, number, digits, merges) for number in range(commits))
    subprocess.run(["git", "fast-import", "--quiet", "--force"], input=stream, cwd=repo, check=True)
    return git("rev-parse", *(f"c{number}" for number in range(commits)), cwd=repo).split("\n")


def _commit(chance: random.Random, number: int, digits: int, merges: float) -> bytes:
    is_wild = merges == WILD
    back = chance.choice((1, 1, 1, 2, 5)) if is_wild else 1
    parents = [] if number == 0 or (chance.random() < 0.03 and is_wild) else [max(0, number - back)]
    if parents and chance.random() < merges:
        parents.append(chance.randrange(number))
    lines = [f"commit refs/heads/c{number}", f"mark :{number + 1}"]
    time = 1_700_000_000 + chance.choice((number, number, number // 4, -number)) * 60
    message = f"Change {number}\n\nCo-authored-by: X <x{number % 3}@example.com>\n"
    lines += [f"committer A <a{number % 5}@example.com> {time} +0000", f"data {len(message)}", message]
    lines += [f"{word} :{parent + 1}" for word, parent in zip(("from", "merge"), dict.fromkeys(parents), strict=False)]
    for model in MODELS if not parents and chance.random() < 0.7 else []:
        lines += _file(f"registry/{model}/versions/v1.yaml", f"{model} {number}")
    for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 3))):
        model = chance.choice(WANTED if chance.random() < 0.3 else MODELS)
        folder = f"registry/{model}"
        path = f"{folder}/{chance.choice(PARTS)}/{chance.choice('xyz')}.yaml"
        dice = chance.random()
        if dice < 0.06:
            lines.append(f"D {chance.choice((path, folder))}")
        elif dice < 0.09:
            evil = b"40000 a\0".hex() if chance.random() < 0.5 else ""  # an entry of that name, in an id
            lines.append(f"M 160000 {evil}{number:0{digits - len(evil)}x} {folder}")
        elif dice < 0.12:
            lines += _file(folder, "a file", mode=chance.choice(("100644", "100755", "120000")))
        elif dice < 0.15:
            lines += _file(path, "the same", mode=chance.choice(("100644", "100755")))
        elif dice < 0.18:
            lines += _file(f"registry/new-{number}/versions/v1.yaml", f"{number}")
        elif dice < 0.23:
            lines += _file("registry.yaml", f"{number // 9}", mode=chance.choice(("100644", "100755")))
        else:
            lines += _file(path, f"{chance.randrange(3)}")
    return "\n".join([*lines, ""]).encode("latin-1")


def _file(path: str, content: str, mode: str = "100644") -> list[str]:
    return [f"M {mode} inline {path}", f"data {len(content)}", content]


def store_trees(git: Git, feed: Sequence[str]) -> list[str]:
    """Stores trees as differences from each other, and nothing that is in them."""
    oids = git("mktree", "--missing", "--batch", input="\n".join([*feed, ""])).split("\n")
    pack = ".git/objects/pack/pack"
    git("pack-objects", "--quiet", "--depth=9", "--window=20", pack, input="\n".join([*oids, ""]))
    git("prune-packed", "--quiet")
    return oids


STORED = {
    "as it was imported": [],
    "as differences": [["repack", "-adfq", "--depth=6", "--window=30"]],
    "as a whole": [["repack", "-adfq", "--depth=0"]],
}
"""Commands by how objects are stored after them."""

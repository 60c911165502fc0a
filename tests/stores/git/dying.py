"""Lands the same change again and again, each time killed a step later: ``python dying.py TEMPLATE OUT WHEN``.

``step`` kills before each thing that Python does to files or processes; ``orphan`` right after a Git process got all of
its input, which then goes on alone; ``once`` lands it here and now, and dies where a Git process was killed.  What each
kill left is in OUT/1, OUT/2, …; the last run is not killed, and leaves nothing.  A template that is called ``large``
is landed in as in a large worktree.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing import worktrees
from tests.stores.git.conftest import land

TAGS = ("churn@v2.0.0", "churn#production#1")
EVENTS = {
    "fcntl.flock", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "shutil.copyfile",
    "subprocess.Popen",
}  # fmt: skip


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_step(number: int) -> None:
    left = number

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        is_write = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if event in EVENTS or is_write:
            left -= 1
            if left == 0:
                die()

    sys.addaudithook(hook)


def kill_at_orphan(number: int) -> None:
    left = number
    communicate = subprocess.Popen.communicate

    def send_and_die(
        process: subprocess.Popen[bytes], data: bytes = b"", timeout: float | None = None
    ) -> tuple[bytes, bytes]:
        nonlocal left
        left -= 1
        if left == 0 and process.stdin:
            process.stdin.write(data)
            process.stdin.close()
            die()
        return communicate(process, data, timeout)

    subprocess.Popen.communicate = send_and_die  # type: ignore[method-assign,assignment]


def kill_with_child() -> None:
    communicate = subprocess.Popen.communicate

    def check(process: subprocess.Popen[bytes], data: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        out = communicate(process, data, timeout)
        if process.returncode < 0:
            die()
        return out

    subprocess.Popen.communicate = check  # type: ignore[method-assign,assignment]


def main(template: Path, out: Path, when: str) -> None:
    arm = {"step": kill_at_step, "orphan": kill_at_orphan}[when]
    if template.name == "large":
        worktrees.LARGE_INDEX = 0
    GitRepository(template)  # imports all that is imported late
    number = 0
    while True:
        number += 1
        place = out / str(number)
        shutil.copytree(template, place, symlinks=True)
        child = os.fork()
        if child == 0:
            arm(number)
            land(place, tags=TAGS)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            shutil.rmtree(place)
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    if sys.argv[3] == "once":
        if sys.argv[2] == "die":
            kill_with_child()
        land(Path(sys.argv[1]), tags=TAGS)
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

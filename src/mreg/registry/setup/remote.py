"""The DVC remote that ``mreg init`` sets: what is asked for, what is written, and what to know of the one before."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from mreg.core.writing.plan import Document
from mreg.errors import UsageError
from mreg.stores.dvc import DvcStore, dvc_files, read_options
from mreg.stores.dvc.options import SCHEMES
from mreg.stores.git.repository import GitRepository
from mreg.stores.surroundings import strip_credentials

__all__ = ["CONFIG", "DVC_FILES", "Storage", "tell_remote"]

CONFIG = ".dvc/config"
DVC_FILES = (CONFIG, ".dvc/.gitignore", ".dvcignore")
"""All files of DVC's that a registry has from the beginning."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class Storage(Struct, frozen=True):
    """The DVC remote that was asked for."""

    url: str | None
    """``None`` for the one that is there."""
    options: Mapping[str, str]

    @classmethod
    def parse(cls, url: str | None, options: Mapping[str, str], directory: Path) -> Storage:
        """Returns what was asked for in a directory.

        Raises:
            UsageError: The URL is empty, or holds a control character; or it is an option, or half a URL.
        """
        if url is not None and not (url.strip() and url.isprintable()):
            message = f"{url!r} is not a URL or path of a DVC remote: it is empty, or holds a control character"
            raise UsageError(message, hint="mreg init --remote s3://bucket/path")
        if url is not None and not _URL.match(url):
            _refuse_slips(url, directory)
            url = str((directory / url).absolute())
        return cls(url, dict(options))

    @property
    def is_named(self) -> bool:
        """True where anything was asked for."""
        return self.url is not None or bool(self.options)

    @property
    def subject(self) -> str:
        """What setting it is called."""
        return "Set the DVC remote of the registry" if self.url else "Set options of the registry's DVC remote"

    def plan_files(self, repo: GitRepository, existing: Mapping[str, str]) -> dict[str, Document]:
        """Returns DVC's files that are missing or change.

        Raises:
            UsageError: The URL or an option must not be committed.
            DataError: DVC's settings cannot be read.
        """
        files = dvc_files(self.url, repo.worktree or repo.git_dir, options=self.options, existing=existing)
        return {name: text.encode() for name, text in files.items()}

    def make_folder(self) -> tuple[str, ...]:
        """Makes the folder of a remote that is one, and returns what to know where it cannot be made."""
        if self.url is None or _URL.match(self.url):
            return ()
        try:
            Path(self.url).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return (f"{self.url} is not there and cannot be made here: {(error.strerror or str(error)).lower()}",)
        return ()


def _refuse_slips(path: str, directory: Path) -> None:
    """Refuses what would be a folder of a name that nobody gives one, unless it is there; ``./`` makes it one.

    Raises:
        UsageError: It is the word that stands for a URL in hints, an option, a URL without its slashes, or a place as
            scp has it.
    """
    if path == "URL" and not (directory / path).exists():
        raise UsageError(
            "URL is a placeholder: give the address of the DVC remote",
            hint="mreg init --remote s3://bucket/path   # or a directory",
        )
    if path.startswith("-"):
        raise UsageError(
            f"--remote needs a URL or a path, and {path!r} follows it, which is an option",
            hint="mreg init --remote s3://bucket/path",
        )
    first, slash, folders = path.partition("/")
    if ":" not in first or (directory / path).exists():
        return
    kind, _, rest = path.partition(":")
    if kind.lower() in SCHEMES:
        meant = f"{kind.lower()}://{rest.lstrip('/')}"
    else:
        user, at, place = first.rpartition("@")
        host, _, folder = place.partition(":")
        meant = f"ssh://{user.partition(':')[0]}{at}{host}/{folder}{slash if folder else ''}{folders}"
    meant = strip_credentials(meant) or "ssh://host/path"
    raise UsageError(
        f"the DVC remote is neither a URL nor an existing folder: did you mean {meant}?",
        hint=f"mreg init --remote {shlex.quote(meant)}   # a new folder of that name: ./ before it",
    )


def tell_remote(repo: GitRepository, before: str | None, after: Document) -> tuple[str, ...]:
    """Returns what to know where another remote takes the place of the default one."""
    if before is None or not isinstance(after, bytes):
        return ()
    root = repo.worktree or repo.git_dir
    old, new = (DvcStore(root / ".dvc", root, config_text=text).remote() for text in (before, after.decode()))
    if old is None or old == new:
        return ()
    # What DVC needs to get at the old one, in the file that Git ignores.
    steps = [
        f"dvc remote add --local old {shlex.quote(old.url)}",
        *(
            f"dvc remote modify --local old {name} {shlex.quote(value)}"
            for name, value in read_options(before, old.name).items()
            if name not in {"url", "verify"}
        ),
        "dvc fetch --all-commits --remote old",
        "dvc push --all-commits",
    ]
    copy = " && ".join(steps)
    return (f"the default was {old}: older versions may only be there; to copy them: {copy}",)

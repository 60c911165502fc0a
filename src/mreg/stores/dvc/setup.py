"""The files that make a DVC repository of a Git one, and the default remote in them, without importing DVC."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mreg.errors import UsageError
from mreg.stores.dvc.config import malformed
from mreg.stores.dvc.options import check_options, check_url, scheme_of

if TYPE_CHECKING:
    from configobj import ConfigObj

__all__ = ["dvc_files", "read_options"]

_REMOTE_NAME = "storage"
"""What mreg calls the remote that it adds."""
_URL = re.compile(r"\w+://")
_CONFIG = ".dvc/config"
_INIT_FILES = {
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvcignore": (
        "# Add patterns of files dvc should ignore, which could improve\n"
        "# the performance. Learn more at\n"
        "# https://dvc.org/doc/user-guide/dvcignore\n"
    ),
}


def dvc_files(
    remote_url: str | None,
    root: Path,
    *,
    options: Mapping[str, str] | None = None,
    existing: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Returns the files that make a DVC repository of a Git one, by path: those to be committed, new or changed.

    Args:
        remote_url: The default remote: a URL, or a folder, absolute or from ``root``.  ``None`` leaves it as it is.
        root: The root of the worktree.  A folder in it is written relative, as DVC does.
        options: Of the remote, by DVC's names; an empty value takes one away.  Others stay, unless the remote becomes
            one of another kind.
        existing: The text of those files that are there.

    Raises:
        UsageError: The URL or an option holds a secret, or DVC does not know its kind, or there is no remote.
        DataError: ``.dvc/config`` cannot be read.
    """
    before = dict(existing or {})
    after = {**_INIT_FILES, _CONFIG: "", **before}
    if _CONFIG not in before:
        after[_CONFIG] = _edit("", None, {}, {"analytics": "false"})
    if remote_url is not None or options:
        after[_CONFIG] = _set_remote(after[_CONFIG], remote_url, root, options or {})
    return {path: text for path, text in after.items() if before.get(path) != text}


def _set_remote(text: str, remote_url: str | None, root: Path, options: Mapping[str, str]) -> str:
    name = _REMOTE_NAME if remote_url is not None else _default_remote(text)
    old = read_options(text, name)
    url = _written_url(remote_url, root) if remote_url is not None else old.get("url", "")
    check_options(options, scheme_of(url), name)
    kept = old if scheme_of(old.get("url", url)) == scheme_of(url) else {}
    changed = {**kept, "url": url, "verify": "true", **options}
    return _edit(text, name, {key: value for key, value in changed.items() if value}, {"remote": name})


def _default_remote(text: str) -> str:
    config = _parse(text)
    name = str(config.get("core", {}).get("remote", "")).lower()
    if not name or _section(name) not in config:
        raise UsageError(
            "there is no default DVC remote in .dvc/config whose options could be set",
            hint="name it in the same command: mreg init --remote s3://bucket/path",
        )
    return name


def read_options(text: str, name: str) -> dict[str, str]:
    """Returns the options of a remote in the text of ``.dvc/config``, its URL among them; empty where there is none."""
    return {key: str(value) for key, value in _parse(text).get(_section(name), {}).items()}


def _section(name: str) -> str:
    return f'remote "{name}"'


def _written_url(remote_url: str, root: Path) -> str:
    if _URL.match(remote_url):
        check_url(remote_url)
        return remote_url
    path = Path(os.path.abspath(root / Path(remote_url).expanduser()))  # noqa: PTH100 - as DVC, links unresolved
    return Path(os.path.relpath(path, root / ".dvc")).as_posix() if path.is_relative_to(root) else path.as_posix()


def _parse(text: str) -> ConfigObj:
    from configobj import ConfigObj, ConfigObjError  # noqa: PLC0415 - 10 ms

    try:
        return ConfigObj(text.splitlines(), interpolation=False)
    except ConfigObjError as error:
        raise malformed(Path(_CONFIG), str(error)) from error


def _edit(text: str, remote: str | None, options: Mapping[str, str], core: Mapping[str, str]) -> str:
    config = _parse(text)
    config.indent_type = config.indent_type or "    "
    config.setdefault("core", {}).update(core)
    if remote is not None:
        section = config.setdefault(_section(remote), {})
        for key in section.keys() - options.keys():
            del section[key]
        section.update(options)
    return "\n".join(config.write()) + "\n"

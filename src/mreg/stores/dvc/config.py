"""DVC's settings, read as DVC would, without importing it.

DVC takes its settings from four files, the later over the earlier: of the system, of the user, ``.dvc/config``, which
is committed, and ``.dvc/config.local``, which is not.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mreg.errors import DataError, StorageError
from mreg.stores.artifacts.cache import Cache

__all__ = ["Sections", "cache_of", "find_relative_remote", "load_sections", "malformed", "remote_of"]

Sections = dict[str, dict[str, Any]]
"""As DVC's ``Config`` has them, but unchecked and all text; ``remote`` maps names to options."""

_NAMED = re.compile(r"""\s*(remote|machine|db)\s*"(.*)"\s*""")
_URL = re.compile(r"\w+://")
_PATHS = frozenset(
    {
        "url", "gdrive_user_credentials_file", "gdrive_service_account_json_file_path", "credentialpath", "configpath",
        "keyfile", "cert_path", "key_path",
    }
)  # fmt: skip
_AWS_FILES = frozenset({"configpath", "credentialpath"})


def load_sections(dvc_dir: Path, root: Path, committed: str | None = None) -> Sections:
    """Returns the settings in force.

    Args:
        dvc_dir: The ``.dvc`` folder, or what takes its place where there is no worktree; need not exist.
        root: The root of the worktree.
        committed: The text of ``.dvc/config``, in place of the file in ``dvc_dir``; its paths count from ``root/.dvc``.

    Raises:
        DataError: A file is not in the format of DVC's settings.
        StorageError: A file cannot be read, or the committed one names a program to run.
    """
    folders = [_user_folder("DVC_SYSTEM_CONFIG_DIR", "site"), _user_folder("DVC_GLOBAL_CONFIG_DIR", "user")]
    sections: Sections = {}
    for folder in folders:
        _merge(sections, _parse(_read(folder / "config"), folder / "config", folder))
    repo_folder = dvc_dir if committed is None else root / ".dvc"
    text = _read(dvc_dir / "config") if committed is None else committed
    repo = _parse(text, repo_folder / "config", repo_folder)
    _refuse_programs(repo, root)
    _merge(sections, repo)
    _merge(sections, _parse(_read(dvc_dir / "config.local"), dvc_dir / "config.local", dvc_dir))
    return sections


def cache_of(sections: Sections, dvc_dir: Path) -> Cache:
    """Returns the cache that DVC uses with these settings."""
    cache = sections.get("cache", {})
    remote = sections.get("remote", {}).get(str(cache.get("local", "")).lower(), {})
    folder = remote.get("url") or cache.get("dir") or dvc_dir / "cache"
    return Cache(Path(os.path.abspath(folder)), is_shared=str(cache.get("shared", "")).lower() == "group")  # noqa: PTH100


def remote_of(sections: Sections) -> tuple[str, dict[str, Any]] | None:
    """Returns the name and the options of the default remote, ``None`` where there is none.

    Raises:
        DataError: The default is a remote that is not declared, or has no URL.
    """
    name = str(sections.get("core", {}).get("remote", "")).lower()
    if not name:
        return None
    options = sections.get("remote", {}).get(name)
    if not options or not options.get("url"):
        raise DataError(
            f"the default DVC remote {name!r} has no URL in DVC's settings",
            hint=f"dvc remote add --default --force {shlex.quote(name)} s3://bucket/path",
            details={"remote": name},
        )
    return name, options


def find_relative_remote(committed: str) -> tuple[str, str] | None:
    """Returns name and URL of the default remote in ``.dvc/config``, where that is a folder relative to the repository.

    Raises:
        DataError: The text is not in the format of DVC's settings.
    """
    urls = []
    for folder in (Path("/0/1/2/3/4/5/6/7"), Path("/")):
        sections = _parse(committed, Path(".dvc/config"), folder)
        name = str(sections.get("core", {}).get("remote", "")).lower()
        urls.append(str(sections.get("remote", {}).get(name, {}).get("url", "")))
    is_relative = urls[0] != urls[1]  # what does not count from the folder is the same from any
    return (name, os.path.relpath(urls[0], "/0/1/2/3/4/5/6/7")) if is_relative else None


def _user_folder(variable: str, kind: str) -> Path:
    folder = os.environ.get(variable)
    if folder:
        return Path(folder)
    import platformdirs  # noqa: PLC0415 - 20 ms

    find = platformdirs.site_config_dir if kind == "site" else platformdirs.user_config_dir
    return Path(find("dvc", "iterative"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        raise malformed(path, "it is not UTF-8") from error
    except OSError as error:
        message = f"{os.fspath(path)!r} cannot be read: {(error.strerror or str(error)).lower()}"
        raise StorageError(message, hint=f"ls -l {os.fspath(path)!r}") from error


def _parse(text: str, where: Path, folder: Path) -> Sections:
    if not text.strip():
        return {}
    from configobj import ConfigObj, ConfigObjError  # noqa: PLC0415 - 10 ms

    try:
        found = _lower_keys(ConfigObj(text.splitlines()).dict())
    except ConfigObjError as error:
        raise malformed(where, str(error)) from error
    sections: Sections = {"remote": {}}
    for title, options in found.items():
        if not isinstance(options, dict):
            raise malformed(where, f"{title!r} is in no section")
        named = _NAMED.fullmatch(title)
        if named:
            sections.setdefault(named[1], {})[named[2]] = options
        else:
            sections[title] = options
    _resolve(sections.get("cache", {}), {"dir"}, folder)
    for options in sections["remote"].values():
        _resolve(options, _PATHS, folder)
    return sections


def _lower_keys(found: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): _lower_keys(value) if isinstance(value, dict) else value for key, value in found.items()}


def _resolve(options: dict[str, Any], names: frozenset[str] | set[str], folder: Path) -> None:
    for name in names & options.keys():
        path = str(options[name])
        if not _URL.match(path):
            options[name] = os.path.abspath(folder / Path(path).expanduser())  # noqa: PTH100 - as DVC, links unresolved


def _merge(into: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(into.get(key), dict) and isinstance(value, dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _refuse_programs(committed: Sections, root: Path) -> None:
    """Whoever can commit must not run programs here: an AWS file may name a ``credential_process``."""
    for name, options in committed["remote"].items() if committed else ():
        for option in sorted({"bearer_token_command", *_AWS_FILES} & options.keys()):
            if option in _AWS_FILES and not Path(options[option]).is_relative_to(root):
                continue
            raise StorageError(
                f"the committed .dvc/config sets {option} of remote {name!r}, which can run a program on this machine",
                hint=f"dvc remote modify --unset {shlex.quote(name)} {option}   # commit that; --local may set it",
                details={"remote": name, "option": option},
            )


def malformed(path: Path, why: str) -> DataError:
    """Returns the error of a file that is not in the format of DVC's settings."""
    return DataError(
        f"{os.fspath(path)!r} cannot be read as DVC's settings: {why}",
        hint="dvc config --list shows the fault",
        details={"file": os.fspath(path)},
    )

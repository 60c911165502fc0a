"""DVC's cloud clients, set up to give up in time: by default some wait for a minute, or for ever.

What a client does by itself stays small, a few tries of one request; ``pool`` tries an object as a whole again, for
every kind of remote alike.
"""

from __future__ import annotations

import logging
import math
import sys
import types
from typing import Any

from mreg.errors import StorageError
from mreg.stores.dvc.config import Sections
from mreg.stores.dvc.errors import Place

__all__ = ["connect", "resolve"]

_CONNECT_S = "5"
_TRIES = 3
_BACKOFF_S = 1
_LOUD = ("adlfs", "asyncssh", "azure", "fsspec", "gcsfs", "s3fs", "sshfs", "urllib3")
"""Loggers that would say on standard error, with a traceback, what is raised anyway."""


def connect(sections: Sections, place: Place, stall_s: float) -> tuple[Any, str]:
    """Returns DVC's file system of a remote, and the path of the remote in it; nothing is asked over the network yet.

    Raises:
        StorageError: The remote keeps files by name, not objects by hash.
        Exception: The plugin is missing, or the settings are wrong.
    """
    file_system, options, root = resolve(sections, place, stall_s)
    opened = file_system(**options)
    _hasten(opened, place.url.partition("://")[0].lower())
    return opened, root


def resolve(sections: Sections, place: Place, stall_s: float) -> tuple[Any, dict[str, Any], str]:
    """Returns the class of DVC's file system, its options, checked by DVC, and the path of the remote in it.

    Raises:
        StorageError: The remote keeps files by name, not objects by hash.
        Exception: The plugin is missing, or the settings are wrong.
    """
    get_cloud_fs = _import_dvc()
    kind = place.url.partition("://")[0].lower()
    options = {**_timeouts(kind, stall_s), **sections["remote"][place.name]}
    remotes = {**sections["remote"], place.name: options}
    file_system, settings, root = get_cloud_fs({**sections, "remote": remotes}, name=place.name)
    if settings.get("version_aware") or settings.get("worktree"):
        raise StorageError(
            f"{place} keeps versions of files, not objects by hash, and mreg needs the latter",
            hint=f"dvc remote modify --unset {place.name} version_aware, or set another default remote",
        )
    return file_system, settings, root


def _import_dvc() -> Any:  # noqa: ANN401 - DVC is not typed
    # The import wraps both streams (colorama) and has DVC's logger print INFO to standard output.
    streams = sys.stdout, sys.stderr
    try:
        from dvc.fs import get_cloud_fs  # noqa: PLC0415 - 0.15 s
    finally:
        sys.stdout, sys.stderr = streams
    for name in ("dvc", "dvc_objects"):  # which write by handlers of their own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _LOUD:
        logger = logging.getLogger(name)
        if not logger.handlers:  # those that the program around mreg has set up hear it all the same
            logger.addHandler(logging.NullHandler())
    return get_cloud_fs


def _timeouts(kind: str, stall_s: float) -> dict[str, str]:
    """Returns the options of a remote that bound a connection and an answer, where DVC has such."""
    answer_s = str(math.ceil(stall_s))
    if kind in {"s3", "http", "https"}:
        return {"connect_timeout": _CONNECT_S, "read_timeout": answer_s}
    if kind == "azure":
        return {"connection_timeout": _CONNECT_S, "read_timeout": answer_s}
    return {}


def _hasten(opened: Any, kind: str) -> None:  # noqa: ANN401
    """Lowers the retries of one request, where a server that is not there would cost half a minute and more."""
    if kind == "s3":  # s3fs tries 5 times what botocore tries 5 times
        opened.fs_args.setdefault("config_kwargs", {})["retries"] = {"mode": "standard", "total_max_attempts": _TRIES}
        opened.fs.retries = 1
    elif kind == "ssh":  # whom DVC believes to be the host it asked for, and gives the use of the user's other keys
        opened.fs_args |= {"known_hosts": (), "agent_forwarding": False}
    elif kind in {"http", "https"}:
        opened.SESSION_RETRIES = _TRIES
    elif kind == "gs":  # 6 times, in 31 s and more, fixed where the method is defined
        from gcsfs.retry import retry_request  # noqa: PLC0415 - of a plugin, which is there by now

        request = getattr(type(opened.fs)._request, "__wrapped__", None)
        if request is not None:
            opened.fs._request = types.MethodType(retry_request(retries=_TRIES)(request), opened.fs)
    elif kind == "azure":  # 4 times, the first pause being 15 s; adlfs hands on no setting for it
        policy = getattr(getattr(opened.fs.service_client, "_config", None), "retry_policy", None)
        if policy is not None:
            policy.initial_backoff, policy.total_retries = _BACKOFF_S, _TRIES - 1

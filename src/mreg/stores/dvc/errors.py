"""Turns what DVC's file systems raise into errors of mreg: what failed, for which remote, and what to do about it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mreg.errors import MregError, StorageError
from mreg.stores.disk import disk_error

__all__ = ["Place", "remote_errors"]

_SECRETS = re.compile(r"(?<=://)[^/@\s]+@|(?<=[?&])[^=&\s]+=[^&\s'\"]+")
_MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Place:
    """A remote, as messages name it."""

    name: str
    url: str
    """Without credentials."""

    def __str__(self) -> str:
        """Returns ``remote 'storage' (s3://models)``."""
        return f"remote {self.name!r} ({self.url})"


@dataclass(frozen=True, slots=True)
class _Cause:
    pattern: re.Pattern[str]
    """Matched with the names and texts of an error and of all that led to it."""
    why: str
    hint: str


def _cause(pattern: str, why: str, hint: str) -> _Cause:
    return _Cause(re.compile(pattern, re.IGNORECASE), why, hint)


_CAUSES = (
    _cause(
        "RemoteMissingDepsError|is supported, but requires|ModuleNotFoundError",
        "DVC has no plugin for this kind of remote",
        "pip install 'dvc[all]', or only the plugin: dvc-s3, dvc-gs, dvc-azure, dvc-ssh",
    ),
    _cause(
        "NoSuchBucket|bucket does not exist|ContainerNotFound",
        "the bucket does not exist",
        "create the bucket, or correct the URL: dvc remote modify {name} url <url>",
    ),
    _cause(
        "NoCredentials|Unable to locate credentials|PartialCredentials|DefaultCredentialsError|ProfileNotFound",
        "no credentials were found",
        "log in to the cloud, or: dvc remote modify --local {name} access_key_id <id> (and secret_access_key)",
    ),
    _cause(
        "Forbidden|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Unauthorized|AuthError"
        r"|PermissionError|\b40[13]\b",
        "access was refused",
        "check the credentials and what they may do: dvc remote list, dvc config --list --show-origin",
    ),
    _cause(
        "ConnectTimeout|ReadTimeout|TimeoutError|EndpointConnection|ConnectionError|ClientConnector|Connection(Refused|Reset)"
        "|Could not connect|Connect call failed|getaddrinfo|Name or service not known|ServerDisconnected|IncompleteRead"
        "|ConnectionClosed|ServiceUnavailable|SlowDown",
        "it cannot be reached, or stopped answering",
        "check the network and the address: dvc remote list",
    ),
    _cause("ConfigError|Invalid", "its settings are wrong", "dvc config --list --show-origin"),
)


@contextmanager
def remote_errors(verb: str, place: Place) -> Iterator[None]:
    """Turns any error of a client library into a ``StorageError``: ``<place> cannot be <verb>: <why>``.

    Raises:
        StorageError: Something failed.
        MregError: As raised inside.
    """
    try:
        yield
    except MregError:
        raise
    except Exception as error:  # each plugin of DVC raises what its cloud's client likes
        raise _translate(error, verb, place) from error


def _translate(error: Exception, verb: str, place: Place) -> MregError:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return disk_error(error, "written", error.filename or "the DVC cache")
    text = "\n".join(_chain(error))
    shown = _SECRETS.sub("", " ".join(str(error).split()))[:_MAX_TEXT] or type(error).__name__
    details = {"remote": place.name, "url": place.url, "error": f"{type(error).__name__}: {shown}"}
    for cause in _CAUSES:
        if cause.pattern.search(text):
            hint = cause.hint.format(name=place.name)
            return StorageError(f"{place} cannot be {verb}: {cause.why} ({shown})", hint=hint, details=details)
    return StorageError(f"{place} cannot be {verb}: {shown}", hint="dvc doctor, dvc push --verbose", details=details)


def _chain(error: BaseException) -> Iterator[str]:
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        yield f"{type(step).__name__}: {step}"
        step = step.__cause__ or step.__context__

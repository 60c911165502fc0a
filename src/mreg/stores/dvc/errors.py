"""Turns what DVC's file systems raise into errors of mreg: what failed, for which remote, and what to do about it."""

from __future__ import annotations

import errno
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from msgspec import Struct

from mreg.errors import MregError, StorageError
from mreg.stores.disk import disk_error

__all__ = ["Place", "remote_errors"]

_SECRETS = r"(?<=://)[^/@\s]+@|(?<=[?&])[^=&\s]+=[^&\s'\"]+"
_MAX_TEXT = 300
_FORBIDDEN = 403
_SKEW_S = 15 * 60
"""What S3 lets pass."""


class Place(Struct, frozen=True):
    """A remote, as messages name it."""

    name: str
    url: str
    """Without credentials."""

    def __str__(self) -> str:
        """Returns ``remote 'storage' (s3://models)``."""
        return f"remote {self.name!r} ({self.url})"


class _Cause(Struct, frozen=True):
    pattern: str
    """Found, whatever its case, in the names and texts of an error and of all that led to it."""
    why: str
    hint: str
    may_pass: bool = False
    """True where the same may go well in a moment."""


_CAUSES = (
    _Cause(
        "RemoteMissingDepsError|is supported, but requires|ModuleNotFoundError",
        "the plugin of DVC for this kind of remote is not installed",
        "pip install {package}",
    ),
    _Cause(
        "NoSuchBucket|bucket does not exist|ContainerNotFound|container does not exist",
        "the bucket does not exist",
        "create the bucket, or correct the URL: dvc remote modify {name} url {kind}://bucket/path",
    ),
    _Cause(
        "RequestTimeTooSkewed|RequestExpired|request time and the (?:current|server)|AuthenticationFailed.*not within",
        "the clock of this machine is wrong",
        "date -u   # set the clock right, then run the command again",
    ),
    _Cause(
        "NoCredentials|Unable to locate credentials|PartialCredentials|DefaultCredentialsError|ProfileNotFound"
        "|AzureAuthError|config profile",
        "no credentials were found",
        "{login}",
    ),
    _Cause(
        "CertificateError|SSLCertVerificationError|CERTIFICATE_VERIFY_FAILED|SSLError|HostKeyNotVerifiable"
        "|Host key is not trusted",
        "its certificate or host key is not trusted",
        "{trust}",
    ),
    _Cause(
        "InsufficientStorage|XMinioStorageFull|QuotaExceeded|no space left|Disk quota exceeded|volume is full"
        r"|no free volumes|no writable volumes|\b507\b",
        "it is full",
        "free some space there, or ask the administrator of the storage",
    ),
    _Cause(
        "SlowDown|ServiceUnavailable|Service Unavailable|TooManyRequests|Too Many Requests|Throttl|RequestLimitExceeded"
        r"|reduce your request rate|ServerBusy|\b(?:429|503)\b",
        "it is overloaded",
        "wait a little, then run the command again",
        may_pass=True,
    ),
    _Cause(
        "XAmzContentSHA256Mismatch|BadDigest|InvalidDigest|Md5Mismatch|FlexibleChecksumError",
        "the bytes changed in transit",
        "check the network and any proxies, then run the command again",
        may_pass=True,
    ),
    _Cause(
        "Forbidden|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Unauthorized|AuthError"
        "|AuthenticationFailed|AuthorizationFailure|PermissionError|PermissionDenied|Permission denied|SFTPPermission"
        r"|Access Denied|\b40[13]\b",
        "access was refused",
        "check the credentials and what they may do: dvc remote list, dvc config --list --show-origin",
    ),
    _Cause(
        "ConnectTimeout|ReadTimeout|Timeout|EndpointConnection|ConnectionError|ClientConnector"
        "|Connection(?:Refused|Reset|Aborted|Lost|Closed)|Could not connect|Connect call failed|getaddrinfo"
        "|Name or service not known|Cannot connect|Disconnect|IncompleteRead|ClientPayloadError|ResponseParserError"
        "|HTTPClientError|BrokenPipe|ServiceRequestError|ServiceResponseError|SFTPConnectionLost|SFTPNoConnection"
        "|Network is unreachable|No route to host",
        "it cannot be reached, or stopped answering",
        "check the network and the address: dvc remote list",
        may_pass=True,
    ),
    _Cause(
        r"InternalError|Internal Server Error|Bad Gateway|InternalServerError|\b50[0-4]\b",
        "it failed",
        "run the command again; if it fails again, ask the administrator of the storage",
        may_pass=True,
    ),
    _Cause("ConfigError|Invalid", "its settings are wrong", "dvc config --list --show-origin"),
)
_EXTRAS = {
    "s3": "dvc-s3",
    "gs": "'mreg[gs]'",
    "azure": "'mreg[azure]'",
    "ssh": "'mreg[ssh]'",
    "webdav": "'mreg[webdav]'",
    "webdavs": "'mreg[webdav]'",
}
_TYPE_IN = 'read -rs secret; dvc remote modify --local {name} %s "$secret"'
"""Keeps it out of Git, and of the shell's history."""
_LOGINS = {
    "s3": f"aws configure   # or set access_key_id, then: {_TYPE_IN % 'secret_access_key'}",
    "gs": "gcloud auth application-default login   # or: dvc remote modify --local {name} credentialpath key.json",
    "azure": f"az login   # or: {_TYPE_IN % 'connection_string'}",
}


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
    chain = list(_chain(error))
    text = "\n".join(f"{type(step).__name__}: {step}" for step in chain)
    if any(_is_skewed(step) for step in chain):
        text = f"RequestTimeTooSkewed {text}"
    shown = re.sub(_SECRETS, "", " ".join(str(error).split()))[:_MAX_TEXT] or type(error).__name__
    details: dict[str, object] = {"remote": place.name, "url": place.url, "error": f"{type(error).__name__}: {shown}"}
    kind = place.url.partition("://")[0].lower()
    for cause in _CAUSES:
        if re.search(cause.pattern, text, re.IGNORECASE):
            hint = _hint(cause, kind, place)
            details["may_pass"] = cause.may_pass
            return StorageError(f"{place} cannot be {verb}: {cause.why} ({shown})", hint=hint, details=details)
    return StorageError(f"{place} cannot be {verb}: {shown}", hint="dvc doctor, dvc push --verbose", details=details)


def _hint(cause: _Cause, kind: str, place: Place) -> str:
    name = shlex.quote(place.name)
    log_in = _LOGINS.get(kind, _TYPE_IN % "password").format(name=name)
    trust = f"dvc remote modify --local {name} ssl_verify /etc/ssl/ca.pem   # the file of its certificate authority"
    if kind == "ssh":
        trust = f"{_ssh(place.url)}   # once: compare its key, and say yes"
    elif kind in {"gs", "azure", "oss"}:  # which have no such option
        trust = "export SSL_CERT_FILE=/etc/ssl/ca.pem   # with its certificate authority"
    return cause.hint.format(name=name, kind=kind, package=_EXTRAS.get(kind, f"dvc-{kind}"), login=log_in, trust=trust)


def _ssh(url: str) -> str:
    try:
        host, port = urlsplit(url).hostname or "", urlsplit(url).port
    except ValueError:
        host, port = url, None
    return f"ssh {f'-p {port} ' if port else ''}{shlex.quote(host)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        yield step
        step = step.__cause__ or step.__context__


def _is_skewed(error: BaseException) -> bool:
    """True where a server that lets nobody in has another time: without a body, it cannot say that this is why."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    date = metadata.get("HTTPHeaders", {}).get("date")
    if metadata.get("HTTPStatusCode") != _FORBIDDEN or not date:
        return False
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - it takes as long to import as all of DVC's part

    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return False
    return abs(theirs - time.time()) > _SKEW_S

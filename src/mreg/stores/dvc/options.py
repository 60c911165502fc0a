"""The options of DVC's remotes: which there are, and which must not be committed.

DVC refuses to do anything at all with an option that it does not know, so a slip of the pen is told before it is
written.  What is a secret, or names a file or a program of one machine, belongs into ``.dvc/config.local``.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from mreg.core.nearness import ask_near, find_near
from mreg.errors import UsageError
from mreg.stores.surroundings import strip_credentials

__all__ = ["SCHEMES", "check_options", "check_url", "scheme_of"]

_COMMON = "jobs checksum_jobs verify"
_HTTP = "auth custom_auth_header user ask_password ssl_verify method connect_timeout read_timeout"
_WEBDAV = "user ask_password custom_auth_header cert_path key_path timeout ssl_verify"
_OPTIONS = {
    "": "type shared slow_link_warning",
    "azure": "account_name tenant_id client_id allow_anonymous_login exclude_environment_credential "
    "exclude_visual_studio_code_credential exclude_shared_token_cache_credential exclude_managed_identity_credential "
    "timeout read_timeout connection_timeout",
    "gdrive": "profile gdrive_use_service_account gdrive_client_id gdrive_service_account_user_email gdrive_trash_only "
    "gdrive_acknowledge_abuse",
    "gs": "projectname endpointurl allow_anonymous_login",
    "hdfs": "user kerb_ticket replication",
    "http": _HTTP,
    "https": _HTTP,
    "oss": "oss_endpoint",
    "s3": "region profile endpointurl use_ssl allow_anonymous_login ssl_verify sse sse_kms_key_id "
    "sse_customer_algorithm acl grant_read grant_read_acp grant_write_acp grant_full_control cache_regions "
    "read_timeout connect_timeout",
    "ssh": "type port user ask_password ask_passphrase keyfile timeout gss_auth allow_agent max_sessions",
    "webdav": _WEBDAV,
    "webdavs": _WEBDAV,
    "webhdfs": "kerberos kerberos_principal proxy_to ssl_verify use_https user data_proxy_target",
}
_SECRETS = frozenset(
    {
        "access_key_id", "account_key", "client_secret", "connection_string", "gdrive_client_secret", "oss_key_id",
        "oss_key_secret", "passphrase", "password", "sas_token", "secret_access_key", "session_token",
        "sse_customer_key", "token",
    }
)  # fmt: skip
_LOCAL = frozenset(
    {
        "bearer_token_command", "configpath", "credentialpath", "gdrive_service_account_json_file_path",
        "gdrive_user_credentials_file",
    }
)  # fmt: skip
"""They name a file with credentials, or a program."""
_NUMBERS = frozenset(
    {
        "checksum_jobs", "connect_timeout", "connection_timeout", "jobs", "max_sessions", "port", "read_timeout",
        "timeout",
    }
)  # fmt: skip
_FILES = frozenset({"cert_path", "key_path", "keyfile"})
_PLACES = {
    **dict.fromkeys(("gs", "oss", "s3"), "bucket"),
    "azure": "container",
    **dict.fromkeys(("http", "https", "ssh", "webdav", "webdavs", "webhdfs"), "host"),
}
"""What follows the kind in a URL, where DVC has no default for it."""
SCHEMES = frozenset(_OPTIONS.keys() - {""} | {"remote"})
"""Kinds of URLs that DVC has remotes for."""


def scheme_of(url: str) -> str:
    """Returns the kind of a remote, empty for a folder."""
    return urlsplit(url).scheme.lower() if "://" in url else ""


def check_url(remote_url: str) -> None:
    """Does nothing where DVC knows this kind of URL, it names a bucket or a host, and no secret is in it.

    Raises:
        UsageError: It does not, or there is one.
    """
    scheme = scheme_of(remote_url)
    public = strip_credentials(remote_url)
    if scheme not in SCHEMES:
        near = find_near(scheme, SCHEMES, cutoff=0.5)
        meant = f"did you mean {near}://? " if near else ""
        hint = f"{meant}DVC knows {', '.join(sorted(SCHEMES))} and plain folders"
        raise UsageError(f"DVC has no remotes of the kind {scheme}://", hint=hint)
    if public != remote_url:
        raise UsageError(
            f"the URL of the DVC remote holds a secret, which would be committed: {public or scheme + '://…'}",
            hint=f'leave it out here, then: read -rs secret; {_modify("storage", _secret_of(scheme))} "$secret"',
        )
    place = _PLACES.get(scheme)
    if place and not urlsplit(remote_url).netloc.rpartition("@")[2]:
        raise UsageError(
            f"the URL of the DVC remote names no {place}: {remote_url}",
            hint=f"mreg init --remote {scheme}://{place}/path",
        )


def check_options(options: Mapping[str, str], scheme: str, remote_name: str) -> None:
    """Does nothing where these options may be committed.

    Args:
        options: By their names; one with an empty value is to be taken away.
        scheme: The kind of the remote.
        remote_name: The remote, for the hint.

    Raises:
        UsageError: One is unknown, a secret, no number, or of one machine.
    """
    known = f"{_OPTIONS.get(scheme, '')} {_COMMON}".split()
    for name, value in options.items():
        if name in _SECRETS:
            raise UsageError(
                f"{name} is a secret, but options of a remote are committed",
                hint=f'mreg init without it, then: read -rs secret; {_modify(remote_name, name)} "$secret"',
                details={"option": name},
            )
        if name in _LOCAL:
            raise UsageError(
                f"{name} names a file or a program of this machine, but options of a remote are committed",
                hint=f"mreg init without it, then: {_modify(remote_name, name)} {shlex.quote(value or 'VALUE')}",
                details={"option": name},
            )
        if name not in known and scheme != "remote":
            meant = ask_near(name, [*known, *_SECRETS])
            kind = f"{scheme}://" if scheme else "a folder"
            raise UsageError(
                f"DVC has no option {name!r} for {kind}",
                hint=f"{meant} there are {', '.join(sorted(known))}".lstrip(),
                details={"option": name},
            )
        _check_value(name, value)


def _secret_of(scheme: str) -> str:
    """Returns what DVC calls that which a URL of this kind has as its password."""
    return {"s3": "secret_access_key", "azure": "account_key"}.get(scheme, "password")


def _modify(remote_name: str, name: str) -> str:
    return f"dvc remote modify --local {shlex.quote(remote_name)} {name}"


def _check_value(name: str, value: str) -> None:
    if not value.isprintable():
        raise UsageError(f"the option {name} holds a control character: {value!r}", details={"option": name})
    if name in _NUMBERS and value and not value.isdecimal():
        raise UsageError(f"the option {name} is {value!r}, which is not a number", details={"option": name})
    if name in _FILES and value and not value.startswith(("/", "~")):
        raise UsageError(
            f"the option {name} is {value!r}, a path from where you are, which DVC would look for in .dvc",
            hint=f"{name}=~/… or {name}=/…",
            details={"option": name},
        )
    if strip_credentials(value) != value:
        raise UsageError(
            f"the option {name} holds a secret, but options of a remote are committed",
            hint="leave user and password out of the URL",
            details={"option": name},
        )

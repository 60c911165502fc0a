"""What DVC's options of an S3 remote mean to botocore, as DVC's own plugin reads them.

The plugin itself would import s3fs, which takes longer than to fetch a small model.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.session import Session

__all__ = ["client_options", "open_session", "read_extra"]

_CONNECT_S = 5
_TRIES = 3
"""Of one request; an object as a whole is tried again by the pool."""
_CONNECTIONS = 64
_FILES = {
    "configpath": ("AWS_CONFIG_FILE", "config_file"),
    "credentialpath": ("AWS_SHARED_CREDENTIALS_FILE", "credentials_file"),
}
"""Of an option: the variable that goes before it, and botocore's name of the setting."""
_EXTRA = {
    "sse": "ServerSideEncryption",
    "sse_customer_algorithm": "SSECustomerAlgorithm",
    "sse_kms_key_id": "SSEKMSKeyId",
    "acl": "ACL",
    "grant_full_control": "GrantFullControl",
    "grant_read": "GrantRead",
    "grant_read_acp": "GrantReadACP",
    "grant_write_acp": "GrantWriteACP",
}


def open_session(options: Mapping[str, Any]) -> Session:
    """Returns a session with the profile, the files and the keys that the options name."""
    session = Session(profile=options.get("profile"))
    for option, (variable, name) in _FILES.items():
        if options.get(option) and variable not in os.environ:
            session.set_config_variable(name, options[option])
    key, secret = options.get("access_key_id"), options.get("secret_access_key")
    if key and secret:
        session.set_credentials(key, secret, options.get("session_token"))
    return session


def client_options(options: Mapping[str, Any], stall_s: float) -> dict[str, Any]:
    """Returns what ``Session.create_client`` takes.

    Args:
        options: DVC's of the remote.
        stall_s: Seconds that one answer may take, unless the options say so.
    """
    config: dict[str, Any] = {
        "connect_timeout": options.get("connect_timeout", _CONNECT_S),
        "read_timeout": options.get("read_timeout", stall_s),
        "retries": {"mode": "standard", "total_max_attempts": _TRIES},
        "max_pool_connections": _CONNECTIONS,
        # What is sent is signed with its SHA-256; older servers refuse CRCs, which are sent after the bytes.
        "request_checksum_calculation": "when_required",
        # With "when_required", s3transfer 0.18 and 0.19 wait for themselves: a first part holds the place of the next.
        "response_checksum_validation": "when_supported",
    }
    if options.get("allow_anonymous_login"):
        config["signature_version"] = UNSIGNED
    found = {
        "region_name": options.get("region"),
        "endpoint_url": options.get("endpointurl"),
        "verify": options.get("ssl_verify"),
        "use_ssl": options.get("use_ssl", True),
    }
    return {"config": Config(**config), **{name: value for name, value in found.items() if value is not None}}


def read_extra(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of requests: how the bytes are encrypted there, and who may read them.

    Raises:
        ValueError: Two options exclude each other.
    """
    found = {name: options[option] for option, name in _EXTRA.items() if options.get(option)}
    if options.get("sse_customer_key"):
        if "SSEKMSKeyId" in found:
            raise ValueError("Invalid: sse_customer_key and sse_kms_key_id exclude each other")
        found["SSECustomerKey"] = base64.b64decode(options["sse_customer_key"])
        found.setdefault("SSECustomerAlgorithm", "AES256")
    if "ACL" in found and any(name.startswith("Grant") for name in found):
        raise ValueError("Invalid: acl and grant_… exclude each other")
    return found

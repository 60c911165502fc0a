"""Telling sinks: Slack-compatible webhooks, e-mail, and JSON by HTTP.  apprise does the sending.

Rules:
    * The URL is a secret: no message, log or exception that leaves this module has any part of it.
    * Certificates are verified, no redirect is followed, no password of an e-mail account goes over a network in clear,
      and nothing waits longer than ``TIMEOUT_S`` for an answer.
    * Who gets an e-mail is said in ``registry.yaml`` alone; how it gets there, in the URL.
"""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from mreg.core.fields import Plain
from mreg.core.settings.sinks import Sink, SinkKind
from mreg.core.sharing.notices import EVENT, Notice
from mreg.errors import NotificationError
from mreg.stores.notifications.attempts import TIMEOUT_S, Failure, UnencryptedError, try_twice

__all__ = ["send"]

_SCHEMES = {
    SinkKind.SLACK: ("https", "http"),
    SinkKind.WEBHOOK: ("https", "http"),
    SinkKind.EMAIL: ("smtps", "smtp", "mailtos", "mailto"),
}
_EXAMPLES = {
    SinkKind.SLACK: "https://chat.example.com/hooks/…",
    SinkKind.WEBHOOK: "https://deploy.example.com/hook",
    SinkKind.EMAIL: "smtps://user:password@smtp.example.com",
}
_URL = re.compile(r"[!-~]+")
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9.-]+", re.ASCII)
_OWN_KEYS = dict.fromkeys(("version", "title", "message", "attachments", "type"), "")
"""What apprise puts into its JSON; an empty value takes a key out again."""


def send(sink: Sink, notice: Notice, environ: Mapping[str, str]) -> None:
    """Tells a sink of a transition.

    Args:
        environ: Has the sink's URL, in the variable that the sink names.

    Raises:
        NotificationError: apprise is not installed, the URL is missing or wrong, or the server does not accept it.
    """
    failure = _send(sink, notice, environ)
    if failure is None:
        return
    commit = notice.transition.commit
    again = f"mreg sync --resend {commit[:12]}"
    joint = " && " if failure.cure.startswith("pip ") else ", then: "
    raise NotificationError(
        f"{sink.name!r} was not told that {notice.title}: {failure.why}",
        hint=f"{failure.cure}{joint}{again}" if failure.cure else again,
        details={
            "sink": sink.name,
            "to": sink.kind.value,
            "url_env": sink.url_env,
            "status": failure.status,
            "commit": commit,
        },
    )


def _send(sink: Sink, notice: Notice, environ: Mapping[str, str]) -> Failure | None:
    text = environ.get(sink.url_env, "").strip()
    if not text:
        return Failure(f"the environment variable {sink.url_env} is not set", f"set {sink.url_env} to the URL")
    if not _has_apprise():
        return Failure("apprise is not installed", "pip install 'mreg[notify]'")
    url = _split(text, sink.kind)
    if url is None:
        what = " or ".join(f"{scheme}://" for scheme in _SCHEMES[sink.kind])
        return Failure(
            f"{sink.url_env} holds no URL with {what}", f"set {sink.url_env} to something like {_EXAMPLES[sink.kind]}"
        )
    if sink.kind is SinkKind.EMAIL:
        return _send_mails(sink, notice, url)
    document = {"text": notice.slack_text} if sink.kind is SinkKind.SLACK else notice.document
    return try_twice(partial(_post, url, document), sink)


def _split(text: str, kind: SinkKind) -> SplitResult | None:
    try:
        url = urlsplit(text)
        is_whole = bool(url.hostname) and url.port != 0  # asking for a port that is none raises
    except ValueError:
        return None
    return url if is_whole and _URL.fullmatch(text) and url.scheme in _SCHEMES[kind] else None


def _post(url: SplitResult, document: Mapping[str, Plain]) -> bool:
    from apprise.plugins.custom_json import NotifyJSON

    host = url.hostname or ""
    target = NotifyJSON(
        host=f"[{host}]" if ":" in host else host,
        port=url.port,
        secure=url.scheme == "https",
        user=url.username,
        password=url.password or "",
        fullpath=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        headers={"X-Mreg-Event": EVENT},
        payload={**_OWN_KEYS, **document},
        redirect=False,
        **_common_settings(),
    )
    return bool(target.send("-"))  # the document says it all


def _send_mails(sink: Sink, notice: Notice, url: SplitResult) -> Failure | None:
    user = unquote(url.username or "")
    sender = sink.sender or (user if _ADDRESS.fullmatch(user) else "")
    if not sender and url.scheme.startswith("smtp"):
        return Failure("its sender is not known", f"set sender: mreg@example.com for {sink.name!r} in registry.yaml")
    for address in (*sink.recipients, *([sender] if sender else ())):
        if not _ADDRESS.fullmatch(address):
            return Failure(f"{address!r} is not an e-mail address", "fix it in registry.yaml")
    failures: dict[str, Failure] = {}
    for recipient in sink.recipients:
        # One by one: a second try then reaches nobody who has it already.
        failure = try_twice(partial(_mail, url, sender, recipient, notice), sink)
        if failure:
            failures[recipient] = failure
            if failure.may_pass:
                break  # the server is away, for all of them
    if not failures:
        return None
    first = next(iter(failures.values()))
    return Failure(f"no e-mail to {', '.join(failures)}: {first.why}", first.cure, first.status)


def _mail(url: SplitResult, sender: str, recipient: str, notice: Notice) -> bool:
    from apprise.plugins.email import NotifyEmail

    if url.scheme.startswith("mailto"):
        # apprise knows the servers of some providers, and reads options from the query.
        settings = dict(NotifyEmail.parse_url(url.geturl()) or {})
    else:
        is_open = not url.password or _is_local(url.hostname or "")
        modes = {"smtps": ("ssl", 465), "smtp": ("insecure", 25) if is_open else ("starttls", 587)}
        mode, port = modes[url.scheme]
        settings = {
            "host": url.hostname,
            "smtp_host": url.hostname,
            "port": url.port or port,
            "user": url.username,
            "password": url.password,
            "secure_mode": mode,
        }
    settings |= {"targets": [recipient], "cc": None, "bcc": None, "headers": {"X-Mreg-Event": EVENT}, "format": "text"}
    settings |= _common_settings()
    if sender:
        settings["from_addr"] = sender
    target = NotifyEmail(**settings)
    if target.secure_mode == "insecure" and target.password and not _is_local(target.smtp_host):
        raise UnencryptedError
    return bool(target.send(notice.body, title=notice.title, body_format="text"))


def _common_settings() -> dict[str, Any]:
    from apprise import AppriseAsset

    return {"asset": AppriseAsset(app_id="mreg"), "verify": True, "cto": TIMEOUT_S, "rto": TIMEOUT_S}


def _has_apprise() -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for modules that newer Pythons do without
            import apprise.plugins.custom_json
            import apprise.plugins.email  # noqa: F401 - both are looked for, and used further down
    except ImportError:
        return False
    return True


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"

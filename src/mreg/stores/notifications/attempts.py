"""Attempts to deliver: one or two, and why they failed, in words that hold nothing of a URL.

Rules:
    * A connection that fails, and a server that says that it failed, get one more try; nothing else does, so that
      nobody is told twice.
    * Only the kind of an error and the number of an answer go on; what clients say in their errors and logs has URLs in
      it, path and password and all.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

from msgspec import Struct

from mreg.core.settings.sinks import Sink

__all__ = ["TIMEOUT_S", "Failure", "UnencryptedError", "try_twice"]

TIMEOUT_S = 10
PAUSE_S = 0.5
"""Before the second try."""
_HTTP_CLIENTS = ("requests", "urllib3")


class Failure(Struct, frozen=True):
    """Why something was not delivered, without a word that may be secret."""

    why: str
    cure: str = ""
    """What has to be done before it is sent again; empty where nobody knows."""
    status: int | None = None
    """What the server answered, if it did."""
    may_pass: bool = False
    """True where the same may go well in a moment."""


class UnencryptedError(Exception):
    """A password would go over a network in clear."""


def try_twice(attempt: Callable[[], bool], sink: Sink) -> Failure | None:
    """Returns why nothing was delivered, or ``None`` where it was.

    Args:
        attempt: Sends by apprise; true where that went well.
        sink: Where to, for the advice.
    """
    failure = _try(attempt, sink)
    if failure and failure.may_pass:
        time.sleep(PAUSE_S)
        failure = _try(attempt, sink)
    return failure


def _try(attempt: Callable[[], bool], sink: Sink) -> Failure | None:
    with _overhearing() as ear:
        try:
            if attempt():
                return None
        except Exception as error:  # noqa: BLE001 - what a client raises may hold the URL, and must not go on
            ear.error = ear.error or error
    return _explain(ear.error, ear.status, sink)


class _Ear(logging.Handler):
    """Hears why apprise could not send: it answers True or False, and says more in its log alone."""

    def __init__(self) -> None:
        """Begins to listen."""
        super().__init__()
        self.error: BaseException | None = None
        """What apprise caught."""
        self.status: int | None = None
        """What the server answered."""
        self._before = sys.exc_info()[1]

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the error that apprise handles while it writes a line, and the number in it; never the line."""
        error = sys.exc_info()[1]
        if error is not self._before:
            self.error = self.error or error
        for value in record.args if isinstance(record.args, tuple) else ():
            if isinstance(value, int):
                self.status = value


@contextmanager
def _overhearing() -> Iterator[_Ear]:
    """Lets an ear alone hear what apprise writes into its log, and keeps its HTTP client silent."""
    ear, logger = _Ear(), logging.getLogger("apprise")
    handlers, level, propagate = logger.handlers, logger.level, logger.propagate
    with ExitStack() as stack:
        for name, client in list(logging.Logger.manager.loggerDict.items()):
            if name.partition(".")[0] in _HTTP_CLIENTS and isinstance(client, logging.Logger):
                stack.callback(setattr, client, "disabled", client.disabled)
                client.disabled = True
        logger.handlers, logger.propagate = [ear], False
        logger.setLevel(logging.DEBUG)
        try:
            yield ear
        finally:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


class _Cause(Struct, frozen=True):
    """What errors of some kinds mean; the first that fits counts."""

    kinds: frozenset[str]
    """Names of classes: those of requests, smtplib, ssl and the system, none of which need be imported here."""
    why: str
    cure: str
    may_pass: bool


_CHECK = "check the URL in {url_env}"


def _cause(kinds: str, why: str, cure: str = _CHECK, *, may_pass: bool = False) -> _Cause:
    return _Cause(frozenset(kinds.split()), why, cure, may_pass)


_CAUSES = (
    _cause(
        "UnencryptedError",
        "its password would go over the network unencrypted",
        "write {url_env} with smtps:// or mailtos://",
    ),
    _cause("SMTPAuthenticationError", "the server refuses the user or the password"),
    _cause("SMTPNotSupportedError", "the server offers no encryption, or no login"),
    _cause(
        "SMTPSenderRefused SMTPRecipientsRefused SMTPDataError",
        "the server refuses the message",
        "check the sender and the recipients of {name!r} in registry.yaml",
    ),
    _cause("SSLError", "no encrypted connection to a server with a trusted certificate could be made"),
    _cause("ConnectTimeout", f"the server did not answer within {TIMEOUT_S} s", "", may_pass=True),
    # Not again: the server may have taken what it did not answer.
    _cause("Timeout TimeoutError", f"the server did not answer within {TIMEOUT_S} s", ""),
    _cause(
        "SMTPConnectError SMTPServerDisconnected ConnectionError gaierror herror",
        "the server cannot be reached, or hung up",
        may_pass=True,
    ),
    _cause("SMTPException", "the server does not accept it"),
    _cause("RequestException AppriseException ValueError", "apprise cannot use the URL, or an address"),
    _cause("OSError", "the server cannot be reached", may_pass=True),
)


def _explain(error: BaseException | None, status: int | None, sink: Sink) -> Failure:
    # smtplib says of a server that does not answer that it hung up; the time-out stands behind that.
    kinds = {kind.__name__ for each in (error, getattr(error, "__context__", None)) for kind in type(each).__mro__}
    number = _number_of(error) or status
    for cause in _CAUSES:
        if not cause.kinds.isdisjoint(kinds):
            why = f"{cause.why} ({number})" if number else cause.why
            return Failure(why, cause.cure.format(url_env=sink.url_env, name=sink.name), number, cause.may_pass)
    check = _CHECK.format(url_env=sink.url_env)
    if status is None:
        return Failure(f"apprise failed with {type(error).__name__}" if error else "apprise gives no reason", check)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure(f"the server says that it failed ({status})", "", status, may_pass=True)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failure(f"the server names another address, and nothing is sent on to it ({status})", check, status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failure(f"the server accepts no more for now ({status})", "wait a while", status)
    return Failure(f"the server does not accept it ({status})", check, status)


def _number_of(error: BaseException | None) -> int | None:
    """Returns what an SMTP server answered, as smtplib keeps it in its errors."""
    answers = [getattr(error, "smtp_code", None), *(each[0] for each in getattr(error, "recipients", {}).values())]
    return next((answer for answer in answers if isinstance(answer, int) and answer > 0), None)

"""Sending: to real servers on the loopback interface, and what is said where they do not take it."""

from __future__ import annotations

import io
import logging
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace

from mreg.core.history.timeline import Action, Transition
from mreg.core.names import ModelName, StageName, Version
from mreg.core.settings.sinks import Sink, SinkKind
from mreg.core.sharing.notices import Notice, write_notice
from mreg.errors import NotificationError, OutsideError
from mreg.stores.notifications import attempts, sending
from mreg.stores.notifications.sending import send
from tests.cli.checks import check_hint
from tests.sinks import Certificate, HttpSink, SmtpSink, free_port, http_sink, make_certificate, smtp_sink

MOVE = Transition(
    model=ModelName("churn"),
    stage=StageName("production"),
    action=Action.PROMOTE,
    source=None,
    target=Version(3),
    by="jane@example.com",
    at=datetime(2026, 11, 20, 9, 12, tzinfo=timezone.utc),
    reason="Größer & besser <!channel> @here\r\nBcc: eve@example.com",
    approved_by=("ann@example.com",),
    commit="7437c4c411dd392e0299896a07db26ed2778c0c0",
    author="Jane Doe",
    email="jane@example.com",
)
NOTICE = write_notice(MOVE)
CHAT = Sink("chat", SinkKind.SLACK, "SINK_URL")
HOOK = Sink("deploy", SinkKind.WEBHOOK, "SINK_URL")
MAIL = Sink("team", SinkKind.EMAIL, "SINK_URL", ("ann@example.com", "bo@example.com"), "mreg@example.com")
SECRET = "T0P-S3CRET"


@pytest.fixture
def server() -> Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def mailbox() -> Iterator[SmtpSink]:
    with smtp_sink() as sink:
        yield sink


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """All that anyone logs, at every level; it may hold nothing secret."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root, server = logging.getLogger(), logging.getLogger("mail")
    root.addHandler(handler)
    server.propagate = False  # what aiosmtpd was sent is no secret to it
    root.setLevel(1)
    yield written
    root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    server.propagate = True
    assert SECRET not in written.getvalue()


def fail(sink: Sink, url: str | None, notice: Notice = NOTICE) -> NotificationError:
    """Returns the error of a sink that cannot be told, once it holds nothing secret and its hint is sound."""
    with pytest.raises(NotificationError) as caught:
        send(sink, notice, {} if url is None else {"SINK_URL": url})
    error = caught.value
    assert isinstance(error, OutsideError)
    assert error.message.startswith(f"{sink.name!r} was not told that churn v3.0.0 is in production: ")
    assert error.message.isprintable()
    assert error.hint.endswith("mreg sync --resend 7437c4c411dd")
    check_hint(error.hint)
    assert error.details.keys() == {"sink", "to", "url_env", "status", "commit"}
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.format_exception(error)) + error.message + error.hint + repr(dict(error.details))
    assert SECRET not in shown
    return error


def test_send_to_chat_posts_text_alone(server: HttpSink) -> None:
    send(CHAT, NOTICE, {"SINK_URL": f"http://{server.address}/services/T0/B0/{SECRET}"})
    [post] = server.posts
    assert post.path == f"/services/T0/B0/{SECRET}"
    assert post.headers["content-type"] == "application/json"
    assert post.json() == {"text": NOTICE.slack_text}
    assert NOTICE.slack_text.startswith("churn v3.0.0 is in production\n")
    assert "Größer &amp; besser &lt;!channel&gt; @\u200bhere\n&gt; Bcc: eve@\u200bexample.com" in NOTICE.slack_text


def test_send_to_webhook_posts_the_document_and_nothing_else(server: HttpSink) -> None:
    send(HOOK, NOTICE, {"SINK_URL": f" http://mreg:p%40ss@{server.address}/a%2Fb/?token={SECRET}&token=2&x=%20\n"})
    [post] = server.posts
    assert post.path == f"/a%2Fb/?token={SECRET}&token=2&x=%20"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["x-mreg-event"] == "transition"
    assert post.headers["authorization"] == "Basic bXJlZzpwQHNz"
    assert post.body.isascii()
    assert list(post.json().items()) == list(NOTICE.document.items())


def test_send_to_the_root_of_a_host(server: HttpSink) -> None:
    send(HOOK, NOTICE, {"SINK_URL": f"http://{server.address}"})
    assert [post.path for post in server.posts] == ["/"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_send_every_2xx_is_a_yes(server: HttpSink, status: int) -> None:
    server.answers = [status]
    send(HOOK, NOTICE, {"SINK_URL": f"http://{server.address}/"})
    assert len(server.posts) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429])
def test_send_refused_says_so_at_once(server: HttpSink, status: int) -> None:
    server.answers = [status]
    error = fail(CHAT, f"http://{server.address}/{SECRET}")
    assert f"({status})" in error.message
    assert error.details["status"] == status
    assert len(server.posts) == 1
    assert ("SINK_URL" in error.hint) == (status != 429)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_send_does_not_follow_to_another_address(server: HttpSink, status: int) -> None:
    with http_sink() as other:
        server.answers, server.headers = [status], {"Location": f"http://{other.address}/{SECRET}"}
        error = fail(HOOK, f"http://{server.address}/{SECRET}")
    assert f"({status})" in error.message
    assert (len(server.posts), other.posts) == (1, [])


@pytest.mark.parametrize("answer", [0, 500, 502, 503])
def test_send_tries_once_more_where_that_may_help(server: HttpSink, answer: int) -> None:
    server.answers = [answer]
    send(CHAT, NOTICE, {"SINK_URL": f"http://{server.address}/"})
    assert len(server.posts) == 2


def test_send_gives_up_after_two_tries(server: HttpSink) -> None:
    server.answers = [500, 503, 500]
    error = fail(CHAT, f"http://{server.address}/{SECRET}")
    assert "the server says that it failed (503)" in error.message
    assert len(server.posts) == 2


def test_send_to_nobody_listening() -> None:
    assert "cannot be reached" in fail(CHAT, f"http://127.0.0.1:{free_port()}/{SECRET}").message
    assert "cannot be reached" in fail(MAIL, f"smtp://mreg:{SECRET}@127.0.0.1:{free_port()}").message


def test_send_to_a_server_that_does_not_answer(server: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.2)
    server.held = threading.Event()
    assert "did not answer within" in fail(HOOK, f"http://{server.address}/{SECRET}").message
    assert len(server.posts) == 1  # it may have taken what it does not answer
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = fail(MAIL, f"smtp://mreg:{SECRET}@127.0.0.1:{silent.getsockname()[1]}")
    assert "did not answer within" in error.message


def test_send_verifies_certificates(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_sink(certificate) as sink:
        assert "trusted certificate" in fail(HOOK, f"https://{sink.address}/{SECRET}").message
        assert sink.posts == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
        send(HOOK, NOTICE, {"SINK_URL": f"https://{sink.address}/{SECRET}"})
        assert len(sink.posts) == 1
        port = sink.address.rpartition(":")[2]
        assert "trusted certificate" in fail(HOOK, f"https://localhost:{port}/{SECRET}").message


def test_send_https_to_a_server_without_tls(server: HttpSink) -> None:
    assert "no encrypted connection" in fail(HOOK, f"https://{server.address}/{SECRET}").message
    assert server.posts == []


def test_send_mail_to_each_recipient(mailbox: SmtpSink) -> None:
    send(MAIL, NOTICE, {"SINK_URL": f"smtp://{mailbox.address}"})
    assert mailbox.envelopes == [("mreg@example.com", ("ann@example.com",)), ("mreg@example.com", ("bo@example.com",))]
    [first, second] = mailbox.mails
    assert (first["To"], second["To"]) == ("ann@example.com", "bo@example.com")
    assert first["From"] == "mreg@example.com"
    assert first["Subject"] == "churn v3.0.0 is in production"
    assert first["X-Mreg-Event"] == "transition"
    assert first["Bcc"] is None
    assert first.get_content_type() == "text/plain"
    assert first.get_content().replace("\r\n", "\n").rstrip("\n") == NOTICE.body
    assert "> Bcc: eve@example.com" in NOTICE.body


def test_send_mail_hostile_subject_adds_no_header(mailbox: SmtpSink) -> None:
    model = ModelName("churn\r\nBcc: eve@example.com\r\n\r\nbody\u2028x\x85y\x0bz")
    for notice in (write_notice(replace(MOVE, model=model)), replace(NOTICE, title=f"{model} {{app_id}} :smile:")):
        send(replace(MAIL, recipients=("ann@example.com",)), notice, {"SINK_URL": f"smtp://{mailbox.address}"})
        mail = mailbox.mails.pop()
        assert mail["Bcc"] is None
        assert mail["Subject"].startswith("churn Bcc: eve@example.com")
        assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == notice.body
    assert {recipients for _, recipients in mailbox.envelopes} == {("ann@example.com",)}


def test_send_mail_logs_in() -> None:
    with smtp_sink(password=f"{SECRET}@/") as sink:
        send(MAIL, NOTICE, {"SINK_URL": f"smtp://mreg:{SECRET}%40%2F@{sink.address}"})
        assert len(sink.mails) == 2
        assert sink.logins[0] == ("mreg", f"{SECRET}@/", False)
        error = fail(MAIL, f"smtp://mreg:{SECRET}-wrong@{sink.address}")
    assert "refuses the user or the password (535)" in error.message
    assert error.details["status"] == 535


def test_send_mail_by_apprise_url(mailbox: SmtpSink) -> None:
    url = f"mailto://{mailbox.address}/eve@example.com?cc=eve@example.com&to=eve@example.com&verify=no&format=html"
    send(MAIL, NOTICE, {"SINK_URL": url})
    assert [recipients for _, recipients in mailbox.envelopes] == [("ann@example.com",), ("bo@example.com",)]
    assert mailbox.mails[0].get_content_type() == "text/plain"


@pytest.mark.parametrize("scheme", ["smtps", "mailtos"])
def test_send_mail_verifies_certificates(
    scheme: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with smtp_sink(password=SECRET, certificate=certificate, is_implicit=scheme == "smtps") as sink:
        url = f"{scheme}://mreg:{SECRET}@{sink.address}"
        assert "trusted certificate" in fail(MAIL, url).message
        assert sink.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        send(MAIL, NOTICE, {"SINK_URL": url})
        assert sink.logins == [("mreg", SECRET, True)] * 2
        assert len(sink.mails) == 2


def test_send_mail_password_is_not_sent_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    # The server is this machine; that it is not known to be makes the password go by STARTTLS, or nowhere.
    monkeypatch.setattr(sending, "_is_local", lambda host: False)
    with smtp_sink(password=SECRET) as sink:
        error = fail(MAIL, f"smtp://mreg:{SECRET}@{sink.address}")
        assert "no encryption" in error.message
        error = fail(MAIL, f"mailto://mreg:{SECRET}@{sink.address}")
        assert "unencrypted" in error.message
        assert "smtps://" in error.hint
        assert sink.logins == []


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LOCALHOST", True), ("10.0.0.1", False), ("a.b", False)],
)
def test_send_tells_this_machine_from_others(host: str, is_local: bool) -> None:
    assert sending._is_local(host) is is_local


def test_send_mail_one_recipient_refused(mailbox: SmtpSink) -> None:
    mailbox.refused = {"ann@example.com": "550 no such user"}
    error = fail(MAIL, f"smtp://{mailbox.address}")
    assert "no e-mail to ann@example.com: the server refuses the message (550)" in error.message
    assert "recipients of 'team'" in error.hint
    assert [recipients for _, recipients in mailbox.envelopes] == [("bo@example.com",)]


def test_send_mail_message_refused(mailbox: SmtpSink) -> None:
    mailbox.answer = f"554 {SECRET} is spam"
    error = fail(MAIL, f"smtp://{mailbox.address}")
    assert "no e-mail to ann@example.com, bo@example.com: the server refuses the message (554)" in error.message


@pytest.mark.parametrize(
    ("change", "url", "why"),
    [
        ({"sender": ""}, "smtp://127.0.0.1", "its sender is not known"),
        ({"sender": ""}, f"smtp://mreg:{SECRET}@127.0.0.1", "its sender is not known"),
        ({"sender": "a@b.example\r\nBcc: x@y"}, "smtp://127.0.0.1", "is not an e-mail address"),
        ({"recipients": ("a@b.example, c@d.example",)}, "smtp://127.0.0.1", "is not an e-mail address"),
        ({"recipients": ("jörg@example.com",)}, "smtp://127.0.0.1", "is not an e-mail address"),
        ({"recipients": ("Ann <ann@example.com>",)}, "mailto://127.0.0.1", "is not an e-mail address"),
    ],
)
def test_send_mail_addresses_that_are_none(change: dict[str, str], url: str, why: str) -> None:
    assert why in fail(replace(MAIL, **change), url).message


def test_send_mail_user_is_the_sender_where_none_is_said(mailbox: SmtpSink) -> None:
    send(replace(MAIL, sender=""), NOTICE, {"SINK_URL": f"smtp://ml%40example.com@{mailbox.address}"})
    assert mailbox.envelopes[0][0] == "ml@example.com"


@pytest.mark.parametrize("sink", [CHAT, HOOK, MAIL])
@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"ftp://127.0.0.1/{SECRET}",
        f"https:///{SECRET}",
        f"https://127.0.0.1:99999/{SECRET}",
        f"https://127.0.0.1:0/{SECRET}",
        f"https://[127.0.0.1/{SECRET}",
        f"https://127.0.0.1/ {SECRET}",
        f"https://127.0.0.1/\r\nX-Evil: {SECRET}",
        f"https://127.0.0.1/ü{SECRET}",
        f"smtp://mreg:{SECRET}@",
        f"smtp://mreg:{SECRET}@127.0.0.1:port",
    ],
)
def test_send_url_that_is_none_is_not_repeated(sink: Sink, url: str) -> None:
    error = fail(sink, url)
    assert "SINK_URL holds no URL with " in error.message


def test_send_mail_to_a_web_address_is_told(server: HttpSink) -> None:
    assert "smtps:// or smtp://" in fail(MAIL, f"https://{server.address}/{SECRET}").message


@pytest.mark.parametrize("url", [None, "", " \n"])
def test_send_without_url_names_the_variable(url: str | None) -> None:
    error = fail(CHAT, url)
    assert "the environment variable SINK_URL is not set" in error.message
    assert error.hint.startswith("set SINK_URL")


def test_send_without_apprise_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "apprise"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "apprise", None)
    error = fail(CHAT, f"https://127.0.0.1/{SECRET}")
    assert "apprise is not installed" in error.message
    assert error.hint == "pip install 'mreg[notify]' && mreg sync --resend 7437c4c411dd"


def test_send_while_another_error_is_handled_tells_its_own(server: HttpSink) -> None:
    server.answers = [404]
    try:
        raise ConnectionError(SECRET)
    except ConnectionError:
        with pytest.raises(NotificationError, match=r"does not accept it \(404\)"):
            send(CHAT, NOTICE, {"SINK_URL": f"http://{server.address}/"})


def test_send_leaves_the_logs_of_others_as_they_were(server: HttpSink, log: io.StringIO) -> None:
    send(CHAT, NOTICE, {"SINK_URL": f"http://{server.address}/{SECRET}"})
    assert log.getvalue() == ""
    for name in ("apprise", "urllib3.connectionpool"):
        logging.getLogger(name).warning("still heard")
    assert log.getvalue().count("still heard") == 2


@pytest.mark.parametrize(
    ("error", "status", "why", "may_pass"),
    [
        (socket.gaierror("x"), None, "cannot be reached", True),
        (PermissionError("x"), None, "cannot be reached", True),
        (UnicodeEncodeError("ascii", "é", 0, 1, SECRET), None, "apprise cannot use the URL", False),
        (ZeroDivisionError(SECRET), None, "apprise failed with ZeroDivisionError", False),
        (None, None, "apprise gives no reason", False),
    ],
)
def test_failure_is_told_by_its_kind_alone(
    error: Exception | None, status: int | None, why: str, may_pass: bool
) -> None:
    def attempt() -> bool:
        if error:
            raise error
        return False

    failure = attempts.try_twice(attempt, CHAT)
    assert failure is not None
    assert why in failure.why
    assert failure.may_pass is may_pass
    assert SECRET not in repr(failure)

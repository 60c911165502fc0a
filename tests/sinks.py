"""Real servers on the loopback interface that take notifications: HTTP and SMTP, with and without TLS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Certificate", "HttpSink", "SmtpSink", "free_port", "http_sink", "make_certificate", "smtp_sink"]


@dataclass(frozen=True)
class Certificate:
    """One that signs itself, for 127.0.0.1 alone."""

    path: Path
    """Certificate and key; a client that trusts this file trusts the server."""

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.path)
        return context


def make_certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "sink.pem"
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    return Certificate(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Post:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document


@dataclass
class HttpSink:
    """An HTTP server, what it was sent, and what it answers."""

    address: str = ""
    """``127.0.0.1:port``."""
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Of the next requests; then 200.  0 hangs up without an answer."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of every answer."""
    held: threading.Event | None = None
    """No answer before this is set."""


@contextmanager
def http_sink(certificate: Certificate | None = None) -> Iterator[HttpSink]:
    """Gives a running server."""
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            sink.posts.append(Post(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            if sink.held:
                sink.held.wait()
            answer = sink.answers.pop(0) if sink.answers else 200
            if not answer:
                self.close_connection = True
                return
            self.send_response(answer)
            for name, text in sink.headers.items():
                self.send_header(name, text)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that does not trust the certificate

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate:
            server.socket = certificate.context().wrap_socket(server.socket, server_side=True)
        sink.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield sink
        finally:
            if sink.held:
                sink.held.set()
            server.shutdown()
            thread.join()


@dataclass
class SmtpSink:
    """A mail server, and what it was sent."""

    address: str = ""
    """``127.0.0.1:port``."""
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Sender and recipients of each."""
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    """User, password, and whether the connection was encrypted."""
    refused: dict[str, str] = field(default_factory=dict)
    """What is answered for a recipient."""
    answer: str = "250 Ok"
    """To every message."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(message)
            self.envelopes.append((envelope.mail_from, tuple(envelope.rcpt_tos)))
        return self.answer


@contextmanager
def smtp_sink(
    *, password: str = "", certificate: Certificate | None = None, is_implicit: bool = False
) -> Iterator[SmtpSink]:
    """Gives a running server.

    Args:
        password: That of the user ``mreg``, where a login is offered.
        certificate: Offers encryption: by STARTTLS, or from the start where it ``is_implicit``.
    """
    port = free_port()
    sink = SmtpSink(f"127.0.0.1:{port}")

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        user, given = data.login.decode(), data.password.decode()
        sink.logins.append((user, given, is_implicit or session.ssl is not None))
        return AuthResult(success=(user, given) == ("mreg", password), handled=False)

    options: dict[str, Any] = {}
    if certificate and is_implicit:
        options["ssl_context"] = certificate.context()
    elif certificate:
        options |= {"tls_context": certificate.context(), "require_starttls": True}
    if password:
        options |= {"authenticator": check, "auth_require_tls": False}
    controller = Controller(sink, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()

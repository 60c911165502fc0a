"""A Git host as teams have one: HTTP with users, a protected branch, tags that nobody moves.

The same bare repository behind Git's own ``http-backend``, started by nginx and fcgiwrap or by Python alone.  The rules
are a ``pre-receive`` hook: ``main`` takes what the user ``merger`` pushes, and a tag that is there stays as it is.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sinks import free_port

__all__ = ["HOSTS", "MERGER", "PASSWORDS", "GitHost", "check_ended", "git_host", "make_nap", "silent_server"]

NAME = "registry.git"
MERGER = "merger"
PASSWORDS = {"ada": "Ada-s3cret", "bo": "Bo-s3cret", MERGER: "Merge-s3cret"}
HOSTS = ("python", "nginx")
_RULES = """\
#!/bin/sh
status=0
while read -r old new ref; do
    case "$ref" in
    refs/heads/main)
        if [ "$REMOTE_USER" != merger ]; then
            echo "$ref is protected: changes must be made through a pull request" >&2
            status=1
        fi ;;
    refs/tags/*)
        case "$old" in
        *[!0]*) echo "$ref is there already: tags are never moved or deleted" >&2; status=1 ;;
        esac ;;
    esac
done
exit $status
"""
_NAPS = itertools.count()
_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            auth_basic git;
            auth_basic_user_file {folder}/htpasswd;
            fastcgi_pass 127.0.0.1:{backend};
            fastcgi_param SCRIPT_FILENAME {program};
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_USER $remote_user;
            {variables}
        }}
    }}
}}
"""


@dataclass
class GitHost:
    """A running host with one repository."""

    repo: Path
    """The bare repository."""
    port: int = 0
    before_push: list[Callable[[], None]] = field(default_factory=list)
    """What happens just before the next pushes are handed to Git; of the host in Python alone."""
    readers: set[str] = field(default_factory=set)
    """Users who may not push anything; of the host in Python alone."""
    loses_answers: bool = False
    """Takes pushes, and hangs up instead of answering; of the host in Python alone."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{NAME}"

    def url_of(self, user: str, password: str = "") -> str:
        """Returns a URL with user and password in it."""
        return f"http://{user}:{password or PASSWORDS[user]}@127.0.0.1:{self.port}/{NAME}"

    def protect(self, rules: str = _RULES) -> None:
        hook = self.repo / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(rules)
        hook.chmod(0o755)

    def unprotect(self) -> None:
        (self.repo / "hooks" / "pre-receive").unlink()

    def refs(self, *patterns: str) -> dict[str, str]:
        """Returns the repository's refs, by name."""
        command = ["git", "for-each-ref", "--format=%(refname) %(objectname)", *patterns]
        done = subprocess.run(command, cwd=self.repo, stdout=subprocess.PIPE, encoding="utf-8", check=True)
        return dict(line.split(" ") for line in done.stdout.splitlines())


@contextmanager
def git_host(kind: str, repo: Path, scratch: Path, *, port: int = 0) -> Iterator[GitHost]:
    """Serves a bare repository, which is to be named ``registry.git``.

    Args:
        kind: One of ``HOSTS``.
        repo: The repository.
        scratch: An empty folder.
        port: Where, of the host in Python alone; by default anywhere.
    """
    assert repo.name == NAME
    host = GitHost(repo, port)
    host.protect()
    with (_nginx if kind == "nginx" else _python)(host, scratch):
        yield host


@contextmanager
def silent_server() -> Iterator[int]:
    """Gives the port of a server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])  # the kernel takes them


def make_nap() -> str:
    """Returns a command that sleeps for a minute, and that nothing else on this machine runs: tests go side by side."""
    return f"sleep 60.{os.getpid()}{next(_NAPS):04}"


def check_ended(*marks: str) -> None:
    """Fails where a process whose command line has one of the marks still runs, a moment later too; on Linux."""
    deadline = time.monotonic() + 10
    while left := [line for line in _running() if any(mark in line for mark in marks)]:
        if time.monotonic() > deadline:
            pytest.fail(f"still there: {left}")
        time.sleep(0.02)


def _running() -> list[str]:
    """Returns the command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def _backend(repo: Path) -> tuple[str, dict[str, str]]:
    """Returns Git's program for HTTP, and its environment but for what is of one request."""
    path = subprocess.run(["git", "--exec-path"], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout.strip()
    if not Path(path, "git-http-backend").exists():
        pytest.skip("wants git http-backend, which this Git comes without")
    kept = ("PATH", "HOME", "LC_ALL", "TZ", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    variables |= {"GIT_PROJECT_ROOT": str(repo.parent), "GIT_HTTP_EXPORT_ALL": "1", "SERVER_PROTOCOL": "HTTP/1.1"}
    return str(Path(path, "git-http-backend")), variables


@contextmanager
def _python(host: GitHost, scratch: Path) -> Iterator[None]:
    program, variables = _backend(host.repo)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, user = self._body(), self._user()
            if user is None:
                self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
                return
            if user in host.readers and "git-receive-pack" in self.path:
                self._answer(403, {}, b"you may read here\n")
                return
            if self._is_push() and host.before_push:
                host.before_push.pop(0)()
            done = subprocess.run([program], input=body, stdout=subprocess.PIPE, env=self._env(user, body), check=False)
            if self._is_push() and host.loses_answers:
                self.close_connection = True
                return
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self._answer(int(headers.pop("Status", "200").split(" ")[0]), headers, content)

        do_POST = do_GET  # noqa: N815 - the server's name

        def _is_push(self) -> bool:
            return self.command == "POST" and self.path.endswith("/git-receive-pack")

        def _user(self) -> str | None:
            kind, _, given = self.headers.get("Authorization", "").partition(" ")
            user, _, password = base64.b64decode(given).decode().partition(":") if kind == "Basic" else ("", "", "")
            return user if user and PASSWORDS.get(user) == password else None

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _env(self, user: str, body: bytes) -> Mapping[str, str]:
            url = urlsplit(self.path)
            given = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in self.headers.items()}
            return variables | given | {
                "REQUEST_METHOD": self.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)) if body else "",
                "REMOTE_USER": user,
                "REMOTE_ADDR": "127.0.0.1",
            }  # fmt: skip

        def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that was ended by its time-out

    with Server(("127.0.0.1", host.port), Handler) as server:
        host.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _nginx(host: GitHost, scratch: Path) -> Iterator[None]:
    nginx, fcgiwrap = (shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("nginx", "fcgiwrap"))
    if not (nginx and fcgiwrap):
        pytest.skip("wants nginx and fcgiwrap: apt-get install nginx-light fcgiwrap")
    program, variables = _backend(host.repo)
    users = "".join(f"{user}:{{PLAIN}}{password}\n" for user, password in PASSWORDS.items())
    (scratch / "htpasswd").write_text(users)
    backend, host.port = free_port(), free_port()
    lines = "\n            ".join(f'fastcgi_param {name} "{text}";' for name, text in variables.items())
    config = scratch / "nginx.conf"
    config.write_text(_NGINX.format(folder=scratch, port=host.port, backend=backend, program=program, variables=lines))
    commands = (
        [fcgiwrap, "-c", "2", "-s", f"tcp:127.0.0.1:{backend}"],
        [nginx, "-p", str(scratch), "-e", str(scratch / "error.log"), "-c", str(config)],
    )
    log = scratch / "error.log"
    with log.open("ab") as sink:
        # Each in a session of its own: fcgiwrap ends its whole process group, which would be pytest's.
        running = [subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True) for command in commands]
    try:
        for port in (backend, host.port):
            _wait_for(port, running, log)
        yield
    finally:
        for process in running[::-1]:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(10)


def _wait_for(port: int, running: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            is_over = time.monotonic() > deadline or any(process.poll() is not None for process in running)
            if is_over:
                pytest.fail(f"the host did not start: {log.read_text()}")
            time.sleep(0.02)

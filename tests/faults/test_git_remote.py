"""A Git remote that fails in every way that remotes do: an error that names it, in time, and nothing half-done.

One row a fault; each is tried with every kind of command that talks to a remote (``--soak``), or with one of them.
Afterwards the same command succeeds, and the registry proves itself whole.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mreg import Registry
from mreg.registry.writing import attempts
from tests.conftest import Git, Mreg, Result
from tests.faults.proof import check_clone, check_registry, refs
from tests.faults.proxy import Fault, Proxy, open_proxy
from tests.hosts import GitHost, check_ended, git_host, make_nap
from tests.registry.teams import Team, found
from tests.sinks import make_certificate

LIMIT_S = 1
"""What Git is given for one answer here."""
BOUND_S = 30
"""How long a command may take in any case, on a busy machine."""
REASON = "--reason=better"
COMMANDS: dict[str, tuple[str, ...]] = {
    "promote": ("promote", "churn@v2", "staging", REASON, "--push"),
    "verify": ("verify", "--remote"),
    "register": ("register", "churn", "model.bin", "--push"),
    "sync": ("sync", "--push"),
    "propose": ("promote", "churn@v2", "staging", REASON, "--push", "--branch", "try"),
    "push": ("push",),
}
OFFLINE = {"sync", "push"}
"""They bring along what was made before without a push."""
READERS = {"verify"}
NAP = make_nap()
"""This process's own: other workers run the same tests."""
PAGE = b"<html>\n<body>Please log in</body>\n</html>"


@dataclass
class Scene:
    """A clone of a remote behind an HTTP host, with a proxy in between."""

    host: GitHost
    proxy: Proxy
    clone: Path
    scratch: Path
    git: Git
    mreg: Mreg
    stack: ExitStack = field(default_factory=ExitStack)

    def url(self, *, port: int = 0, password: str = "Ada-s3cret", scheme: str = "http") -> str:
        return f"{scheme}://ada:{password}@127.0.0.1:{port or self.proxy.port}/registry.git"

    def point_to(self, url: str) -> Callable[[], None]:
        """Changes the remote's URL; what is returned puts it back."""
        self.git("remote", "set-url", "origin", url, cwd=self.clone)
        return self.reset

    def reset(self) -> None:
        self.git("remote", "set-url", "origin", self.url(), cwd=self.clone)

    def suffer(self, fault: Fault) -> Callable[[], None]:
        self.proxy.suffer(fault)
        return self.proxy.heal

    def run(self, command: str) -> Result:
        args = [str(self.scratch / word) if word == "model.bin" else word for word in COMMANDS[command]]
        return self.mreg(*args, "--format", "json", cwd=self.clone)

    def refs(self, where: Path) -> dict[str, str]:
        found = refs(self.git, where)
        return {ref: oid for ref, oid in found.items() if not ref.startswith("refs/remotes/")}


@dataclass(frozen=True)
class Row:
    """One fault, and what a command says of it."""

    begin: Callable[[Scene], Callable[[], None]]
    """Brings it about, and returns what ends it."""
    says: str
    """In the message."""
    code: str = "outside"
    spares: frozenset[str] = frozenset()
    """Commands that do not notice."""
    lands: bool = False
    """The remote may have taken it all the same."""


def _page(status: str, body: bytes = PAGE) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _hang_in_push(scene: Scene) -> Callable[[], None]:
    """The host has the whole push, and goes on only once the fault is over."""
    over = threading.Event()
    scene.stack.callback(over.set)

    def hang() -> None:
        over.wait(60)

    scene.host.before_push.append(hang)
    return over.set


def _cut_in_push(scene: Scene) -> Callable[[], None]:
    def cut() -> None:
        raise ConnectionResetError

    scene.host.before_push += [cut] * 9
    return scene.host.before_push.clear


def _lose_answer(scene: Scene) -> Callable[[], None]:
    scene.host.loses_answers = True
    return lambda: setattr(scene.host, "loses_answers", False)


def _hang_helper(scene: Scene) -> Callable[[], None]:
    """A credential helper that asks somebody who is not there."""
    url = f"http://127.0.0.1:{scene.proxy.port}/registry.git"
    scene.git("config", "credential.helper", f"!{NAP} #", cwd=scene.clone)
    scene.point_to(url)

    def end() -> None:
        scene.git("config", "--unset", "credential.helper", cwd=scene.clone)
        scene.reset()

    return end


def _forbid(scene: Scene) -> Callable[[], None]:
    scene.host.readers.add("ada")
    return scene.host.readers.clear


def _refuse(scene: Scene) -> Callable[[], None]:
    scene.host.protect("#!/bin/sh\necho 'ask the release team first' >&2\nexit 1\n")
    return scene.host.unprotect


def _protect(scene: Scene) -> Callable[[], None]:
    scene.host.protect()
    return scene.host.unprotect


def _rename(scene: Scene) -> Callable[[], None]:
    here, there = scene.host.repo, scene.host.repo.with_name("renamed.git")
    here.rename(there)

    def put_back() -> None:
        there.rename(here)

    return put_back


def _lock(scene: Scene) -> Callable[[], None]:
    lock = scene.host.repo / "refs" / "heads" / "main.lock"
    lock.touch()
    return lock.unlink


def _fill(scene: Scene) -> Callable[[], None]:
    _mount(scene, "size=1m")
    fill = scene.host.repo / "fill"
    with fill.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return fill.unlink


def _make_read_only(scene: Scene) -> Callable[[], None]:
    _mount(scene, "size=1m")

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(scene.host.repo.parent)], check=True)

    remount("ro")
    return lambda: remount("rw")


def _mount(scene: Scene, options: str) -> None:
    """Moves the remote to a file system of its own."""
    place, copy = scene.host.repo.parent, scene.scratch / "copy"
    scene.host.repo.rename(copy)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no file system may be mounted here: only root can")
    scene.stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
    shutil.copytree(copy, scene.host.repo)


def _distrust(scene: Scene) -> Callable[[], None]:
    """The certificate is signed by nobody that this machine knows, until it is told."""
    certificate = make_certificate(scene.scratch)
    port = scene.stack.enter_context(_tls_front(certificate.context(), scene.proxy.port))
    scene.point_to(scene.url(port=port, scheme="https"))

    def trust() -> None:
        scene.git("config", "http.sslCAInfo", str(certificate.path), cwd=scene.clone)

    return trust


@contextmanager
def _tls_front(context: ssl.SSLContext, target: int) -> Iterator[int]:
    """Gives the port of a server that speaks TLS, and hands on what is in it."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                sink.sendall(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = server.accept()
                threading.Thread(target=answer, args=(plain,), daemon=True).start()

    def answer(plain: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(("127.0.0.1", target)) as behind,
        ):
            threading.Thread(target=pump, args=(client, behind), daemon=True).start()
            pump(behind, client)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


READS = frozenset(READERS)
REMOTE = "origin could not be used: "
ROWS: dict[str, Row] = {
    "nobody listens": Row(lambda scene: scene.suffer(Fault(refuses=True)), REMOTE + ".*Failed to connect"),
    "name unknown": Row(
        lambda scene: scene.point_to("http://registry.invalid/registry.git"), REMOTE + ".*Could not resolve host"
    ),
    "says nothing": Row(lambda scene: scene.suffer(Fault(swallows=True)), r"origin did not answer git .* within \d+ s"),
    "trickles": Row(lambda scene: scene.suffer(Fault(pause_s=1.5)), r"origin did not answer git .* within \d+ s"),
    "answer cut off": Row(lambda scene: scene.suffer(Fault(cut_down=400)), REMOTE + ".*no Git server, or its answer"),
    "question cut off": Row(lambda scene: scene.suffer(Fault(cut_up=200)), REMOTE + ".*Empty reply"),
    "page instead": Row(lambda scene: scene.suffer(Fault(answers=_page("200 OK"))), REMOTE + ".*is this a git"),
    "page of one line instead": Row(
        lambda scene: scene.suffer(Fault(answers=_page("200 OK", b"<html>Log in</html>"))), REMOTE + ".*no Git server"
    ),
    "page instead of what was asked": Row(
        lambda scene: scene.suffer(Fault(answers=_page("200 OK"), answers_to="POST")), REMOTE
    ),
    "gateway fails": Row(lambda scene: scene.suffer(Fault(answers=_page("502 Bad Gateway"))), "error: 502"),
    "proxy wants a login": Row(
        lambda scene: scene.suffer(Fault(answers=_page("407 Proxy Authentication Required"))), "error: 407"
    ),
    "too many requests": Row(lambda scene: scene.suffer(Fault(answers=_page("429 Too Many Requests"))), "error: 429"),
    "wrong password": Row(lambda scene: scene.point_to(scene.url(password="Wr0ng-s3cret")), "Authentication failed"),
    "no password": Row(
        lambda scene: scene.point_to(f"http://127.0.0.1:{scene.proxy.port}/registry.git"), "could not read Username"
    ),
    "may not push": Row(_forbid, "origin does not let you push: .*403", "push-refused", READS),
    "hook refuses": Row(_refuse, "pre-receive hook declined.*ask the release team first", "push-refused", READS),
    "helper hangs": Row(_hang_helper, r"origin did not answer git .* within \d+ s"),
    "branch protected": Row(_protect, "refs/heads/main is protected", "push-refused", READS | {"propose"}),
    "renamed": Row(_rename, REMOTE + ".*not found"),
    "certificate unknown": Row(_distrust, REMOTE + ".*certificate"),
    "disk full": Row(_fill, "could not store what was pushed: .*No space left on device", spares=READS),
    "read-only": Row(_make_read_only, "could not store what was pushed: .*temporary object dir", spares=READS),
    "branch locked": Row(_lock, "kept the branch locked the whole time.*main.lock", "conflict", READS | {"propose"}),
    "cut off in the push": Row(_cut_in_push, REMOTE, spares=READS),
    "hangs in the push": Row(_hang_in_push, r"within \d+ s; the push may have arrived", spares=READS, lands=True),
    "answer lost": Row(_lose_answer, REMOTE, spares=READS, lands=True),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "command" not in metafunc.fixturenames:
        return
    pairs = [(fault, command) for fault, row in ROWS.items() for command in COMMANDS if command not in row.spares]
    if not metafunc.config.getoption("soak"):
        chosen = {}
        for number, fault in enumerate(ROWS):
            able = [command for other, command in pairs if other == fault]
            chosen[fault] = able[number % len(able)]
        pairs = list(chosen.items())
    metafunc.parametrize(("fault", "command"), pairs)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("team")


@pytest.fixture
def team(made: Path, repo: Path, tmp_path: Path, git: Git) -> Team:
    return found(made, repo, tmp_path, git)


@pytest.fixture
def scene(team: Team, tmp_path: Path, git: Git, mreg_here: Mreg) -> Iterator[Scene]:
    for name in ("srv", "scratch", "cgi"):
        (tmp_path / name).mkdir()
    bare = team.bare.rename(tmp_path / "srv" / "registry.git")
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(bare), str(clone))
    git("config", "mreg.timeout", str(LIMIT_S), cwd=clone)
    (tmp_path / "scratch" / "model.bin").write_bytes(b"model 4")
    with git_host("python", bare, tmp_path / "cgi") as host, open_proxy(host.port) as proxy, ExitStack() as stack:
        host.unprotect()
        scene = Scene(host, proxy, clone, tmp_path / "scratch", git, mreg_here, stack)
        scene.point_to(scene.url())
        yield scene
        proxy.heal()


@pytest.mark.slow
def test_remote_that_fails_is_named_in_time_and_leaves_nothing(
    fault: str, command: str, scene: Scene, soak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PATIENCE_S", 0.5)
    monkeypatch.setattr(attempts, "LEAST", 3)
    row, clone = ROWS[fault], scene.clone
    if command in OFFLINE:
        Registry.open(clone).promote("churn@v1", "staging", reason="offline", push=False)
    here, there = scene.refs(clone), scene.refs(scene.host.repo)
    end, begun = row.begin(scene), time.monotonic()
    failed = scene.run(command)
    assert time.monotonic() - begun < BOUND_S
    check_error(failed, row)
    assert scene.refs(clone) == here
    assert scene.git("status", "--porcelain", "--untracked-files=all", cwd=clone) == ""
    check_ended(f":{scene.proxy.port}/", f"{NAP} ")
    end()
    if not row.lands:
        assert scene.refs(scene.host.repo) == there
    check_again(scene, command, row, soak=soak)


def check_error(failed: Result, row: Row) -> None:
    assert "s3cret" not in failed.out + failed.err
    error = json.loads(failed.err)["error"]
    assert error["code"] in {row.code, "git" if row.code == "outside" else ""}, error
    assert failed.code == (5 if row.code == "conflict" else 6)
    assert error["hint"]
    assert re.search(row.says, error["message"]), error["message"]


def check_again(scene: Scene, command: str, row: Row, *, soak: bool) -> None:
    scene.git("config", "mreg.timeout", "60", cwd=scene.clone)
    again = scene.run(command)
    if again.code == 1 and row.lands:
        assert json.loads(again.err)["error"]["code"] == "unchanged-artifact"
    else:
        assert again.code == 0, again.err
    if command not in READERS:
        subjects = scene.git("log", "--format=%s", "--all", cwd=scene.host.repo).splitlines()
        assert len(subjects) == len(set(subjects)), "it landed twice"
    if command != "propose":
        check_clone(scene.git, scene.clone, scene.host.repo)
        if soak or row.lands:
            check_registry(scene.git, scene.host.repo, scene.scratch / "fresh")


def test_remote_that_answers_in_two_ways_is_not_believed(scene: Scene) -> None:
    here, there = scene.refs(scene.clone), scene.refs(scene.host.repo)
    scene.suffer(Fault(answers=_page("200 OK", b"<html>Log in</html>"), times=1))
    failed = scene.run("promote")
    assert failed.code == 6
    assert (
        "it said that it lacks refs/heads/main, and then that it has it" in json.loads(failed.err)["error"]["message"]
    )
    assert (scene.refs(scene.clone), scene.refs(scene.host.repo)) == (here, there)
    assert scene.run("promote").code == 0


def test_remote_that_is_truly_empty_gets_it_all(scene: Scene) -> None:
    shutil.rmtree(scene.host.repo)
    scene.git("init", "--quiet", "--bare", str(scene.host.repo))
    assert scene.run("promote").code == 0
    assert scene.refs(scene.host.repo) == scene.refs(scene.clone)


@pytest.mark.parametrize("fault", ["page of one line instead", "answer cut off"])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
def test_pull_takes_no_page_for_a_repository_without_a_registry(
    fault: str, is_known: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What serves is to go on with the last good version, and not to believe that there is none."""
    monkeypatch.setenv("MREG_CACHE_DIR", str(scene.scratch / "cache"))
    place = scene.scratch / "served"
    args = ("pull", "churn@v1", "--repo", scene.url(), "-o", str(place), "--format", "json")
    if is_known:
        scene.mreg(*args, check=0)
    end = ROWS[fault].begin(scene)
    failed = scene.mreg(*("churn@v2" if word == "churn@v1" else word for word in args), check=6)
    assert "no Git server, or its answer was cut off" in json.loads(failed.err)["error"]["message"]
    assert "s3cret" not in failed.err
    assert place.exists() is is_known
    end()
    scene.mreg(*args, check=0)


def diagnose(scene: Scene, *, check: int = 1) -> dict[str, dict[str, object]]:
    """Returns what doctor says of the remote, by what it looked at."""
    result = scene.mreg("doctor", "--remote", "--format", "json", cwd=scene.clone, check=check)
    names = ("remote", "remote branch", "remote tags", "push")
    return {each["name"]: each for each in json.loads(result.out)["checks"] if each["name"] in names}


def wrong(checks: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: each["fix"] for name, each in checks.items() if not each["ok"]}


@pytest.mark.parametrize("fault", ["nobody listens", "page of one line instead", "wrong password", "helper hangs"])
def test_doctor_says_what_keeps_the_remote_from_answering(fault: str, scene: Scene) -> None:
    end = ROWS[fault].begin(scene)
    found = diagnose(scene)
    assert found.keys() == {"remote"}
    assert re.search(ROWS[fault].says, str(found["remote"]["message"]))
    assert str(found["remote"]["fix"]).startswith("git ls-remote origin")
    end()


def test_doctor_says_how_clone_and_remote_differ_and_what_mends_it(scene: Scene) -> None:
    git, clone, bare = scene.git, scene.clone, scene.host.repo
    assert wrong(diagnose(scene, check=0)) == {}
    Registry.open(clone).promote("churn@v1", "staging", reason="offline", push=False)
    found = diagnose(scene, check=0)
    assert "1 commit that origin lacks" in str(found["remote branch"]["message"])
    assert found["remote branch"]["fix"] == "mreg push"
    git("push", "--quiet", "origin", "main", cwd=clone)
    found = diagnose(scene)
    assert wrong(found) == {"remote tags": "mreg sync --push"}
    assert "origin lacks 1 tag, first churn#staging#1" in str(found["remote tags"]["message"])
    scene.mreg("sync", "--push", cwd=clone, check=0)
    assert wrong(diagnose(scene, check=0)) == {}
    git("update-ref", "refs/heads/main", "main~1", cwd=bare)
    git("update-ref", "refs/tags/churn@v1.0.0", "churn@v2.0.0", cwd=bare)
    assert wrong(diagnose(scene)) == {"remote tags": "mreg verify --remote   # shows which of them is right"}
    git("update-ref", "-d", "refs/heads/main", cwd=bare)
    assert wrong(diagnose(scene)) == {"remote branch": "mreg push"}


def test_doctor_says_that_others_are_ahead(scene: Scene, team: Team) -> None:
    other = scene.scratch / "other"
    scene.git("clone", "--quiet", str(scene.host.repo), str(other))
    Registry.open(other).promote("churn@v1", "staging", reason="theirs", push=True)
    assert wrong(diagnose(scene)) == {"remote branch": "git fetch origin   # then mreg doctor says how they differ"}
    scene.git("fetch", "--quiet", cwd=scene.clone)
    found = diagnose(scene)
    assert wrong(found) == {"remote branch": "git pull --ff-only origin main"}
    scene.git("pull", "--quiet", "--ff-only", "origin", "main", cwd=scene.clone)
    assert wrong(diagnose(scene, check=0)) == {}


def test_doctor_says_that_a_reader_may_not_push(scene: Scene) -> None:
    _forbid(scene)
    found = diagnose(scene)
    assert found["push"]["ok"] is False
    assert "origin does not let you push" in str(found["push"]["message"])
    assert str(found["push"]["fix"]).startswith("git remote get-url --push origin")


def test_fault_of_each_row_is_in_the_document() -> None:
    table = Path(__file__).parents[2].joinpath("docs/remotes.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \| \d \|", table, re.MULTILINE)
    told_otherwise = {"trickles", "gateway fails", "proxy wants a login", "too many requests", "cut off in the push"}
    for fault in ROWS.keys() - told_otherwise:
        assert any(re.search(ROWS[fault].says, message) for message in messages), fault

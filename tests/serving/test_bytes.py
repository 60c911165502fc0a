"""Bytes of a registry elsewhere: one download for all, and none that is not what was registered."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import mreg
from mreg.errors import CorruptArtifactError, MregError, RefusedError, StorageError, UsageError
from tests.conftest import Git, Mreg
from tests.hosts import HOSTS, git_host
from tests.s3 import S3
from tests.serving.conftest import Far, connections
from tests.stores.damage import spoil

PULL = """
import mreg, sys
selector, url, output = sys.argv[1:]
import mreg.registry.serving.remote_pulling, mreg.stores.dvc.cloud
print("ready", flush=True)
sys.stdin.readline()
pulled = mreg.pull(selector, repo=url, output=output)
print(pulled.version, flush=True)
"""


@dataclass
class Storage:
    """A DVC remote behind HTTP that counts what is taken from it."""

    root: Path
    port: int = 0
    taken: list[str] = field(default_factory=list)
    """Paths of objects of which bytes were sent."""
    stalls: threading.Event = field(default_factory=threading.Event)
    """While it is set, an object stops in the middle."""
    stalled: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def serve(root: Path) -> Iterator[Storage]:
    storage = Storage(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(is_whole=False)

        def do_GET(self) -> None:
            self._answer(is_whole=True)

        def _answer(self, *, is_whole: bool) -> None:
            path = root / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not is_whole:
                return
            storage.taken.append(self.path)
            half = len(content) // 2
            with suppress(OSError):  # who asked is gone
                self.wfile.write(content[:half])
                if storage.stalls.is_set():
                    storage.stalled.set()
                    while storage.stalls.is_set():
                        time.sleep(0.01)
                self.wfile.write(content[half:])

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        storage.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield storage
        finally:
            storage.stalls.clear()
            server.shutdown()
            thread.join()


@pytest.fixture
def storage(far: Far) -> Iterator[Storage]:
    """Where the bytes of ``far`` are, as its settings say."""
    with serve(far.store) as found:
        config = (far.clone / ".dvc" / "config").read_text()
        text = config.replace(f"url = {far.store}", f"url = {found.url}")
        assert text != config
        far.write(".dvc/config", text)
        yield found


def start(url: str, output: Path, selector: str = "churn@production") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, selector, url, str(output)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def release(*processes: subprocess.Popen[str]) -> None:
    """Lets them go at once, as soon as the last one is ready."""
    for process in processes:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            pytest.fail(process.communicate()[1])
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def stored(root: Path, content: bytes) -> Path:
    md5 = hashlib.md5(content).hexdigest()
    return root / "files" / "md5" / md5[:2] / md5[2:]


def cache_of() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"]) / "mreg"


@pytest.mark.slow
def test_pull_by_many_processes_downloads_once(far: Far, storage: Storage, tmp_path: Path, soak: bool) -> None:
    count, size = (100, 50 << 20) if soak else (6, 4 << 20)
    content = os.urandom(size)
    stored_by_hand(far, content)
    with connections() as made:
        running = [start(far.url, tmp_path / f"out{number}") for number in range(count)]
        release(*running)
        for number, process in enumerate(running):
            out, err = process.communicate()
            assert (process.returncode, out, err) == (0, "v4.0.0\n", "")
            served = tmp_path / f"out{number}"
            assert hashlib.sha256(served.read_bytes()).digest() == hashlib.sha256(content).digest()
            served.unlink()
    assert len(storage.taken) == 1
    assert made.count <= 3 + count // 2  # one look serves all who were waiting for it
    with connections() as made:
        mreg.pull("churn@production", repo=far.url, output="again")
    assert (made.count, len(storage.taken)) == (1, 1)
    assert not list((cache_of() / "claims").iterdir())


def stored_by_hand(far: Far, content: bytes) -> None:
    """Registers bytes whose remote, over HTTP, takes none."""
    source = far.clone.parent / "model.bin"
    source.write_bytes(content)
    far.registry.register("churn", source, upload=False, push=True)
    [made] = [
        path for path in (far.clone / ".dvc" / "cache").rglob("files/md5/*/*") if path.stat().st_size == len(content)
    ]
    target = stored(far.store, content)
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(made, target)
    far.promote("churn@latest")


@pytest.mark.slow
def test_pull_whose_downloader_is_killed_goes_on_with_another(far: Far, storage: Storage, tmp_path: Path) -> None:
    stored_by_hand(far, os.urandom(1 << 20))
    storage.stalls.set()
    first = start(far.url, tmp_path / "first")
    release(first)
    assert storage.stalled.wait(60)
    second = start(far.url, tmp_path / "second")
    release(second)
    first.kill()
    first.communicate()
    storage.stalls.clear()
    out, _ = second.communicate(timeout=60)
    assert (second.returncode, out) == (0, "v4.0.0\n")
    assert (len(storage.taken), (tmp_path / "first").exists()) == (2, False)


@pytest.mark.slow
def test_pull_gives_up_silent_storage_when_git_says_so(
    far: Far, storage: Storage, git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored_by_hand(far, os.urandom(1 << 20))
    own = shutil.copyfile(os.environ["GIT_CONFIG_GLOBAL"], tmp_path / "gitconfig")  # the other is of all tests
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    git("config", "--global", "mreg.storageTimeout", "1")
    storage.stalls.set()
    pulling = start(far.url, tmp_path / "out")
    release(pulling)
    _, said = pulling.communicate(timeout=60)  # which is what it would take for one try, by default
    assert "stopped answering" in said or "has not answered for 1 s" in said
    assert not (tmp_path / "out").exists()
    git("config", "--global", "mreg.storageTimeout", "soon")
    with pytest.raises(UsageError, match="not a number of seconds"):
        mreg.pull("churn@production", repo=far.url, output="out")


@pytest.mark.parametrize("place", ["remote", "cache", "both"])
def test_pull_of_changed_bytes_never_serves_them(far: Far, place: str) -> None:
    mreg.pull("churn@v1", repo=far.url, output="out")
    mreg.pull("churn@v2", repo=far.url, output="other")
    if place in {"remote", "both"}:
        spoil(stored(far.store, b"churn 2"))
    if place in {"cache", "both"}:
        spoil(stored(cache_of(), b"churn 2"))
    if place == "both":
        with pytest.raises(CorruptArtifactError, match="has changed"):
            mreg.pull("churn@v2", repo=far.url, output="out")
        assert Path("out").read_bytes() == b"churn 1"
    else:
        assert mreg.pull("churn@v2", repo=far.url, output="out").changed
        assert Path("out").read_bytes() == b"churn 2"


def test_pull_of_a_directory_takes_its_files_once(far: Far, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (folder / name).write_text(name)
    far.registry.register("net", folder, push=True)
    pulled = mreg.pull("net", repo=far.url, output="out")
    assert {path.name: path.read_text() for path in Path("out").rglob("*") if path.is_file()} == {
        "a": "a",
        "b": "b",
        "c": "sub/c",
    }
    assert pulled.size == 7
    shutil.rmtree(far.store)
    assert not mreg.pull("net", repo=far.url, output="out").changed
    assert mreg.pull("net", repo=far.url, output="out2").changed


def test_pull_replaces_what_it_knows_and_nothing_else(far: Far) -> None:
    Path("out").write_bytes(b"churn 1")  # as some other program put it there
    mreg.pull("churn@v2", repo=far.url, output="out")
    Path("out").write_bytes(b"my own")
    with pytest.raises(RefusedError, match="is not a version of this model"):
        mreg.pull("churn@v2", repo=far.url, output="out")
    assert Path("out").read_bytes() == b"my own"
    for place in (cache_of(), cache_of() / "files" / "x"):
        with pytest.raises(RefusedError, match="is never replaced"):
            mreg.pull("churn@v2", repo=far.url, output=place, force=True)


def test_pull_of_a_relative_remote_counts_from_a_repository_on_this_machine(far: Far, git: Git, tmp_path: Path) -> None:
    config = (far.clone / ".dvc" / "config").read_text()
    far.write(".dvc/config", config.replace(str(far.store), "../../store"))
    mreg.pull("churn@v1", repo=far.clone, output="out")
    assert Path("out").read_bytes() == b"churn 1"
    mreg.pull("churn@v2", repo=far.bare, output="out")  # its store lies as far away


def test_pull_of_a_relative_remote_by_url_says_that_it_is_elsewhere(far: Far, tmp_path: Path) -> None:
    config = (far.clone / ".dvc" / "config").read_text()
    far.write(".dvc/config", config.replace(str(far.store), "../../store"))
    (tmp_path / "host").mkdir()
    told = pytest.raises(StorageError, match="a folder beside that repository")
    with git_host("python", far.bare, tmp_path / "host") as host, told as caught:
        mreg.pull("churn@v1", repo=host.url_of("ada"), output="out")
    assert "../../store" in caught.value.message
    assert caught.value.hint.startswith("dvc remote modify storage url s3://bucket/path   #")
    assert "s3cret" not in str(caught.value)


def test_pull_from_storage_that_lost_the_bytes_names_them(far: Far) -> None:
    stored(far.store, b"churn 2").unlink()
    with pytest.raises(MregError, match="is not in remote 'storage'"):
        mreg.pull("churn@v2", repo=far.url, output="out")
    assert not Path("out").exists()


def test_pull_of_deleted_bytes_hints_what_works_without_a_clone(far: Far, mreg_here: Mreg) -> None:
    far.registry.gc(remote=True, keep_newest=1, delete=True)
    refused = mreg_here("pull", "churn@v1", "--repo", far.url, check=4)
    assert "were deleted on purpose" in refused.err
    [command] = re.findall(r"hint: mreg (.*?)   #", refused.err)
    mreg_here(*shlex.split(command), check=0)
    assert Path("model.bin").read_bytes() == b"churn 3"


@pytest.mark.parametrize("kind", HOSTS)  # nginx tells Git nothing of protocol 2
def test_pull_over_http_tells_no_password(kind: str, far: Far, mreg_here: Mreg, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    with git_host(kind, far.bare, tmp_path / "host") as host:
        url = host.url_of("ada")
        done = mreg_here("pull", "churn@production", "--repo", url, "-o", "out", "--format", "json", check=0)
        wrong = mreg_here("pull", "churn@production", "--repo", host.url_of("ada", "Wr0ng-s3cret"), "-o", "out")
    down = mreg_here("pull", "churn@production", "--repo", url, "-o", "out")
    assert (wrong.code, down.code) == (6, 6)
    assert "hint: git ls-remote http://127.0.0.1" in down.err
    files = [path for path in cache_of().rglob("*") if path.is_file()]
    told = [done.out, wrong.err, down.err, *map(str, files), *(path.read_bytes().decode("latin-1") for path in files)]
    assert not [text for text in told if "s3cret" in text]
    assert Path("out").read_bytes() == b"churn 2"


def test_pull_uses_settings_of_the_machine(far: Far, tmp_path: Path) -> None:
    config = (far.clone / ".dvc" / "config").read_text()
    far.write(".dvc/config", config.replace(f"    url = {far.store}\n", ""))
    folder = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"])
    folder.mkdir(parents=True)
    (folder / "config").write_text(f"['remote \"storage\"']\n    url = {far.store}\n")
    mreg.pull("churn@v1", repo=far.url, output="out")
    assert Path("out").read_bytes() == b"churn 1"


@pytest.mark.slow
def test_pull_from_s3_takes_its_keys_from_the_environment(
    far: Far, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = s3.options(tmp_path.name)
    lines = "".join(f"    {name} = {options[name]}\n" for name in ("url", "endpointurl"))
    far.write(".dvc/config", f"[core]\n    remote = s3\n['remote \"s3\"']\n{lines}")
    md5 = hashlib.md5(b"churn 2").hexdigest()
    s3.write(f"{tmp_path.name}/files/md5/{md5[:2]}/{md5[2:]}", b"churn 2")
    for secret, code in (("wrong", 6), (options["secret_access_key"], 0)):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        if code:
            with pytest.raises(StorageError, match="access was refused"):
                mreg.pull("churn@v2", repo=far.url, output="out")
            assert not Path("out").exists()
        else:
            assert mreg.pull("churn@v2", repo=far.url, output="out").changed
    assert Path("out").read_bytes() == b"churn 2"

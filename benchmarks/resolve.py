"""Finding a version by URL, beside ``git ls-remote`` and a clone, in registries with more and more tags.

    python benchmarks/resolve.py [--tags 100,10000,100000] [--versions 40] [--repeat 5]

The registry is one and the same; what grows is the number of annotated tags beside it.  It is served by ``git daemon``
behind a proxy that counts connections and bytes.  *Cold* has an empty serving cache; *warm* has seen the same state;
*next* has seen the state of one promotion before.  Prints seconds of wall (the median) without the start-up of Python,
the bytes that the server sent, and connections.  docs/performance.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mreg.registry.serving.remote_pulling import Serving

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.generate import generate

SELECTOR = "model-0000@production"
STAGE = "registry/model-0000/stages/production.yaml"
ENV = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass
class Wire:
    """What went over the proxy."""

    port: int
    connections: int = 0
    received: int = 0
    """Bytes from the server."""

    @property
    def url(self) -> str:
        """The registry's."""
        return f"git://127.0.0.1:{self.port}/registry.git"


def main() -> None:
    """Measures each number of tags and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tags", default="100,10000,100000")
    parser.add_argument("--versions", type=int, default=40, help="of the registry, in one model of 50 versions each")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mreg-bench-") as scratch:
        made = Path(scratch) / "registry"
        generate(made, versions=arguments.versions, models=max(1, arguments.versions // 50))
        for count in map(int, arguments.tags.split(",")):
            folder = Path(scratch) / str(count)
            _prepare(made, folder / "registry.git", count)
            with _served(folder) as wire:
                _report(folder / "registry.git", wire, count, arguments.repeat)
            shutil.rmtree(folder)


def _prepare(made: Path, bare: Path, count: int) -> None:
    _git("clone", "--quiet", "--bare", made, bare)
    _git("-C", bare, "config", "uploadpack.allowFilter", "true")
    there = len(_git("-C", bare, "for-each-ref", "--format=x", "refs/tags").split())
    tip = _git("-C", bare, "rev-parse", "main").strip()
    feed = "".join(
        f"tag other-{number // 50:04}@v{number % 50}.0.0\nfrom {tip}\n"
        f"tagger Bench <bench@example.com> {1_700_000_000 + number} +0000\ndata 8\nRegister\n"
        for number in range(count - there)
    )
    subprocess.run(["git", "-C", bare, "fast-import", "--quiet"], input=feed.encode(), env=ENV, check=True)
    _git("-C", bare, "pack-refs", "--all")
    _git("-C", bare, "repack", "-adq")


def _report(bare: Path, wire: Wire, count: int, repeat: int) -> None:
    print(f"\n{count} tags {'seconds':>26} {'kB':>10} {'connections':>12}")
    seconds: dict[str, float] = {}
    for name, prepare, run in _subjects(bare, wire):
        times, before = [], (0, 0)
        for _ in range(repeat):
            prepare()
            before = (wire.received, wire.connections)
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
        seconds[name] = statistics.median(times)
        kilobytes, connections = (wire.received - before[0]) / 1000, wire.connections - before[1]
        print(f"  {name:28} {seconds[name]:7.3f} {kilobytes:10.1f} {connections:12}", flush=True)
    for name in ("resolve, cold", "resolve, warm"):
        print(f"  git ls-remote / {name}: {seconds['git ls-remote'] / seconds[name]:.1f}")


def _subjects(bare: Path, wire: Wire) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    cache, clone = bare.with_name("cache"), bare.with_name("clone")
    os.environ["MREG_CACHE_DIR"] = str(cache)

    def forget() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    def resolve() -> None:
        Serving(wire.url).resolve(SELECTOR)

    def promote() -> None:
        number = int(_git("-C", bare, "rev-list", "--count", "main"))
        text = f"version: v1.0.0\nreason: change {number}\n"
        feed = (
            f"commit refs/heads/main\ncommitter Bench <bench@example.com> {1_800_000_000 + number} +0000\n"
            "data 7\nPromote\n"
            f"from refs/heads/main^0\nM 100644 inline {STAGE}\ndata {len(text)}\n{text}\n"
        )
        subprocess.run(["git", "-C", bare, "fast-import", "--quiet"], input=feed.encode(), env=ENV, check=True)

    def copy() -> None:
        shutil.rmtree(clone, ignore_errors=True)
        _git("clone", "--quiet", "--bare", "--filter=blob:none", wire.url, clone)

    nothing = lambda: None  # noqa: E731
    yield "git ls-remote", nothing, lambda: _git("ls-remote", wire.url)
    yield "git ls-remote refs/heads/main", nothing, lambda: _git("ls-remote", wire.url, "refs/heads/main")
    yield "git clone, blobless", nothing, copy
    yield "resolve, cold", forget, resolve
    yield "resolve, warm", nothing, resolve
    yield "resolve, next", promote, resolve


@contextmanager
def _served(folder: Path) -> Iterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        "git",
        "daemon",
        "--export-all",
        f"--base-path={folder}",
        "--listen=127.0.0.1",
        f"--port={port}",
        "--reuseaddr",
    ]
    daemon = subprocess.Popen(command, env=ENV, stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        with socket.create_server(("127.0.0.1", 0)) as server:
            wire = Wire(server.getsockname()[1])
            threading.Thread(target=_accept, args=(server, port, wire), daemon=True).start()
            yield wire
    finally:
        daemon.terminate()
        daemon.wait()


def _accept(server: socket.socket, port: int, wire: Wire) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        wire.connections += 1
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            continue
        threading.Thread(target=_pump, args=(client, far, None), daemon=True).start()
        threading.Thread(target=_pump, args=(far, client, wire), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, wire: Wire | None) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            if wire:
                wire.received += len(chunk)
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _git(*args: object) -> str:
    done = subprocess.run(["git", *map(str, args)], env=ENV, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return done.stdout


if __name__ == "__main__":
    main()

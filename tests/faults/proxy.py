"""A small TCP proxy on the loopback that does to connections what networks and servers do to them."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Fault", "Proxy", "open_proxy"]

_REQUEST = re.compile(rb"(GET|PUT|HEAD|POST|DELETE) (\S+) HTTP/1\.1\r\n")
_CHUNK_SIZE = 16 << 10


@dataclass(frozen=True)
class Fault:
    """What goes wrong, from now on."""

    refuses: bool = False
    """Nobody listens."""
    swallows: bool = False
    """Connections are taken, and nothing is ever answered."""
    answers: bytes = b""
    """To every request that it matches, in the server's place."""
    answers_to: str = "GET|PUT|HEAD|POST|DELETE"
    """The methods that are answered so."""
    cut_up: int | None = None
    """A connection breaks after so many bytes of the client."""
    cut_down: int | None = None
    """A connection breaks after so many bytes of the server."""
    flip_up: int | None = None
    """One byte in so many of those that the client sends is another."""
    flip_down: int | None = None
    """One byte in so many of those that the server sends is another."""
    stops_after: int | None = None
    """Requests, of all connections; after these, nobody listens."""
    pause_s: float = 0
    """After each 16 KiB."""
    times: int | None = None
    """So often, and then no more; ``None`` for ever."""


@dataclass
class Proxy:
    """Listens on one port, and hands on to another."""

    port: int
    target: int
    fault: Fault = field(default_factory=Fault)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request since ``forget``, in order."""
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _suffered: int = 0

    def suffer(self, fault: Fault) -> None:
        """Lets every connection, also those that are open, go wrong in this way."""
        self.close_all()
        with self._lock:
            self.fault, self._suffered = fault, 0
        self.forget()
        if fault.refuses:
            self._unlisten()
        else:
            self.listen()

    def heal(self) -> None:
        """Hands on everything again."""
        self.suffer(Fault())

    def forget(self) -> None:
        """Counts requests anew."""
        self.requests.clear()

    def count(self) -> Counter[str]:
        """Returns how many requests there were of each method."""
        return Counter(method for method, _ in self.requests)

    def listen(self) -> None:
        """Begins to listen, if it does not."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close_all(self) -> None:
        """Breaks what is open."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            _reset(connection)

    def end(self) -> None:
        """Stops."""
        self._unlisten()
        self.close_all()

    def _unlisten(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _take_fault(self) -> Fault:
        return Fault() if self._has_passed(self.fault) else self.fault

    def _serve(self, client: socket.socket) -> None:
        fault = self._take_fault()
        with self._lock:
            self._open.add(client)
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            _reset(client)
            return
        with self._lock:
            self._open.add(server)
        up = threading.Thread(target=self._pump, args=(client, server, fault, True), daemon=True)
        up.start()
        self._pump(server, client, fault, False)

    def _pump(self, source: socket.socket, target: socket.socket, fault: Fault, is_up: bool) -> None:
        cut, flip = (fault.cut_up, fault.flip_up) if is_up else (fault.cut_down, fault.flip_down)
        moved = 0
        try:
            while chunk := source.recv(_CHUNK_SIZE):
                if is_up:
                    method = self._note(chunk)
                    if fault.stops_after is not None and len(self.requests) > fault.stops_after:
                        self._unlisten()
                        self.close_all()
                        break
                    if fault.swallows:
                        continue
                    if fault.answers and method and re.fullmatch(fault.answers_to, method):
                        self._suffer_once()
                        source.sendall(fault.answers)
                        break
                if cut is not None and moved + len(chunk) > cut:
                    self._suffer_once()
                    target.sendall(chunk[: cut - moved])
                    _reset(source)
                    break
                at = flip - moved % flip if flip else 0
                if flip is not None and at < len(chunk) and not self._has_passed(fault):
                    self._suffer_once()
                    chunk = chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]
                target.sendall(chunk)
                moved += len(chunk)
                time.sleep(fault.pause_s)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _has_passed(self, fault: Fault) -> bool:
        with self._lock:
            return fault.times is not None and self._suffered >= fault.times

    def _suffer_once(self) -> None:
        with self._lock:
            self._suffered += 1

    def _note(self, chunk: bytes) -> str:
        found = _REQUEST.match(chunk)
        if found is None:
            return ""
        method = found[1].decode()
        self.requests.append((method, found[2].decode()))
        return method


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed with unsent data thrown away: the other side sees a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextlib.contextmanager
def open_proxy(target: int) -> Iterator[Proxy]:
    """Gives a proxy that hands on everything, until told otherwise."""
    proxy = Proxy(0, target)
    proxy.listen()
    try:
        yield proxy
    finally:
        proxy.end()

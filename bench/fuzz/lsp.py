"""One connection to a language server, on which each request must have exactly one answer, in time."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.client import Json

PATIENCE_S = 60.0
"""An answer that takes longer is taken for one that never comes."""


class Broken(Exception):
    """The server did what it may not do."""


@dataclass(slots=True)
class Slowest:
    """The longest times until a status was answered, with what was sent before. cpu_s: what the server used meanwhile."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    n_over_1_s: int = 0
    n_over_1_s_cpu: int = 0
    after: str = ""

    def take(self, wall_s: float, cpu_s: float, after: str) -> None:
        """Count one answer. Mutates: all."""
        self.n_over_1_s += wall_s > 1
        self.n_over_1_s_cpu += cpu_s > 1
        if wall_s > self.wall_s:
            self.wall_s, self.after = wall_s, ascii(after[-500:])
        self.cpu_s = max(self.cpu_s, cpu_s)


class Connection:
    """Owned by one thread; a second one reads. Answers are counted by id."""

    def __init__(self, path: Path, server: psutil.Process, slowest: Slowest) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._server = server
        self._slowest = slowest
        self._due: Counter[Any] = Counter()
        self._answered: Counter[Any] = Counter()
        self._changed = threading.Condition()
        self._ended = False
        self._n_probes = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, body: bytes, due: Any = None) -> None:
        """Send one message. Raises: OSError when the server has closed."""
        if due is not None:
            self._due[due] += 1
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def call(self, method: str, params: Any, id_: str) -> None:
        """Send a request."""
        self.send(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}).encode(), id_)

    def notify(self, method: str, params: Json) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    def probe(self, after: str) -> float:
        """Ask for the status and wait: all that was sent before is handled then. Returns seconds.  Raises: Broken."""
        self._n_probes += 1
        id_ = f"probe {self._n_probes}"
        began, before = time.monotonic(), _cpu_s(self._server)
        self.call("completer/status", None, id_)
        self._wait(lambda: self._answered[id_] > 0, f"no answer within {PATIENCE_S:.0f} s after {after}")
        took = time.monotonic() - began
        self._slowest.take(took, _cpu_s(self._server) - before, after)
        return took

    def settle(self) -> None:
        """Wait until everything is answered. Raises: Broken when an answer is missing, or was sent twice."""
        self._wait(lambda: self._answered.total() >= self._due.total(), "answers are missing")
        self.probe("all answers")  # what is too much would come before it
        if self._answered != self._due:
            wrong = {str(id_): self._answered[id_] - self._due[id_] for id_ in self._due | self._answered}
            raise Broken(f"answers too many or too few: { ({k: v for k, v in wrong.items() if v}) }")

    def closes(self) -> None:
        """Wait until the server has closed the connection. Raises: Broken."""
        self._wait(lambda: self._ended, "the connection stays open")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # else the reader keeps it open
        self._socket.close()

    def _wait(self, reached: Any, otherwise: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: reached() or self._ended, PATIENCE_S) or not reached():
                raise Broken("the server closed the connection" if self._ended else otherwise)

    def _read(self) -> None:
        stream = self._socket.makefile("rb")
        try:
            while header := stream.readline():
                while stream.readline().strip():
                    pass
                self._take(json.loads(stream.read(int(header.split(b":")[1]))))
        except OSError:
            pass
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, message: Json) -> None:
        if "method" in message or message["id"] is None:
            return  # the server's own requests are never answered; without an id: the answer to what had none
        with self._changed:
            self._answered[message["id"]] += 1
            self._changed.notify_all()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

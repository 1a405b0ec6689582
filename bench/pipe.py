"""A plain language server client over pipes, for threads: one that sends, one that reads."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from typing import Any, BinaryIO, cast

from bench.client import Json

END_S = 20.0


class Pipe:
    """Owned by the thread that sends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._in, self._out = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
        self._answers: queue.Queue[Json] = queue.Queue()
        self._lock = threading.Lock()
        self._n = 0
        threading.Thread(target=self._read, daemon=True).start()

    def shake_hands(self, settings: Json) -> None:
        """Begin the session; settings: the initializationOptions."""
        capabilities = {"textDocument": {"inlineCompletion": {}}}
        params = {"processId": None, "rootUri": None, "capabilities": capabilities, "initializationOptions": settings}
        self.answer(self.ask("initialize", params), 60)
        self.notify("initialized", {})

    def notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method: str, params: Any) -> int:
        """Send a request; return its id."""
        self._n += 1
        self._send({"jsonrpc": "2.0", "id": self._n, "method": method, "params": params})
        return self._n

    def answer(self, id_: int, timeout_s: float) -> Json:
        """Wait for the answer to the request that was sent last. Raises: queue.Empty when none came in time."""
        while (message := self._answers.get(timeout=timeout_s)).get("id") != id_:
            if message.get("method") == "":
                raise ConnectionError("the server ended")
        return message

    def end(self) -> int:
        """Leave politely; return the exit status."""
        self.answer(self.ask("shutdown", None), END_S)
        self.notify("exit", None)
        return self.process.wait(END_S)

    def _send(self, message: Json) -> None:
        body = json.dumps(message).encode()
        with self._lock:
            self._in.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._in.flush()

    def _read(self) -> None:
        while header := self._out.readline():
            while self._out.readline().strip():
                pass
            message = json.loads(self._out.read(int(header.split(b":")[1])))
            if "method" not in message:
                self._answers.put(message)
            elif "id" in message:
                n = len(message["params"].get("items", [])) if isinstance(message.get("params"), dict) else 0
                self._send({"jsonrpc": "2.0", "id": message["id"], "result": [None] * n if n else None})
        self._answers.put({"method": ""})

"""A real HTTP server on the loopback that answers by a script and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass
class Answer:
    """status: of HTTP.  chunks: parts of the body; a number is a pause in seconds.  kind: the content type."""

    chunks: Iterable[bytes | float] = ()
    status: int = 200
    kind: str = "text/event-stream"


@dataclass
class Script:
    """answers: path -> an Answer for a body (None for a GET). Mutated by the server's threads: all the rest."""

    answers: dict[str, Callable[[Any], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    n_broken_off: int = 0
    n_connections: int = 0
    url: str = ""

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, _, body in self.asked if asked == path]


def sse(*messages: Json | float, done: bool = False) -> Answer:
    """Return a stream of server-sent events; a number is a pause."""
    chunks: list[bytes | float] = [m if isinstance(m, float) else f"data: {json.dumps(m)}\n\n".encode() for m in messages]
    return Answer([*chunks, b"data: [DONE]\n\n"] if done else chunks)


def lines(*messages: Json) -> Answer:
    return Answer([json.dumps(m).encode() + b"\n" for m in messages], kind="application/x-ndjson")


def plain(message: Any, status: int = 200) -> Answer:
    return Answer([json.dumps(message).encode()], status, "application/json")


@contextmanager
def serving(script: Script) -> Iterator[Script]:
    """Serve the script; its `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            script.n_connections += 1

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            script.asked.append((self.path, dict(self.headers), body))
            make = script.answers.get(self.path)
            answer = make(body) if make else plain({"error": "no such path"}, 404)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for chunk in answer.chunks:
                    if isinstance(chunk, float):
                        time.sleep(chunk)
                    else:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                        self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                script.n_broken_off += 1
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()

"""A language client of the plainest kind: it shows every byte to the test and hides nothing."""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

ROOT = Path(__file__).parents[2]
URI = "file:///project/example.py"
TIMEOUT_S = 90
CLIENT_KEY = "a key that no repository knows"


def marked(settings: Mapping[str, Any], key: str = CLIENT_KEY) -> dict[str, Any]:
    """Return settings as our own clients send the user's."""
    return {"userSettings": dict(settings), "clientKey": key}


def start_process(*command: str) -> subprocess.Popen[bytes]:
    """Start `python COMMAND…` with pipes at all ends, this checkout importable, and the key of `marked`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COMPLETER_CLIENT_KEY": CLIENT_KEY}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, stderr=pipe, env=environment)


def start_alone(command: str, *options: str, cwd: Path) -> subprocess.Popen[bytes]:
    """Start a program that must need nothing of ours: no environment variable, and `cwd` as its working folder."""
    program, *rest = shlex.split(command)
    pipe = subprocess.PIPE
    absolute = str(Path(program).absolute())
    return subprocess.Popen([absolute, *rest, *options], stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd=cwd)


def start_server(*options: str) -> subprocess.Popen[bytes]:
    """Start the server over the fake completer."""
    return start_process(str(Path(__file__).parent / "fake_server.py"), *options)


StartClient = Callable[..., "Client"]
"""`start(*options, configuration=None)`: a server of its own and a client that has not shaken hands yet."""


class Client:
    """Answers the server's own requests; keeps every notification in `seen`."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO, configuration: Any = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.configuration = configuration
        self._writer = writer
        self._ids = itertools.count(1)
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._answers: dict[Any, dict[str, Any]] = {}
        threading.Thread(target=self._read, args=(reader,), daemon=True).start()

    def send(self, message: dict[str, Any]) -> None:
        self.send_raw(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_raw(self, body: bytes) -> None:
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._writer.flush()

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any = None) -> int:
        """Send a request; return its id."""
        message_id = next(self._ids)
        self.send({"id": message_id, "method": method} | ({} if params is None else {"params": params}))
        return message_id

    def answer(self, message_id: int | None) -> dict[str, Any]:
        """Wait for the response to a request, result or error."""
        while message_id not in self._answers:
            self._take()
        return self._answers.pop(message_id)

    def call(self, method: str, params: Any = None) -> Any:
        """Send a request and return its result; an error fails the test."""
        answer = self.answer(self.ask(method, params))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def wait_for(self, method: str, **fields: Any) -> dict[str, Any]:
        """Wait for a notification whose params hold `fields`, also one that came already; return its params."""
        start = 0
        while True:
            for message in self.seen[start:]:
                if message["method"] == method and fields.items() <= message["params"].items():
                    return dict(message["params"])
            start = len(self.seen)
            self._take()

    def wait_for_next(self) -> None:
        """Wait for any message."""
        self._take()

    def initialize(
        self, *, settings: Any = None, folders: Sequence[Path] = (), process_id: int | None = None, **capabilities: Any
    ) -> dict[str, Any]:
        """Shake hands; return the server's capabilities."""
        params: dict[str, Any] = {"processId": process_id, "rootUri": None, "capabilities": capabilities}
        params |= {"initializationOptions": settings, "workspaceFolders": [folder_params(folder) for folder in folders]}
        result = self.call("initialize", params)
        self.notify("initialized", {})
        return dict(result["capabilities"])

    def wait_until_ready(self) -> None:
        while self.call("completer/status")["state"] in ("loading", "downloading"):
            time.sleep(0.01)

    def open(self, text: str, uri: str = URI, version: int = 1, language: str = "python") -> None:
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, line: int, character: int, text: str, version: int, uri: str = URI, n_replaced: int = 0) -> None:
        end = {"line": line, "character": character + n_replaced}
        change = {"range": {"start": {"line": line, "character": character}, "end": end}, "text": text}
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    def ask_inline(self, line: int, character: int, uri: str = URI, trigger_kind: int = 2) -> int:
        return self.ask("textDocument/inlineCompletion", inline_params(line, character, uri, trigger_kind))

    def inline(self, line: int, character: int, uri: str = URI, trigger_kind: int = 2) -> list[dict[str, Any]]:
        answer = self.answer(self.ask_inline(line, character, uri, trigger_kind))
        assert "error" not in answer, answer["error"]
        return list(answer["result"]["items"])

    def events(self) -> list[dict[str, Any]]:
        """What reached the fake completer."""
        return list(self.call("completer/metrics")["traces"])

    def events_named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["event"] == name]

    def _take(self) -> None:
        message = self._inbox.get(timeout=TIMEOUT_S)
        assert message is not None, "the server closed the connection"
        if "method" not in message:
            self._answers[message["id"]] = message
        elif "id" in message:
            self.asked.append(message)
            result = [self.configuration] if message["method"] == "workspace/configuration" else None
            self.send({"id": message["id"], "result": result})
        else:
            self.seen.append(message)

    def _read(self, reader: BinaryIO) -> None:
        n_bytes = 0
        while header := reader.readline():
            if header.lower().startswith(b"content-length:"):
                n_bytes = int(header.split(b":")[1])
            elif not header.strip():
                self._inbox.put(json.loads(reader.read(n_bytes)))
        self._inbox.put(None)


def folder_params(folder: Path) -> dict[str, str]:
    return {"uri": folder.as_uri(), "name": folder.name}


def inline_params(line: int, character: int, uri: str = URI, trigger_kind: int = 2) -> dict[str, Any]:
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": trigger_kind},
    }


class Listening(NamedTuple):
    """A server that listens on TCP: its address, and the token that it wrote."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    token_path: Path
    token: str


def start_listening(*options: str) -> Listening:
    """Start the server over the fake completer on a free port of the loopback address."""
    process = start_server("--tcp", *options)
    found = re.search(rb"listening on ([\d.]+):(\d+), token in (.+)", cast("BinaryIO", process.stderr).readline())
    assert found, "the server did not say where it listens"
    path = Path(found[3].decode().strip())
    return Listening(process, (found[1].decode(), int(found[2])), path, path.read_text().strip())


def client_of(connection: socket.socket) -> Client:
    stream = cast("BinaryIO", connection.makefile("rwb"))
    return Client(stream, stream)


def connect(server: Listening) -> Client:
    """Return a client that has shown the token and not yet shaken hands."""
    client = client_of(socket.create_connection(server.address))
    client.notify("completer/authenticate", {"token": server.token})
    return client


def attach(process: subprocess.Popen[bytes], configuration: Any = None) -> Client:
    """Return a client at the pipes of a process."""
    return Client(cast("BinaryIO", process.stdout), cast("BinaryIO", process.stdin), configuration)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Close the server's stdin; return its exit status and what it wrote to stderr. It must end by itself."""
    stdin, stdout, stderr = (cast("BinaryIO", pipe) for pipe in (process.stdin, process.stdout, process.stderr))
    stdin.close()
    try:
        code = process.wait(10)
    finally:
        process.kill()
    said = stderr.read()
    stdout.close()
    stderr.close()
    return code, said


def framed(message: dict[str, Any]) -> bytes:
    """Return a message as it goes over the stream."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def completes(client: Client) -> bool:
    """Shake hands and ask for a completion; return whether it is right."""
    client.initialize()
    client.wait_until_ready()
    client.open("abc")
    return client.inline(0, 3)[0]["insertText"] == "cba"


def as_another_user(script: str) -> str:
    """Run Python code as the user `nobody`; return what it printed. Needs root."""
    # The interpreter may lie where only root can read, so all that is imported must be there before.
    script = "import os, socket, encodings.idna; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n" + script
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout

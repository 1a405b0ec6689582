"""What the page about privacy promises, in a session that has everything: no text on the disk, no network."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from fake_worker import WORDS, interpreter
from lsp_client import ROOT, URI, Client, attach, finish, start_process

from completer.worker import control, start
from completer.worker.wire import Report

pytestmark = pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")

MARK = "canary_b7d1"
"""Part of every text that the editor sends, and of each file of the workspace."""
TEXT = f"import {MARK}_module\n\ndef {MARK}_function(items):\n    # {MARK} comment\n    return \n"
IDLE_S = 1.0
"""Longer than all timers of idle time: a cursor's rest, a block at rest, the thread of the history."""


class Session(NamedTuple):
    """A session that has ended. home: all that completer could write to.  audit: events as `audited` notes them.

    stderr: of the language server.  connections: to the network, of the language server and the workers, while they ran.
    """

    home: Path
    audit: list[tuple[int, str, list[str]]]
    stderr: bytes
    server: int
    connections: list[Any]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home, workspace = tmp_path_factory.mktemp("h"), tmp_path_factory.mktemp("workspace")
    (workspace / f"{MARK}_module.py").write_text(f"def {MARK}_helper(x: int) -> int:\n    return x\n")
    with pytest.MonkeyPatch.context() as patch:
        _move_home(patch, home)
        python = str(interpreter(home))
        _settings(home, f'history = true\nmodel = "words"\nworker_python = "{python}"\nconfidence = 0.0\n')
        return _run(home, workspace, start.place_of(python))  # other tests of this file have their own folders


def _move_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    folders = {"HOME": "", "COMPLETER_CACHE": "cache", "TMPDIR": "tmp", "XDG_RUNTIME_DIR": ""}
    folders |= {f"XDG_{name}_HOME": name.lower() for name in ("CACHE", "CONFIG", "DATA", "STATE")}
    for name, folder in folders.items():
        (home / folder).mkdir(exist_ok=True)
        patch.setenv(name, str(home / folder))
    patch.setenv("AUDIT_FILE", str(home / "audit"))


def _settings(home: Path, text: str) -> None:
    (home / "config" / "completer").mkdir()
    (home / "config" / "completer" / "settings.toml").write_text(text)


def _run(home: Path, workspace: Path, place: start.Place) -> Session:
    audited = str(Path(__file__).parent / "audited.py")
    process = start_process(audited, "lsp", "--verbose", "--log-file", str(home / "server.log"))
    client = attach(process)
    client.initialize(textDocument={"inlineCompletion": {}}, folders=[workspace])
    client.wait_until_ready()
    client.open(TEXT, uri=(workspace / "main.py").as_uri())
    client.open(TEXT)
    _work(client, 2)
    _send_nonsense(client)
    connections = _connections(process, place)
    (home / "fail").touch()  # the next forward raises
    client.type(4, 11, f"{MARK}_x", 100)
    client.inline(4, 11 + len(f"{MARK}_x"), trigger_kind=1)
    assert not (home / "fail").exists()
    worker = control.ask(place)
    assert worker is not None
    os.kill(worker.pid, signal.SIGSEGV)
    end = time.monotonic() + 20
    version = 101
    while not _work(client, version):
        assert time.monotonic() < end, client.call("completer/status")
        version += 2
    time.sleep(IDLE_S)
    connections += _connections(process, place)
    control.stop(place)
    _, stderr = finish(process)
    audit = [(pid, event, told) for pid, event, told in map(json.loads, (home / "audit").read_text().splitlines())]
    return Session(home, audit, stderr, process.pid, connections)


def _work(client: Client, version: int) -> bool:
    """Type, accept what is suggested, ask for all that is known; return whether there was a suggestion."""
    client.type(4, 11, f"{MARK}_", version)
    items = client.inline(4, 11 + len(f"{MARK}_"), trigger_kind=1)
    if items:
        client.call("workspace/executeCommand", items[0]["command"])
    client.type(4, 11, "", version + 1, n_replaced=len(f"{MARK}_"))
    client.call("completer/explain", {"textDocument": {"uri": URI}, "texts": True})
    client.call("completer/nextEdit", {"textDocument": {"uri": URI}, "position": {"line": 4, "character": 11}})
    client.call("completer/metrics")
    return bool(items)


def _send_nonsense(client: Client) -> None:
    """Messages that are wrong in every field, with text of the document in it."""
    document = {"uri": URI, "version": MARK}
    client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": 7, "range": MARK}]})
    client.notify("textDocument/didOpen", {"textDocument": {"uri": "file:///b.py", "languageId": [MARK], "text": MARK}})
    client.answer(client.ask("textDocument/inlineCompletion", {"textDocument": MARK, "context": {"triggerKind": MARK}}))
    client.answer(client.ask("workspace/executeCommand", {"command": "no.such.command", "arguments": [MARK]}))
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"model": 7, "budget_ms": "x"}}})
    client.send_raw(b'{"jsonrpc": "2.0", "method": "' + MARK.encode() + b'", ')
    client.open(TEXT, version=50)  # the server has forgotten the document, whose change it did not understand


def _connections(server: subprocess.Popen[bytes], place: start.Place) -> list[Any]:
    report: Report | None = control.ask(place)
    assert report is not None
    return [one for pid in (server.pid, report.pid) for one in psutil.Process(pid).net_connections(kind="inet")]


def files_with(mark: str, folder: Path) -> list[str]:
    """Return the files below `folder` that hold `mark` in some encoding, or have it in their name."""
    patterns = [mark.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if mark in str(file.relative_to(folder)) or any(pattern in file.read_bytes() for pattern in patterns):
            found.append(str(file.relative_to(folder)))
    return found


def test_no_text_of_a_document_is_in_any_file_or_output_not_even_after_crashes(session: Session) -> None:
    assert files_with(MARK, session.home) == []
    assert MARK.encode() not in session.stderr


def test_no_suggestion_is_in_any_file_or_output(session: Session) -> None:
    assert files_with(WORDS, session.home) == []
    assert WORDS.encode() not in session.stderr


def test_the_session_left_every_file_that_it_can_leave(session: Session) -> None:
    """Or the tests above would find nothing because there is nothing."""
    logs = {path.suffix: path.read_bytes() for path in session.home.glob("cache/worker/*")}
    assert b"the device failed" in logs[".log"]
    assert {".log", ".err"} <= logs.keys()
    log = (session.home / "server.log").read_text()
    assert "Trace(" in log and "ignored notification" in log
    (history,) = session.home.glob("state/completer/history-*.sqlite")
    with closing(sqlite3.connect(history)) as connection:
        shown, accepted = connection.execute("SELECT count(*), sum(n_accepted > 0) FROM suggestion").fetchone()
    assert shown >= 2 and accepted >= 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_the_search_would_find_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "log").write_bytes(b"\0\0" + f"x{MARK}_name".encode(encoding))
    assert files_with(MARK, tmp_path) == ["log"]


def test_sockets_lead_to_the_users_own_worker_and_nowhere_else(session: Session) -> None:
    socket_file = str(next(session.home.glob("completer/worker-*.sock.lock"))).removesuffix(".lock")
    uses = {(event, *told) for _, event, told in session.audit if event != "socket.__new__"}
    assert uses == {("socket.connect", "AF_UNIX", socket_file), ("socket.bind", "AF_UNIX", socket_file)}
    families = {int(told[1]) for _, event, told in session.audit if event == "socket.__new__"}
    assert families == {socket.AF_UNIX}
    assert {pid for pid, *_ in session.audit} > {session.server}  # the workers were watched as well
    assert session.connections == []


@pytest.mark.model
def test_the_real_model_in_the_language_server_opens_no_socket_to_anywhere(tmp_path: Path) -> None:
    (tmp_path / "document.py").write_text("def add(left, right):\n    return \n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "AUDIT_FILE": str(tmp_path / "audit")}
    command = [sys.executable, str(Path(__file__).parent / "audited.py"), "complete", "--model", "qwen2.5-coder-0.5b"]
    done = subprocess.run([*command, f"{tmp_path / 'document.py'}:2:12"], env=environment, capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [event for event in events if event[1] != "socket.__new__"] == []

"""A session that the server was asked to record is played back as the same edits at the same places."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from lsp_client import URI, StartClient

from bench.document import Document, Encoding
from bench.record import trace_from_log
from bench.trace import Trace

OPENED = "größe = '😀'\nprint()"


def record(start: StartClient, log: Path, encoding: Encoding, *options: str) -> Trace:
    """Type two keys and move the cursor, behind characters that each encoding counts in another way."""
    client = start("--record", str(log), *options)
    client.initialize(general={"positionEncodings": [encoding]})
    client.wait_until_ready()
    client.open(OPENED)
    column = {"utf-8": 16, "utf-16": 12, "utf-32": 11}[encoding]
    client.type(0, column, "x", version=2)
    client.type(1, 6, "y", version=3)
    client.inline(1, 7)
    client.notify("completer/didMoveCursor", {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 2}})
    client.call("completer/status")
    return trace_from_log(log)


def end_text(trace: Trace) -> str:
    document = Document("file:///a", "python", trace.events[0].text)
    for event in trace.events[1:]:
        document.apply(event)
    return document.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_recorded_session_is_the_same_edits_in_any_position_encoding(
    start: StartClient, tmp_path: Path, encoding: Encoding
) -> None:
    trace = record(start, tmp_path / "log", encoding)
    assert [event.kind for event in trace.events] == ["open", "key", "key", "move"]
    assert end_text(trace) == "größe = '😀'x\nprint(y)"


def test_a_recording_of_lengths_holds_no_text(start: StartClient, tmp_path: Path) -> None:
    trace = record(start, tmp_path / "log", "utf-32", "--lengths-only")
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "größe" not in log
    assert "print" not in log
    assert trace.redacted
    assert [len(line) for line in end_text(trace).split("\n")] == [12, 8]


def test_only_the_user_can_read_the_recording(start: StartClient, tmp_path: Path) -> None:
    record(start, tmp_path / "log", "utf-16")
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600

"""How long from a key to ghost text on the screen in VS Code, and how much of that is the client's."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import pytest

from tests.editors.vscode_session import LATENCY_FILES, LATENCY_LINE, Session

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]

TYPED = "        return self.total"
MAX_CLIENT_P50_MS = 60.0
PAUSE_MS = 400


@dataclass(frozen=True)
class Key:
    """A key after which new ghost text came. server_ms: the server's share of total_ms."""

    total_ms: float
    server_ms: float

    @property
    def client_ms(self) -> float:
        return self.total_ms - self.server_ms


def test_the_client_adds_at_most_60_ms_to_the_servers_answer(vscode: Session, capsys: pytest.CaptureFixture[str]) -> None:
    editor = vscode.workbench
    fresh: list[Key] = []
    through_ms: list[float] = []
    for name in LATENCY_FILES:
        editor.open(name)
        editor.go_to(LATENCY_LINE, 1)
        editor.type(TYPED[:8])
        editor.watch()
        for character in TYPED[8:]:
            editor.type(character)
            editor.page.wait_for_timeout(PAUSE_MS)
        keys = split(editor.watched())
        keys_fresh, keys_through = measure(vscode, name, keys)
        fresh += keys_fresh
        through_ms += keys_through
    assert len(fresh) >= 5, f"only {len(fresh)} keys brought new ghost text"
    total, server, client = ([getattr(key, name) for key in fresh] for name in ("total_ms", "server_ms", "client_ms"))
    with capsys.disabled():
        print(f"\nVS Code, from a key to visible ghost text, {len(fresh)} keys that asked the server: {of(total)}")
        print(f"  the server's own time {of(server)}, the client's share {of(client)}")
        print(f"  {len(through_ms)} keys typed through: {of(through_ms)}")
    assert statistics.median(client) <= MAX_CLIENT_P50_MS


def split(log: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the log in pieces: each a key and what followed it until the next one."""
    pieces: list[list[dict[str, Any]]] = []
    for event in log:
        if "key" in event:
            pieces.append([event])
        elif pieces:
            pieces[-1].append(event)
    return pieces


def measure(vscode: Session, name: str, pieces: list[list[dict[str, Any]]]) -> tuple[list[Key], list[float]]:
    """Return the keys that brought new ghost text, and the times of those that only took a letter off what was there."""
    fresh, through_ms, before = [], [], ""
    for column, (key, *changes) in enumerate(pieces, start=9):
        visible = [change for change in changes if change["ghost"]]
        if visible:
            ghost, total_ms = visible[0]["ghost"], visible[0]["time_ms"] - key["time_ms"]
            if before[1:] == ghost:
                through_ms.append(total_ms)
            elif (server_ms := vscode.tape.server_ms(name, LATENCY_LINE - 1, column, ghost)) is not None:
                fresh.append(Key(total_ms, server_ms))
        before = changes[-1]["ghost"] if changes else before
    return fresh, through_ms


def of(values_ms: Any) -> str:
    """Return p50 and p95 as text."""
    ordered = sorted(values_ms)
    return f"p50 {statistics.median(ordered):.0f} ms, p95 {ordered[int(0.95 * (len(ordered) - 1))]:.0f} ms" if ordered else "none"

"""The history of suggestions, written by the real server."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsp_client import URI, Client, attach, finish, marked, start_server

Session = Callable[[Client], None]


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Any, ...]]]:
    """`rows(session, **settings)` serves a session to its end; return what the history holds then."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(session: Session, *options: str, settings: Any = None, **capabilities: Any) -> list[tuple[Any, ...]]:
        process = start_server("--history", *options)
        client = attach(process)
        client.initialize(settings=settings, **capabilities)
        client.wait_until_ready()
        client.open("abc def\n")
        session(client)
        client.call("completer/status")
        finish(process)
        found = list(tmp_path.glob("completer/history-*.sqlite"))
        if not found:
            return []
        with contextlib.closing(sqlite3.connect(found[0])) as connection:
            wanted = "offer, language, answered_by, latency_ms, n_shown, n_accepted, unit, remote"
            return connection.execute(f"SELECT {wanted} FROM suggestion ORDER BY id").fetchall()

    return run


GHOST = {"inlineCompletion": {}}
ON = marked({"history": True})


def accept(client: Client, id_: str, length: int | None = None) -> None:
    params = {"textDocument": {"uri": URI}, "id": id_, "acceptedLength": length}
    client.notify("completer/didAccept", {name: value for name, value in params.items() if value is not None})


def id_of(item: dict[str, Any]) -> str:
    return str(item["command"]["arguments"][0])


def accept_a_word_then_all(client: Client) -> None:
    (item,) = client.inline(0, 3)
    accept(client, id_of(item), 1)
    accept(client, id_of(item))
    client.call("workspace/executeCommand", item["command"])  # some clients report it by both ways


def test_by_default_nothing_is_kept(rows: Callable[..., Any]) -> None:
    assert rows(accept_a_word_then_all, textDocument=GHOST) == []


def test_a_workspace_cannot_switch_it_on(rows: Callable[..., Any]) -> None:
    assert rows(accept_a_word_then_all, settings={"history": True}, textDocument=GHOST) == []


def test_an_accepted_suggestion_is_a_row_with_what_was_accepted_of_it(rows: Callable[..., Any]) -> None:
    (row,) = rows(accept_a_word_then_all, "--delay-ms", "20", settings=ON, textDocument=GHOST)
    *counts, latency_ms = (*row[:3], *row[4:], row[3])
    assert counts == [None, "python", "cold", 3, 3, 3, 0]
    assert 20 <= latency_ms < 5_000


def test_an_alternative_and_a_suggestion_that_grew_are_the_offer_that_they_belong_to(rows: Callable[..., Any]) -> None:
    def session(client: Client) -> None:
        items = client.inline(0, 3, trigger_kind=1)
        client.call("workspace/executeCommand", items[2]["command"])
        client.type(0, 7, " extend", 2)
        client.inline(0, 14)
        longer = client.wait_for("completer/didExtendSuggestion")
        accept(client, longer["id"], len("dnetxe "))

    found = rows(session, settings=ON, textDocument=GHOST)
    assert [(row[4], row[5], row[6]) for row in found] == [(3, 3, 3), (len("dnetxe and more"), 7, 1)]


def test_entries_of_a_completion_list_count_as_well(rows: Callable[..., Any]) -> None:
    def session(client: Client) -> None:
        found = client.call("textDocument/completion", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 3}})
        client.call("workspace/executeCommand", found["items"][0]["command"])

    (row,) = rows(session, settings=ON)
    assert (row[4], row[5], row[6]) == (3, 3, 3)


def test_a_history_that_cannot_be_written_disturbs_nothing(rows: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "completer").write_text("a file where the folder should be")
    assert rows(accept_a_word_then_all, settings=ON, textDocument=GHOST) == []

"""Next edits over the protocol: by our method, unasked at a pause, and as code actions of any LSP editor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from lsp_client import URI, Client, StartClient

TEXT = "def area(width, height):\n    half = width / 2\n    return half * height\n\n\nprint(area(3, 4))\nprint(area(5, 6))\n"
OTHER = "file:///project/other.py"
INVALID_PARAMS = -32602
KIND = "refactor.rewrite"
DOCUMENT_CHANGES = {"workspaceEdit": {"documentChanges": True}}


def ready(start: StartClient, settings: Any = None, folders: Iterable[Path] = (), **capabilities: Any) -> Client:
    client = start()
    client.initialize(settings=settings, folders=list(folders), textDocument={"inlineCompletion": {}}, **capabilities)
    return client


def rename_area(client: Client, uri: str = URI, version: int = 2) -> None:
    client.type(0, 4, "surface", version, uri, n_replaced=4)


def next_edits(client: Client, line: int = 0, character: int = 11, uri: str = URI) -> list[dict[str, Any]]:
    params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
    return list(client.call("completer/nextEdit", params)["edits"])


def actions(client: Client, line: int = 0, character: int = 11, uri: str = URI, **context: Any) -> list[dict[str, Any]]:
    at = {"line": line, "character": character}
    params = {"textDocument": {"uri": uri}, "range": {"start": at, "end": at}, "context": {"diagnostics": [], **context}}
    return list(client.call("textDocument/codeAction", params))


def starts(edits: Iterable[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(edit["range"]["start"]["line"], edit["range"]["start"]["character"]) for edit in edits]


def test_after_a_definition_is_renamed_its_uses_are_offered_in_order(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    assert next_edits(client) == []  # nothing was edited yet
    rename_area(client)
    found = next_edits(client)
    assert starts(found) == [(5, 6), (6, 6)]
    first = found[0]
    assert first["newText"] == "surface"
    assert first["textDocument"] == {"uri": URI, "version": 2}
    assert first["range"]["end"] == {"line": 5, "character": 10}
    assert first["reason"] and 0 < first["probability"] <= 1
    assert len({edit["id"] for edit in found}) == 2


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 12), ("utf-16", 10), ("utf-32", 9)])
def test_ranges_are_in_the_clients_encoding(start: StartClient, encoding: str, column: int) -> None:
    client = ready(start, general={"positionEncodings": [encoding]})
    client.open("def area(x):\n    return x\n\na = '😀', area(1)\n")
    rename_area(client)
    ((line, character),) = starts(next_edits(client))
    assert (line, character) == (3, column)


def test_code_actions_apply_one_or_all_with_document_versions(start: StartClient) -> None:
    client = ready(start, workspace=DOCUMENT_CHANGES)
    client.open(TEXT)
    rename_area(client)
    one, every = actions(client)
    assert one["title"].startswith("Apply the next edit (line 6:") and one["kind"] == KIND
    assert every["title"] == "Apply all like this (2)"
    (change,) = every["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 2}
    assert starts(change["edits"]) == [(5, 6), (6, 6)]


def test_a_client_without_document_changes_gets_plain_ones(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    rename_area(client)
    assert starts(actions(client)[0]["edit"]["changes"][URI]) == [(5, 6)]


def test_only_the_kinds_that_were_asked_for_are_answered(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    rename_area(client)
    assert actions(client, only=["source.organizeImports"]) == []
    assert actions(client, only=["refactor"])


def test_the_chain_ends_when_every_edit_is_applied(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    rename_area(client)
    for version, rest in ((3, 1), (4, 0)):
        (line, character), *_ = starts(next_edits(client))
        client.type(line, character, "surface", version, n_replaced=4)
        assert len(next_edits(client)) == rest


def test_uses_in_other_open_documents_follow(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    client.open("from example import area\n\nprint(area(1, 2))\n", OTHER)
    rename_area(client)
    found = next_edits(client)
    assert [edit["textDocument"]["uri"] for edit in found] == [URI, URI, OTHER, OTHER]


def test_a_dismissed_edit_is_not_offered_again(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    rename_area(client)
    client.notify("completer/didDismiss", {"textDocument": {"uri": URI}, "id": next_edits(client)[0]["id"]})
    assert next_edits(client) == []
    assert actions(client) == []


def test_secret_and_ignored_documents_are_left_alone(start: StartClient, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("generated.py\n")
    ignored, secret = (tmp_path / "generated.py").as_uri(), "file:///project/.env"
    key = "ghp_" + "a1B2" * 10
    client = ready(start, folders=[tmp_path])
    client.open(TEXT)
    client.open("print(area(1, 2))\n", ignored)
    client.open("print(area(1, 2))\n", secret)
    client.open(f"print(area(1, 2))\ntoken = '{key}'\n", OTHER)
    client.call("completer/status")
    rename_area(client)
    while {edit["textDocument"]["uri"] for edit in next_edits(client)} != {URI}:
        pass  # the ignore rules are read by another thread


def test_the_setting_switches_it_off(start: StartClient) -> None:
    client = ready(start, settings={"next_edit": False})
    client.open(TEXT)
    rename_area(client)
    assert next_edits(client) == [] and actions(client) == []
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"next_edit": True}}})
    assert len(next_edits(client)) == 2


def test_a_client_that_asks_for_it_hears_of_next_edits_at_a_pause(start: StartClient) -> None:
    client = ready(start, experimental={"completerNextEdit": True})
    client.open(TEXT)
    rename_area(client)
    found = client.wait_for("completer/didFindNextEdit")
    assert found["textDocument"] == {"uri": URI, "version": 2}
    assert starts(found["edits"]) == [(5, 6), (6, 6)]


def test_other_clients_hear_nothing_unasked(start: StartClient) -> None:
    asking, silent = ready(start, experimental={"completerNextEdit": True}), ready(start)
    for client in (silent, asking):
        client.open(TEXT)
        rename_area(client)
    asking.wait_for("completer/didFindNextEdit")
    silent.call("completer/status")
    assert not [message for message in silent.seen if message["method"] == "completer/didFindNextEdit"]


def test_automatic_code_actions_wait_until_the_word_is_finished(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    rename_area(client)
    assert actions(client, triggerKind=2) == []
    assert actions(client, 1, 0, triggerKind=2)  # the cursor has left the word


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"textDocument": {"uri": URI}},
        {"textDocument": {"uri": URI}, "position": {"line": -1, "character": 0}},
        {"textDocument": {"uri": "file:///never-opened"}, "position": {"line": 0, "character": 0}},
    ],
)
def test_wrong_params_are_answered_with_an_error(client: Client, params: Any) -> None:
    client.open(TEXT)
    assert client.answer(client.ask("completer/nextEdit", params))["error"]["code"] == INVALID_PARAMS

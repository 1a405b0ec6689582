"""Clients of Copilot's protocol: its names are answered in its shapes."""

from __future__ import annotations

from typing import Any

from lsp_client import URI, Client, StartClient, inline_params

OPTIONS = {"editorInfo": {"name": "ed", "version": "1.19"}, "editorPluginInfo": {"name": "plugin", "version": "1"}, "x": "y"}
TEXT = "def area(width, height):\n    half = width / 2\n    return half * height\n\n\nprint(area(3, 4))\nprint(area(5, 6))\n"
OTHER = "file:///project/other.py"
STATUS = "didChangeStatus"


def ready(start: StartClient, **capabilities: Any) -> Client:
    client = start()
    client.initialize(settings=OPTIONS, **capabilities)
    client.wait_for(STATUS, busy=False)
    return client


def inline_edit(client: Client, line: int, character: int, **context: Any) -> int:
    position = {"line": line, "character": character}
    params = {"textDocument": {"uri": URI, "version": 2}, "position": position} | ({"context": context} if context else {})
    return client.ask("textDocument/copilotInlineEdit", params)


def test_the_status_comes_in_copilots_words(start: StartClient) -> None:
    client = start("--load-ms", "500")
    client.initialize(settings=OPTIONS)
    assert client.wait_for(STATUS, busy=True)["kind"] == "Normal"
    assert client.wait_for(STATUS, busy=False) == {"kind": "Normal", "busy": False, "message": ""}
    client.call("completer/snooze", {"minutes": 30})
    assert client.wait_for(STATUS, kind="Inactive")["message"].startswith("snoozed until")
    assert not [message for message in client.seen if message["method"] == "window/showMessage"]  # the options are no settings


def test_the_focus_decides_whose_status_is_told(start: StartClient) -> None:
    client = start()
    client.initialize(settings=OPTIONS | {"completer": {"disabled_languages": ["markdown"]}})
    client.wait_for(STATUS, busy=False)
    client.open("abc")
    client.open("abc", uri=OTHER, language="markdown")
    client.notify("textDocument/didFocus", {"textDocument": {"uri": OTHER}})
    assert client.wait_for(STATUS, kind="Inactive")["message"] == "off: language 'markdown'"
    n_seen = len(client.seen)
    client.notify("textDocument/didFocus", {})
    while not any(message["params"].get("kind") == "Normal" for message in client.seen[n_seen:]):
        client.wait_for_next()


def test_nobody_need_sign_in(start: StartClient) -> None:
    client = ready(start)
    assert client.call("checkStatus", {}) == {"status": "OK", "user": "completer"}
    assert client.call("signIn", {}) == {"status": "AlreadySignedIn", "user": "completer"}
    assert client.call("signOut", {}) == {"status": "NotSignedIn"}


def test_positions_count_utf_16_units_and_no_list_is_offered(start: StartClient) -> None:
    client = start()
    offered = client.initialize(settings=OPTIONS, general={"positionEncodings": ["utf-8", "utf-16"]})
    assert offered["positionEncoding"] == "utf-16"
    assert "completionProvider" not in offered
    client.wait_for(STATUS, busy=False)
    client.open("😀 abc")
    assert client.inline(0, 6)[0]["insertText"] == "cba"


def test_what_was_accepted_in_part_is_known_by_the_item(start: StartClient) -> None:
    client = ready(start)
    client.open("abcd")
    params = inline_params(0, 4) | {"formattingOptions": {"tabSize": 4, "insertSpaces": True}}
    (item,) = client.call("textDocument/inlineCompletion", params)["items"]
    client.notify("textDocument/didShowCompletion", {"item": item})
    client.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 2})
    client.call("workspace/executeCommand", item["command"])
    assert [event["n_chars"] for event in client.events_named("accept")] == [2, 4]


def test_the_first_next_edit_of_the_document_comes_in_copilots_shape(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    client.type(0, 4, "surface", 2, n_replaced=4)
    answer = client.answer(inline_edit(client, 0, 11, triggerKind=1))["result"]
    (edit,) = answer["edits"]
    command = edit.pop("command")
    assert edit == {
        "text": "surface",
        "range": {"start": {"line": 5, "character": 6}, "end": {"line": 5, "character": 10}},
        "textDocument": {"uri": URI, "version": 2},
    }
    client.notify("textDocument/didShowInlineEdit", {"item": {"command": {"arguments": command["arguments"]}}})
    client.type(5, 6, "surface", 3, n_replaced=4)
    client.call("workspace/executeCommand", command)
    (edit,) = client.answer(inline_edit(client, 5, 13, triggerKind=1))["result"]["edits"]
    assert edit["range"]["start"] == {"line": 6, "character": 6}


def test_an_automatic_next_edit_waits_for_the_end_of_the_word(start: StartClient) -> None:
    client = ready(start)
    client.open(TEXT)
    client.type(0, 4, "surf", 2, n_replaced=4)
    early = inline_edit(client, 0, 8)
    client.type(0, 8, "ace", 3)
    late = inline_edit(client, 0, 11)
    assert client.answer(early)["result"] == {"edits": []}
    (edit,) = client.answer(late)["result"]["edits"]
    assert edit["text"] == "surface"


def test_an_automatic_next_edit_follows_the_rules_and_an_explicit_one_does_not(start: StartClient) -> None:
    client = ready(start)
    client.call("completer/setEnabled", {"enabled": False})
    client.open(TEXT)
    client.type(0, 4, "surface", 2, n_replaced=4)
    assert client.answer(inline_edit(client, 1, 0))["result"] == {"edits": []}
    assert len(client.answer(inline_edit(client, 1, 0, triggerKind=1))["result"]["edits"]) == 1

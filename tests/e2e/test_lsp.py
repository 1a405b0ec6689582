"""The language server as a process, asked over stdio: documents, completions, and one answer for each request."""

from __future__ import annotations

from typing import Any

import pytest
from lsp_client import URI, Client, StartClient, inline_params

from completer.models.manifest import load_manifest

INVALID_PARAMS, CANCELLED, NOT_INITIALIZED, INVALID_REQUEST = -32602, -32800, -32002, -32600

# text before the cursor on its line, and how wide it is in each encoding
WIDTHS = {"utf-8": 13, "utf-16": 11, "utf-32": 10}
LINE = "\tx = '😀'ab"  # tab, 4 ASCII, quote, emoji, quote, 2 ASCII


@pytest.mark.parametrize("encoding", WIDTHS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_completion_lands_at_the_cursor_in_every_encoding(start: StartClient, encoding: str, newline: str) -> None:
    client = start()
    offered = ["utf-7", encoding, "utf-16"]
    capabilities = client.initialize(general={"positionEncodings": offered}, textDocument={"inlineCompletion": {}})
    assert capabilities["positionEncoding"] == encoding
    client.wait_until_ready()
    client.open(f"a\fb\u2028c{newline}{LINE}{newline}end")
    width = WIDTHS[encoding]
    (item,) = client.inline(1, width)
    assert item["insertText"] == "ba'😀'"
    assert item["range"] == {"start": {"line": 1, "character": width}, "end": {"line": 1, "character": width}}
    client.type(1, width, "c", version=2)
    (item,) = client.inline(1, width + 1)
    assert item["insertText"] == "cba'😀'"
    assert [event["edits_agree"] for event in client.events_named("change")] == [True]


def test_crlf_that_an_edit_splits_and_a_form_feed_keep_the_mirror_right(client: Client) -> None:
    client.open("one\r\ntwo\fthree\r\nfour")
    client.type(0, 3, "\r", version=2)  # one \r \r \n two
    client.type(2, 9, " five", version=3)
    assert [item["insertText"] for item in client.inline(2, 14)] == ["evif"]
    assert all(event["edits_agree"] for event in client.events_named("change"))


@pytest.mark.parametrize("version", [{"version": 2}, {"version": None}, {}])
def test_three_cursors_replace_in_one_notification_with_or_without_a_version(client: Client, version: dict[str, Any]) -> None:
    client.open("# okay a\n# okay b\nokay")
    changes = [
        {"range": {"start": {"line": line, "character": at}, "end": {"line": line, "character": at + 4}}, "text": "TANGO"}
        for line, at in ((2, 0), (1, 2), (0, 2))
    ]
    params = {"textDocument": {"uri": URI, **version}, "contentChanges": changes}
    client.notify("textDocument/didChange", params)
    assert [item["insertText"] for item in client.inline(2, 5)] == ["OGNAT"]
    (event,) = client.events_named("change")
    assert (event["edits_agree"], event["n_edits"], event["version"]) == (True, 3, 2)


def test_folder_that_does_not_parse_leaves_the_server_usable(start: StartClient) -> None:
    client = start()
    params = {"processId": None, "rootUri": "file://[bad/x", "capabilities": {"textDocument": {"inlineCompletion": {}}}}
    assert client.call("initialize", params)["capabilities"]
    client.notify("initialized", {})
    client.wait_until_ready()
    client.open("abc")
    assert [item["insertText"] for item in client.inline(0, 3)] == ["cba"]


def test_request_sees_the_document_as_it_was_when_it_was_sent(client: Client) -> None:
    client.open("abc")
    first = client.ask_inline(0, 3)
    client.type(0, 3, "d", version=2)  # on its way before the first is answered
    assert client.answer(first)["result"]["items"][0]["insertText"] == "cba"


def test_cancelled_request_is_answered_with_the_error_for_it(start: StartClient) -> None:
    client = start("--delay-ms", "5000")
    client.initialize()
    client.wait_until_ready()
    client.open("abc")
    request = client.ask_inline(0, 3)
    while not client.events_named("complete"):
        pass
    client.notify("$/cancelRequest", {"id": request})
    assert client.answer(request)["error"]["code"] == CANCELLED
    assert client.events_named("cancelled")


def test_newer_request_supersedes_older_ones_of_the_same_document_only(start: StartClient) -> None:
    client = start("--delay-ms", "300")
    client.initialize()
    client.wait_until_ready()
    client.open("abc")
    client.open("xyz", uri="file:///other.py")
    older, other, newer = client.ask_inline(0, 3), client.ask_inline(0, 3, "file:///other.py"), client.ask_inline(0, 2)
    assert client.answer(older)["result"]["items"] == []
    assert [item["insertText"] for item in client.answer(newer)["result"]["items"]] == ["ba"]
    assert [item["insertText"] for item in client.answer(other)["result"]["items"]] == ["zyx"]
    assert len(client.events_named("cancelled")) == 1


def thinking_shown(start: StartClient, delay_ms: int, trigger_kind: int) -> list[str]:
    """Return what the client's progress display was told of one request, loading aside."""
    client = start("--delay-ms", str(delay_ms))
    client.initialize(window={"workDoneProgress": True})
    client.wait_until_ready()
    client.open("abc")
    assert client.inline(0, 3, trigger_kind=trigger_kind)
    client.call("completer/status")  # what was sent before this has arrived
    told = [message["params"] for message in client.seen if message["method"] == "$/progress"]
    return [params["value"]["kind"] for params in told if "thinking" in params["token"]]


def test_an_explicit_request_that_takes_long_is_shown_as_thinking_until_its_answer(start: StartClient) -> None:
    assert thinking_shown(start, delay_ms=600, trigger_kind=1) == ["begin", "end"]


@pytest.mark.parametrize(("delay_ms", "trigger_kind"), [(0, 1), (600, 2)])
def test_a_quick_answer_and_an_automatic_request_show_no_progress(start: StartClient, delay_ms: int, trigger_kind: int) -> None:
    assert thinking_shown(start, delay_ms, trigger_kind) == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/inlineCompletion", inline_params(0, 0, trigger_kind=0)),
        ("textDocument/inlineCompletion", {"textDocument": {"uri": URI}}),
        ("textDocument/inlineCompletion", inline_params(-1, 0)),
        ("textDocument/inlineCompletion", [1, 2]),
        ("textDocument/inlineCompletion", None),
        ("textDocument/inlineCompletion", inline_params(0, 0, uri="file:///never-opened")),
        ("textDocument/completion", {"position": "here"}),
        ("workspace/executeCommand", {"command": "completer.unknown"}),
    ],
)
def test_invalid_params_are_answered(client: Client, method: str, params: object) -> None:
    client.open("abc")
    error = client.answer(client.ask(method, params))["error"]
    assert error["code"] == INVALID_PARAMS
    assert error["message"]
    assert client.inline(0, 3)  # the connection goes on


def test_what_is_no_message_is_answered_and_the_connection_goes_on(client: Client) -> None:
    client.send_raw(b"{not json")
    assert client.answer(None)["error"]["code"] == -32700
    client.send_raw(b"[1]")
    assert client.answer(None)["error"]["code"] == INVALID_REQUEST
    assert client.answer(client.ask("completer/unknown", {}))["error"]["code"] == -32601
    client.notify("textDocument/didChange", {"textDocument": "nonsense"})
    client.notify("completer/didShow", {"id": 5})
    client.open("abc")
    assert client.inline(0, 3)


def test_requests_before_initialize_and_after_shutdown_get_an_error(start: StartClient) -> None:
    client = start()
    assert client.answer(client.ask_inline(0, 0))["error"]["code"] == NOT_INITIALIZED
    client.initialize()
    assert client.call("shutdown") is None
    assert client.answer(client.ask_inline(0, 0))["error"]["code"] == INVALID_REQUEST


def test_error_of_the_engine_is_said_once_and_answered_empty(client: Client) -> None:
    client.open("this will fail")
    assert client.inline(0, 14) == client.inline(0, 14) == []
    client.wait_for("window/showMessage", message="the fake engine failed")
    assert len([message for message in client.seen if message["method"] == "window/showMessage"]) == 1


def test_nothing_to_suggest_is_an_empty_list(client: Client) -> None:
    client.open("nothing")
    assert client.inline(0, 7) == []


def test_disabled_language_is_completed_only_when_asked_for(start: StartClient) -> None:
    client = start()
    client.initialize(settings={"disabled_languages": ["markdown"]})
    client.wait_until_ready()
    client.open("abc", language="markdown")
    assert client.inline(0, 3, trigger_kind=2) == []
    assert client.inline(0, 3, trigger_kind=1)


def test_closed_document_is_freed(client: Client) -> None:
    client.open("abc")
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert client.events_named("close") == [{"event": "close", "uri": URI}]
    assert client.answer(client.ask_inline(0, 3))["error"]["code"] == INVALID_PARAMS


def test_selected_item_of_the_list_reaches_the_completer(client: Client) -> None:
    client.open("import o")
    selected = {"range": {"start": {"line": 0, "character": 7}, "end": {"line": 0, "character": 8}}, "text": "os"}
    params = inline_params(0, 8)
    params["context"]["selectedCompletionInfo"] = selected
    client.call("textDocument/inlineCompletion", params)
    assert client.events_named("selected") == [{"event": "selected", "text": "os"}]


def test_clients_with_inline_completion_are_not_offered_lists(start: StartClient) -> None:
    assert "completionProvider" not in start().initialize(textDocument={"inlineCompletion": {}})
    assert "completionProvider" in start().initialize()


def test_list_item_shows_and_replaces_the_word_at_the_cursor(start: StartClient) -> None:
    client = start()
    client.initialize()
    client.wait_until_ready()
    client.open("    two lines\n")
    params = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 13}}
    answer = client.call("textDocument/completion", params)
    (item,) = answer["items"]
    assert answer["isIncomplete"] is True
    assert item["label"] == "lines = 1 …"
    assert item["filterText"] == "lines = 1"
    assert item["textEdit"]["newText"] == "lines = 1\n    second = 2"
    assert item["textEdit"]["range"]["start"] == {"line": 0, "character": 8}
    assert item["insertTextMode"] == 1
    assert item["insertTextFormat"] == 1
    assert item["commitCharacters"] == []
    assert item["sortText"] < "!"  # before every identifier
    client.type(0, 13, " nothing", version=2)
    params["position"] = {"line": 0, "character": 21}
    assert client.call("textDocument/completion", params) == {"isIncomplete": True, "items": []}


def test_cells_of_a_notebook_see_each_other(client: Client) -> None:
    texts = {"cell:1": "import os", "cell:2": "# prose", "cell:3": "abc"}
    kinds = {"cell:1": 2, "cell:2": 1, "cell:3": 2}
    client.notify(
        "notebookDocument/didOpen",
        {
            "notebookDocument": {
                "uri": "nb:1",
                "notebookType": "jupyter-notebook",
                "version": 1,
                "cells": [{"kind": kind, "document": uri} for uri, kind in kinds.items()],
            },
            "cellTextDocuments": [
                {"uri": uri, "languageId": "python", "version": 1, "text": text} for uri, text in texts.items()
            ],
        },
    )
    (item,) = client.inline(0, 3, uri="cell:3")
    assert item["insertText"] == "cba"
    assert item["range"]["start"] == {"line": 0, "character": 3}
    change = {"range": {"start": {"line": 0, "character": 3}, "end": {"line": 0, "character": 3}}, "text": "d"}
    content = {"document": {"uri": "cell:3", "version": 2}, "changes": [change]}
    client.notify(
        "notebookDocument/didChange",
        {"notebookDocument": {"uri": "nb:1", "version": 2}, "change": {"cells": {"textContent": [content]}}},
    )
    (item,) = client.inline(0, 4, uri="cell:3")
    assert item["insertText"] == "dcba"
    assert client.events_named("complete")[-1]["n_chars"] == len("import os\n\nabcd")
    assert client.events_named("open") == [{"event": "open", "uri": "nb:1", "language": "python"}]
    client.notify("notebookDocument/didClose", {"notebookDocument": {"uri": "nb:1"}, "cellTextDocuments": []})
    assert client.events_named("close") == [{"event": "close", "uri": "nb:1"}]


def test_a_cell_of_another_language_is_completed_by_itself(client: Client) -> None:
    texts = {"cell:1": ("sql", "SELECT a"), "cell:2": ("python", "abc"), "cell:3": ("python", "%%bash\nls")}
    cells = [{"kind": 2, "document": uri} for uri in texts]
    opened = [{"uri": uri, "languageId": language, "version": 1, "text": text} for uri, (language, text) in texts.items()]
    notebook = {"uri": "nb:1", "notebookType": "jupyter-notebook", "version": 1, "cells": [cells[1], cells[0], cells[2]]}
    client.notify("notebookDocument/didOpen", {"notebookDocument": notebook, "cellTextDocuments": opened})
    for uri, (_, text) in texts.items():
        line = text.rpartition("\n")[2]
        (item,) = client.inline(text.count("\n"), len(line), uri=uri)
        assert item["range"]["start"] == {"line": text.count("\n"), "character": len(line)}
        assert client.events_named("complete")[-1]["n_chars"] == len(text)
    closed = [{"uri": uri} for uri in texts]
    client.notify("notebookDocument/didClose", {"notebookDocument": {"uri": "nb:1"}, "cellTextDocuments": closed})
    assert client.events_named("close") == [{"event": "close", "uri": "nb:1"}]


def test_models_are_those_of_the_manifest(client: Client) -> None:
    models = client.call("completer/models")["models"]
    assert [model["id"] for model in models] == [entry.id for entry in load_manifest()]
    assert all(isinstance(model["pulled"], bool) for model in models)

"""Each request gets exactly one answer, whatever its shape, and no message leaves a mirror that differs from the editor."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from in_process import INITIALIZE, framed, notification, request, say, talk

from completer.server.envelope import MAX_DEPTH

URI = "file:///a.py"
FORGOTTEN = "completer: a change of {} was not understood; close the file and open it again to have it completed"
HELLO = request("initialize", INITIALIZE)
PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS = -32700, -32600, -32602


def opened(text: str = "abc", version: Any = 1) -> dict[str, Any]:
    item = {"uri": URI, "languageId": "python", "version": version, "text": text}
    return notification("textDocument/didOpen", {"textDocument": item})


def typed(character: int, text: str, **version: Any) -> dict[str, Any]:
    position = {"line": 0, "character": character}
    change = {"range": {"start": position, "end": position}, "text": text}
    return notification("textDocument/didChange", {"textDocument": {"uri": URI, **version}, "contentChanges": [change]})


def notebook_opened() -> dict[str, Any]:
    cells = {"uri": "nb:1", "notebookType": "jupyter-notebook", "version": 1, "cells": [{"kind": 2, "document": "cell:1"}]}
    texts = [{"uri": "cell:1", "languageId": "python", "version": 1, "text": "abc"}]
    return notification("notebookDocument/didOpen", {"notebookDocument": cells, "cellTextDocuments": texts})


def notebook_changed(content: dict[str, Any]) -> dict[str, Any]:
    change = {"notebookDocument": {"uri": "nb:1", "version": 2}, "change": {"cells": {"textContent": [content]}}}
    return notification("notebookDocument/didChange", change)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, INVALID_REQUEST),
        (b"[" * 100_000, INVALID_REQUEST),
        (
            b'{"jsonrpc": "2.0", "id": 5, "method": "completer/status", "params": ' + b"[" * 500 + b"]" * 500 + b"}",
            INVALID_REQUEST,
        ),
        (b"\xff\xfe{}", PARSE_ERROR),
        (b"", PARSE_ERROR),
        (b"1" * 5000, PARSE_ERROR),
        (b"null", INVALID_REQUEST),
        (b"{}", INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 5}', INVALID_REQUEST),
        (b'{"jsonrpc": "1.0", "id": 5, "method": "shutdown"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 5, "method": 7}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "shutdown", "error": null}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "textDocument/didClose"}', INVALID_PARAMS),
        (b'{"jsonrpc": "2.0", "id": [5], "method": "shutdown"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": true, "method": "shutdown"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": null, "method": "shutdown"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "exit"}', INVALID_REQUEST),
    ],
)
@pytest.mark.parametrize("initialized", [True, False])
def test_bad_message_has_one_error_for_an_answer_and_the_next_one_is_served(body: bytes, code: int, initialized: bool) -> None:
    before = [HELLO] if initialized else []
    sent, _, bad = talk(*before, body, request("completer/status" if initialized else "initialize", INITIALIZE, "next"))
    assert sent[-2]["error"]["code"] == code
    assert sent[-2]["id"] in (5, None)
    assert sent[-1]["id"] == "next" and "result" in sent[-1]
    assert len(sent) == len(before) + 2
    assert not bad


def test_nesting_is_counted_outside_strings_only() -> None:
    brackets = "[{" * MAX_DEPTH + '\\"'
    _, ls, _ = talk(HELLO, opened(brackets))
    assert ls.documents.snapshots()[0].text == brackets
    deepest = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    sent, _, _ = talk(b'{"jsonrpc": "2.0", "id": 5, "method": "unknown", "params": ' + deepest + b"}")
    assert sent[0]["id"] == 5


def test_long_unfinished_string_is_read_in_linear_time() -> None:
    sent, _, _ = talk(b"[" * (MAX_DEPTH + 1) + b'"' + b'\\"' * 1_000_000)
    assert sent[0]["error"]["code"] == INVALID_REQUEST
    sent, _, _ = talk(b"[]" * (MAX_DEPTH + 1) + b'"' + b'\\"' * 1_000_000)
    assert sent[0]["error"]["code"] == PARSE_ERROR


def test_error_that_the_client_reports_is_not_answered() -> None:
    sent, _, _ = talk(
        HELLO,
        b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "?"}}',
        b'{"jsonrpc": "2.0", "id": {}, "result": 1}',
    )
    assert [message["id"] for message in sent] == [1]


@pytest.mark.parametrize("text", ["\ud800", "\0", "é" * 10])
def test_odd_text_is_taken(text: str) -> None:
    sent, ls, _ = talk(HELLO, opened(text), request("completer/status", id_=text))
    assert sent[-1]["id"] == text
    assert len(ls.documents.snapshots()[0].text) == len(text)


@pytest.mark.parametrize("version", [{"version": None}, {}])
def test_change_without_a_version_is_taken(version: dict[str, Any]) -> None:
    _, ls, _ = talk(HELLO, opened("abc", 7), typed(3, "d", **version), typed(4, "e", version=9))
    (snapshot,) = ls.documents.snapshots()
    assert (snapshot.text, snapshot.version) == ("abcde", 9)


def test_cell_change_without_a_version_is_taken() -> None:
    content = {"document": {"uri": "cell:1", "version": None}, "changes": [{"text": "abcd"}]}
    _, ls, _ = talk(HELLO, notebook_opened(), notebook_changed(content))
    assert [snapshot.text for snapshot in ls.documents.snapshots()] == ["abcd"]


@pytest.mark.parametrize("version", ["two", {}])
def test_document_whose_change_is_not_understood_is_forgotten_and_the_user_is_told(version: Any) -> None:
    sent, ls, _ = talk(HELLO, opened(), typed(3, "d", version=version), typed(4, "e", version=3))
    assert ls.documents.snapshots() == []
    assert [message["params"]["message"] for message in sent if "method" in message] == [FORGOTTEN.format(URI)]
    _, ls, _ = talk(HELLO, opened(), typed(3, "d", version=version), opened("abcde", 3))
    assert [snapshot.text for snapshot in ls.documents.snapshots()] == ["abcde"]


def test_notebook_whose_change_is_followed_only_in_part_is_forgotten() -> None:
    content = {"document": {"uri": "cell:never opened", "version": 2}, "changes": [{"text": "x"}]}
    sent, ls, _ = talk(HELLO, notebook_opened(), notebook_changed(content))
    assert ls.documents.snapshots() == []
    assert [message["params"]["message"] for message in sent if "method" in message] == [FORGOTTEN.format("nb:1")]


BAD_URI = "file://[/nowhere"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rootUri": BAD_URI},
        {"rootUri": "file:///a%00b"},
        {"rootPath": "//x"},
        {"workspaceFolders": [{"uri": BAD_URI, "name": "x"}, {"uri": "file:///good", "name": "good"}]},
    ],
)
def test_folder_that_is_no_path_is_ignored(wrong: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "completer"):
        sent, ls, _ = talk(request("initialize", INITIALIZE | wrong), request("completer/status", id_=2))
    assert ["result" in message for message in sent] == [True, True]
    assert [folder.as_posix() for folder in ls.folders] == (["/good"] if "workspaceFolders" in wrong else [])


@pytest.mark.parametrize("wrong", [{"capabilities": 5}, {"workspaceFolders": [{"name": "x"}]}, {"processId": "me"}])
def test_initialize_that_fails_may_be_sent_again(wrong: dict[str, Any]) -> None:
    sent, _, _ = talk(request("initialize", INITIALIZE | wrong), request("initialize", INITIALIZE, 2))
    assert sent[0]["error"]["code"] == INVALID_PARAMS
    assert "result" in sent[1]


def test_initialize_that_fails_in_its_handler_may_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ValueError("the first time")]

    def fails_once(*_: object) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr("completer.server.configure._take", fails_once)
    bare = {"processId": None, "rootUri": None, "capabilities": {}}
    sent, _, _ = talk(request("initialize", bare), request("completer/status", id_=2), request("initialize", bare, 3))
    assert [message.get("error", {}).get("code") for message in sent] == [-32603, -32002, None]


@pytest.mark.parametrize(
    "header", [b"Content-Length: 2\r\nX: y\r\n\r\n{}", b"content-length:2\r\n\r\n{}", b"Content-Length: 0x2\r\n\r\n{}"]
)
def test_header_has_the_two_fields_of_the_base_protocol_and_no_others(header: bytes) -> None:
    sent, _, bad = say(framed(HELLO) + header)
    assert bad == (not header.startswith(b"content"))
    assert len(sent) == (1 if bad else 2)


@pytest.mark.parametrize("n", [MAX_DEPTH - 1, MAX_DEPTH])
@pytest.mark.parametrize("text", ["\\", '"', '\\"', '"\\', '\\\\"[', "]]]\n", '{"a": ["'])
def test_escapes_do_not_mislead_the_count_of_the_nesting(text: str, n: int) -> None:
    nested: Any = text
    for _ in range(n):
        nested = [text, nested, text]
    sent, _, _ = talk(request("unknown", nested))
    assert (sent[0]["id"] == 1) == (n < MAX_DEPTH)  # the message itself is one level

"""The status comes to a client by itself: how far the model is, the rule of the active document, and errors."""

from __future__ import annotations

from typing import Any

from lsp_client import URI, Client, StartClient

METHOD = "completer/didChangeStatus"
OTHER = "file:///project/notes.md"
WANTED = {"experimental": {"completerStatus": True}, "textDocument": {"inlineCompletion": {}}}


def told(client: Client) -> list[dict[str, Any]]:
    return [message["params"] for message in client.seen if message["method"] == METHOD]


def test_loading_is_told_with_its_progress_and_then_ready(start: StartClient) -> None:
    client = start("--load-ms", "3000")
    client.initialize(**WANTED)
    assert client.wait_for(METHOD, kind="loading", percent=40)["message"] == "downloading the fake model (40%)"
    client.wait_for(METHOD, kind="loading", percent=None, message="loading the fake model")
    ready = client.wait_for(METHOD, kind="ready")
    assert (ready["state"], ready["engine"], ready["textDocument"]) == ("ready", "fake", None)


def test_a_status_that_stays_the_same_is_told_once(start: StartClient) -> None:
    client = start()
    client.initialize(**WANTED)
    client.wait_for(METHOD, kind="ready")
    client.open("abc")
    client.wait_for(METHOD, textDocument={"uri": URI})
    for _ in range(20):
        client.inline(0, 3)
    client.call("completer/snooze", {"minutes": 30})  # what comes next
    client.wait_for(METHOD, kind="quiet")
    kinds = [status["kind"] for status in told(client) if status["textDocument"]]
    assert kinds == ["ready", "quiet"]


def test_the_rule_of_the_active_document_is_told(start: StartClient) -> None:
    client = start()
    client.initialize(settings={"disabled_languages": ["markdown"]}, **WANTED)
    client.wait_for(METHOD, kind="ready")
    client.open("abc")
    client.open("abc", uri=OTHER, language="markdown")
    client.notify("completer/didMoveCursor", {"textDocument": {"uri": OTHER}, "position": {"line": 0, "character": 1}})
    quiet = client.wait_for(METHOD, kind="quiet")
    assert (quiet["reason"], quiet["textDocument"]) == ("off: language 'markdown'", {"uri": OTHER})
    client.inline(0, 3)
    client.wait_for(METHOD, kind="ready", textDocument={"uri": URI}, reason="")


def test_the_end_of_a_snooze_is_told(start: StartClient) -> None:
    client = start()
    client.initialize(**WANTED)
    client.wait_for(METHOD, kind="ready")
    n_before = len(told(client))
    client.call("completer/snooze", {"minutes": 0.01})
    client.wait_for(METHOD, kind="quiet")
    while told(client)[-1]["kind"] != "ready":
        client.wait_for_next()
    assert [status["kind"] for status in told(client)[n_before:]] == ["quiet", "ready"]


def test_an_error_is_told_with_what_mends_it(start: StartClient) -> None:
    client = start("--fail", "there is no model: pull one")
    client.initialize(**WANTED)
    assert client.wait_for(METHOD, kind="error")["message"] == "there is no model: pull one"


def test_a_trouble_of_the_engine_is_told_until_it_is_over(start: StartClient) -> None:
    client = start()
    client.initialize(**WANTED)
    client.wait_for(METHOD, kind="ready")
    client.open("be slow")
    assert client.inline(0, 7)
    assert client.wait_for(METHOD, kind="slow")["message"] == "the fake engine is slow"
    client.inline(0, 2)
    while told(client)[-1]["kind"] != "ready":
        client.wait_for_next()


def test_nothing_is_told_to_a_client_that_does_not_want_it(client: Client) -> None:
    client.open("abc")
    client.call("completer/snooze", {"minutes": 30})
    client.inline(0, 3)
    client.call("shutdown")
    assert not [message for message in client.seen if "didChangeStatus" in message["method"]]

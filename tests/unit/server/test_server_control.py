"""A snooze and the switches, as requests and as commands; the status names the rule."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from in_process import INITIALIZE, notification, request, talk

from completer.server import control, next_edit
from completer.types import Snapshot

URI = "file:///w/a.py"
INVALID_PARAMS = -32602


def opened(uri: str = URI, language_id: str = "python", text: str = "x = ") -> dict[str, Any]:
    return notification(
        "textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": language_id, "version": 1, "text": text}}
    )


def started(**settings: Any) -> dict[str, Any]:
    return request("initialize", INITIALIZE | {"initializationOptions": settings}, 0)


def results(*messages: Any) -> list[Any]:
    """Return the result, or the code of the error, of each request but `initialize`."""
    sent, _, _ = talk(*messages)
    answers = [message for message in sent if message.get("id") not in (None, 0) and "method" not in message]
    return [answer["error"]["code"] if "error" in answer else answer["result"] for answer in answers]


def test_a_snooze_is_in_the_status_until_it_is_ended() -> None:
    begun, asked, ended = results(
        started(),
        opened(),
        request("completer/snooze", {"minutes": 30}, 1),
        request("completer/status", None, 2),
        request("completer/snooze", {"minutes": 0}, 3),
    )
    assert begun["reason"] == asked["reason"]
    until = datetime.fromisoformat(begun["snoozed_until"])
    assert begun["reason"] == f"snoozed until {until:%H:%M}"
    assert 29 * 60 < (until - datetime.now().astimezone()).total_seconds() <= 30 * 60
    assert (ended["reason"], ended["snoozed_until"]) == ("", None)


def test_a_document_or_the_client_is_switched_off_and_on() -> None:
    document = {"textDocument": {"uri": URI}}
    reasons = [
        found["reason"]
        for found in results(
            started(),
            opened(),
            opened("file:///w/b.py"),
            request("completer/setEnabled", {"enabled": False, **document}, 1),
            request("completer/status", {"textDocument": {"uri": "file:///w/b.py"}}, 2),
            request("completer/setEnabled", {"enabled": True, **document}, 3),
            request("completer/setEnabled", {"enabled": False}, 4),
            request("completer/status", document, 5),
            request("completer/setEnabled", {"enabled": True}, 6),
        )
    ]
    assert reasons == ["off: switched off for this file", "", "", "off: switched off", "off: switched off", ""]


def test_the_same_can_be_done_by_commands() -> None:
    def command(name: str, arguments: list[Any], id_: int) -> dict[str, Any]:
        return request("workspace/executeCommand", {"command": name, "arguments": arguments}, id_)

    snoozed, ended, off = results(
        started(),
        opened(),
        command("completer.setSnooze", [], 1),
        command("completer.setSnooze", [0], 2),
        command("completer.setEnabled", [False, URI], 3),
    )
    assert snoozed["reason"].startswith("snoozed until ") and ended["reason"] == ""
    assert off["reason"] == "off: switched off for this file"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("completer/snooze", None),
        ("completer/snooze", {"minutes": "30"}),
        ("completer/snooze", {"minutes": True}),
        ("completer/snooze", {"minutes": -1}),
        ("completer/snooze", {"minutes": 1e300}),
        ("completer/setEnabled", {}),
        ("completer/setEnabled", {"enabled": 1}),
        ("completer/setEnabled", {"enabled": True, "textDocument": {"uri": 5}}),
        ("completer/setEnabled", {"enabled": False, "textDocument": {"uri": "file:///not/open.py"}}),
    ],
)
def test_wrong_params_are_refused(method: str, params: Any) -> None:
    assert results(started(), opened(), request(method, params, 1)) == [INVALID_PARAMS]


def test_the_status_of_a_document_names_the_setting_that_keeps_it_quiet() -> None:
    asked = [
        request("completer/status", {"textDocument": {"uri": uri}}, n)
        for n, uri in enumerate((URI, "file:///w/yarn.lock", "file:///w/a.md", "file:///not/open.py"), 1)
    ]
    found = results(
        started(disabled_files=["/w/*.py"], disabled_languages=["markdown"]),
        *(opened(), opened("file:///w/yarn.lock", "yaml"), opened("file:///w/a.md", "markdown")),
        *asked,
    )
    reasons = [answer["reason"] for answer in found]
    assert reasons == ["off: file pattern 'w/*.py'", "off: generated file '*.lock'", "off: language 'markdown'", ""]


def test_a_refused_scope_leaves_the_other_settings() -> None:
    sent, ls, _ = talk(started(disabled_scopes=["comment", "code"], mode="on_request"))
    assert "setting 'disabled_scopes' must be one of comment, string" in str(sent)
    assert ls.settings.disabled_scopes == () and ls.settings.mode == "on_request"


def test_files_that_git_ignores_are_known_as_such(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n")
    for part in ("objects", "refs"):
        (tmp_path / ".git" / part).mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    ignored, kept = ((tmp_path / name).as_uri() for name in ("build/a.py", "a.py"))
    _, ls, _ = talk(started(ignored_files="off"))
    ls.folders = (tmp_path,)
    for uri in (ignored, kept):
        asyncio.run(control.learn_if_ignored(ls, uri))
    reasons = [ls.control.of_document(Snapshot(uri, 1, "python", "", 0)) for uri in (ignored, kept)]
    assert [quiet.reason if quiet else "" for quiet in reasons] == ["off: ignored file", ""]


RENAMED = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 8}}
AREA = "def area(x):\n    return x\n\nprint(area(1))\n"


@pytest.mark.parametrize(("settings", "found"), [({}, 1), ({"mode": "on_request"}, 0), ({"disabled_files": ["*.py"]}, 0)])
def test_next_edits_are_offered_unasked_only_where_suggestions_are(
    settings: dict[str, Any], found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Snapshot] = []
    monkeypatch.setattr(next_edit, "_search_after", lambda _ls, _pause_s, snapshot: searched.append(snapshot))
    change = {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"range": RENAMED, "text": "surface"}]}
    hello = INITIALIZE | {"initializationOptions": settings}
    hello["capabilities"] = {**INITIALIZE["capabilities"], "experimental": {"completerNextEdit": True}}
    asked = request("completer/nextEdit", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 11}}, 1)
    sent, _, _ = talk(request("initialize", hello, 0), opened(text=AREA), notification("textDocument/didChange", change), asked)
    (answer,) = (message for message in sent if message.get("id") == 1)
    assert len(searched) == found and len(answer["result"]["edits"]) == 1

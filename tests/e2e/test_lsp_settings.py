"""Settings, loading and our own methods, over stdio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lsp_client import URI, Client, StartClient, folder_params, marked


def messages(client: Client) -> list[str]:
    return [seen["params"]["message"] for seen in client.seen if seen["method"] == "window/showMessage"]


def test_unknown_setting_names_the_nearest_known_one_once_and_changes_nothing(start: StartClient) -> None:
    client = start()
    client.initialize(settings={"budgetms": 5})
    client.wait_until_ready()
    for _ in range(2):
        client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"budgetms": 5}}})
    client.call("completer/status")
    (message,) = messages(client)
    assert "'budgetms'" in message
    assert "'budget_ms'" in message
    assert client.call("completer/status")["settings"]["budget_ms"] == 80


def test_value_of_the_wrong_type_is_told(start: StartClient) -> None:
    client = start()
    client.initialize(settings={"completer": {"budget_ms": "quick"}})
    assert "budget_ms" in client.wait_for("window/showMessage")["message"]


@pytest.mark.parametrize("sent", [{"completer": {"budget_ms": 40}}, {"budget_ms": 40}])
def test_changed_settings_reach_the_completer(client: Client, sent: dict[str, Any]) -> None:
    client.notify("workspace/didChangeConfiguration", {"settings": sent})
    assert client.events_named("settings") == [{"event": "settings", "budget_ms": 40}]


def test_null_is_the_default_and_other_programs_settings_are_not_ours(client: Client) -> None:
    client.notify("workspace/didChangeConfiguration", {"settings": {"budget_ms": 40}})
    client.notify("workspace/didChangeConfiguration", {"settings": {"python": {"budgetms": 1}}})
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"budget_ms": None}}})
    assert [event["budget_ms"] for event in client.events_named("settings")][-1] == 80
    assert messages(client) == []


def test_workspace_folders_reach_the_completer_and_follow_the_client(start: StartClient, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "with space"
    client = start()
    capabilities = client.initialize(folders=[one])
    assert capabilities["workspace"]["workspaceFolders"]["supported"] is True
    client.wait_until_ready()
    event = {"added": [folder_params(two)], "removed": [folder_params(one)]}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    seen = [event["folders"] for event in client.events_named("folders")]
    assert seen == [[one.as_posix()], [two.as_posix()]]


def test_settings_are_pulled_from_clients_that_keep_them(start: StartClient) -> None:
    client = start(configuration={"model": "qwen2.5-coder-1.5b"})
    client.initialize(workspace={"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}})
    client.wait_until_ready()
    assert client.call("completer/status")["model"] == "qwen2.5-coder-1.5b"
    assert "client/registerCapability" in [request["method"] for request in client.asked]
    client.configuration = {"budget_ms": 33}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    while not client.events_named("settings"):
        pass
    assert client.events_named("settings") == [{"event": "settings", "budget_ms": 33}]


def test_another_model_is_loaded_at_once_and_sees_the_open_documents(client: Client) -> None:
    client.open("abc")
    client.notify("workspace/didChangeConfiguration", {"settings": {"model": "qwen2.5-coder-1.5b"}})
    client.call("completer/metrics")
    client.wait_until_ready()
    assert client.call("completer/status")["model"] == "qwen2.5-coder-1.5b"
    assert [event["uri"] for event in client.events_named("open")] == [URI]
    assert client.inline(0, 3)


def test_progress_is_shown_and_requests_are_answered_empty_while_the_model_loads(start: StartClient) -> None:
    client = start("--load-ms", "1500")
    client.initialize(window={"workDoneProgress": True})
    client.open("abc")
    assert client.inline(0, 3) == []
    begin = client.wait_for("$/progress")
    assert begin["value"]["kind"] == "begin"
    while client.call("completer/status")["state"] != "downloading":
        pass
    client.wait_until_ready()
    kinds = [seen["params"]["value"]["kind"] for seen in client.seen if seen["method"] == "$/progress"]
    assert kinds[0] == "begin"
    assert kinds[-1] == "end"
    assert "report" in kinds
    assert [request["method"] for request in client.asked] == ["window/workDoneProgress/create"]
    (item,) = client.inline(0, 3)
    assert item["insertText"] == "cba"


def test_client_without_progress_is_not_bothered(client: Client) -> None:
    assert client.asked == []
    assert client.seen == []


def test_model_that_cannot_be_loaded_is_told_once_and_another_one_mends_it(start: StartClient) -> None:
    client = start()
    client.initialize(settings=marked({"model": "missing"}))
    client.wait_until_ready()
    status = client.call("completer/status")
    assert status["state"] == "error"
    assert "missing" in status["message"]
    client.open("abc")
    assert client.inline(0, 3) == []
    assert len(messages(client)) == 1
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": marked({"model": "present"})}})
    client.wait_until_ready()
    assert client.inline(0, 3)


def test_a_model_that_fails_after_it_was_replaced_is_not_told(start: StartClient) -> None:
    client = start("--load-ms", "2000")
    client.initialize(settings=marked({"model": "missing"}))
    while client.call("completer/status")["message"] != "loading the fake model":
        pass
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": marked({"model": "present"})}})
    client.wait_until_ready()
    assert client.call("completer/status")["model"] == "present"
    assert messages(client) == []


def test_status_and_metrics_have_their_fields(client: Client) -> None:
    status = client.call("completer/status", {})
    assert status.keys() >= {"state", "message", "model", "engine", "latency_p50_ms", "latency_p95_ms"}
    assert status["state"] == "ready"
    assert client.call("completer/metrics", {}).keys() == {"traces"}


def test_what_becomes_of_a_suggestion_reaches_the_completer(client: Client) -> None:
    client.open("a = 😀bc")
    (item,) = client.inline(0, 8)  # "cb😀"
    document = {"textDocument": {"uri": URI}}
    suggestion_id = item["command"]["arguments"][0]
    client.notify("completer/didMoveCursor", {**document, "position": {"line": 0, "character": 6}})
    client.notify("completer/didShow", document)
    client.notify("completer/didAccept", {**document, "id": suggestion_id, "acceptedLength": 1})
    client.notify("completer/didAccept", {**document, "acceptedLength": 4})
    client.call("workspace/executeCommand", item["command"])  # reported already
    client.notify("completer/didDismiss", {**document, "id": "long gone"})
    client.notify("completer/didDismiss", document)
    told = [event for event in client.events() if event["event"] in ("move", "accept", "dismiss")]
    assert told == [
        {"event": "move", "cursor_cp": 5},
        {"event": "accept", "text": "cb😀", "n_chars": 1},
        {"event": "accept", "text": "cb😀", "n_chars": 3},
        {"event": "dismiss", "text": "cb😀"},
    ]


def test_standard_client_reports_acceptance_by_the_items_command(client: Client) -> None:
    client.open("abc")
    (item,) = client.inline(0, 3)
    client.call("workspace/executeCommand", {"command": "completer.didAccept", "arguments": item["command"]["arguments"]})
    assert client.events_named("accept") == [{"event": "accept", "text": "cba", "n_chars": 3}]


def test_who_asks_gets_several_items_and_the_completer_hears_which_one_was_taken(client: Client) -> None:
    client.open("abc d")
    assert [item["insertText"] for item in client.inline(0, 3)] == ["cba"]
    items = client.inline(0, 3, trigger_kind=1)
    assert [item["insertText"] for item in items] == ["cba", "CBA", "Cba"]
    assert {str(item["range"]) for item in items} == {str(items[0]["range"])}
    ids = [item["command"]["arguments"][0] for item in items]
    document = {"textDocument": {"uri": URI}}
    client.notify("completer/didAccept", document)  # the first, if none is named
    client.notify("completer/didAccept", {**document, "id": ids[1]})
    client.call("workspace/executeCommand", items[2]["command"])
    assert [event["text"] for event in client.events_named("accept")] == ["cba", "CBA", "Cba"]


def test_rest_of_a_suggestion_is_sent_when_it_is_ready(client: Client) -> None:
    client.open("\n😀 extend", version=4)
    (item,) = client.inline(1, 9)
    params = client.wait_for("completer/didExtendSuggestion")
    place = {"line": 1, "character": 9}
    assert params["text"] == item["insertText"] + " and more"
    assert (params["uri"], params["version"], params["position"]) == (URI, 4, place)
    assert params["range"] == {"start": place, "end": place}
    assert params["complete"] is True
    assert params["sureLength"] == len(params["text"])


def test_what_is_less_sure_of_an_extension_is_told_in_utf_16_units(client: Client) -> None:
    client.open("unsure 😀extend")
    client.inline(0, 15)
    params = client.wait_for("completer/didExtendSuggestion")
    assert params["text"].startswith("dnetxe😀") and params["sureLength"] == 8


def test_rest_of_a_suggestion_for_an_older_version_is_not_sent(client: Client) -> None:
    client.open("extend")
    client.inline(0, 6)
    client.type(0, 6, "x", version=2)
    client.type(0, 6, "", version=3, n_replaced=1)
    client.inline(0, 6)
    params = client.wait_for("completer/didExtendSuggestion")
    assert params["version"] == 3

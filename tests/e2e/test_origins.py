"""Where settings may come from: nothing that a repository can make an editor relay runs a program or chooses an endpoint."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lsp_client import Client, StartClient, attach, finish, marked, start_process

from completer.system.user_settings import user_settings_path
from tests.contract.scripted_server import Script, plain, serving

Relay = Callable[[Client, dict[str, Any]], None]


def by_options(client: Client, settings: dict[str, Any]) -> None:
    client.initialize(settings=settings)


def by_answer(client: Client, settings: dict[str, Any]) -> None:
    client.configuration = settings
    client.initialize(workspace={"configuration": True})


def by_notification(client: Client, settings: dict[str, Any]) -> None:
    client.initialize()
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": settings}})


WAYS = pytest.mark.parametrize("relay", [by_options, by_answer, by_notification])


def messages(client: Client) -> list[str]:
    return [seen["params"]["message"] for seen in client.seen if seen["method"] == "window/showMessage"]


def settings_of(client: Client) -> dict[str, Any]:
    """Return the settings of the fake completer, once it is loaded with what was sent before."""
    client.wait_until_ready()
    return dict(client.call("completer/status")["settings"])


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings file of this test and of the servers that it starts; its folder exists."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = user_settings_path()
    if tmp_path not in file.parents:
        pytest.skip("this system has its configuration folder elsewhere")
    file.parent.mkdir(parents=True)
    return file


def refusing() -> Script:
    """Return a model server that refuses everybody."""
    return Script({"/v1/models": lambda _: plain({"error": "no"}, 403)})


def creating(file: Path) -> list[str]:
    """Return a token command whose run leaves a file."""
    return [sys.executable, "-c", f"open({str(file)!r}, 'w'); print('token')"]


@pytest.fixture
def real() -> Iterator[tuple[Client, Script]]:
    """A client that has not shaken hands with the real server yet, and the model server that the user has chosen."""
    with serving(refusing()) as script:
        process = start_process("-m", "completer", "lsp", "--engine", "remote", "--set", f'endpoints=["{script.url}"]')
        yield attach(process), script
        finish(process)


@WAYS
def test_a_relayed_token_command_is_never_run_and_the_user_is_told(
    real: tuple[Client, Script], tmp_path: Path, relay: Relay
) -> None:
    (client, chosen), created = real, tmp_path / "created"
    with serving(refusing()) as foreign:
        relay(client, {"endpoints": [foreign.url], "token_command": creating(created), "engine": "remote"})
        client.wait_until_ready()
        # Two settings, and that the chosen server gives no access.
        while len(messages(client)) < 3 and not created.exists() and not foreign.asked:
            client.call("completer/status")
        assert chosen.asked and not foreign.asked
    assert not created.exists()
    (told,) = [message for message in messages(client) if "'token_command' was not applied" in message]
    assert str(user_settings_path()) in told


def test_a_marked_token_command_is_run(real: tuple[Client, Script], tmp_path: Path) -> None:
    (client, chosen), created = real, tmp_path / "created"
    client.initialize(settings=marked({"token_command": creating(created)}))
    client.wait_until_ready()
    assert created.exists()
    assert next(headers["Authorization"] for _, headers, _ in chosen.asked) == "Bearer token"


@WAYS
def test_marked_settings_with_a_wrong_key_are_relayed_ones(start: StartClient, relay: Relay) -> None:
    client = start()
    relay(client, marked({"token_command": ["sh", "-c", "true"], "budget_ms": 41}, "a guess"))
    held = settings_of(client)
    assert (held["token_command"], held["budget_ms"]) == ([], 41)
    (message,) = messages(client)
    assert "'token_command'" in message


@WAYS
def test_marked_settings_with_the_right_key_hold_and_null_takes_them_back(start: StartClient, relay: Relay) -> None:
    client = start()
    relay(client, {**marked({"endpoints": ["http://127.0.0.1:9"], "threads": 2}), "confidence": 0.5})
    while settings_of(client)["threads"] != 2:
        pass
    held = settings_of(client)
    assert (held["endpoints"], held["confidence"]) == (["http://127.0.0.1:9"], 0.5)
    client.configuration = None
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": marked({"threads": None})}})
    while settings_of(client)["threads"] != 0:
        pass
    assert settings_of(client)["endpoints"] == ["http://127.0.0.1:9"]
    assert messages(client) == []


@WAYS
def test_each_refused_setting_is_told_once_and_the_others_hold(start: StartClient, relay: Relay) -> None:
    client = start()
    sent = {"tls_ca": "/tmp/ca.pem", "model": "./weights", "multiline": "never", "disabled_languages": ["markdown"]}
    relay(client, sent)
    client.notify("workspace/didChangeConfiguration", {"settings": sent})
    while settings_of(client)["multiline"] != "never":
        pass
    held = settings_of(client)
    assert (held["tls_ca"], held["model"], held["disabled_languages"]) == ("", "auto", ["markdown"])
    assert sorted(message.split("'")[1] for message in messages(client)) == ["model", "tls_ca"]


def test_values_out_of_range_are_told_with_the_range_and_the_others_hold(start: StartClient) -> None:
    client = start()
    wrong = {"budget_ms": -5, "max_tokens": 0, "confidence": 2}
    client.initialize(settings={**wrong, "unknown": 1, "multiline": "always"})
    held = settings_of(client)
    assert (held["budget_ms"], held["max_tokens"], held["confidence"], held["multiline"]) == (80, 48, 0.3, "always")
    said = messages(client)
    assert len(said) == 4
    assert [text for text in said if "'budget_ms' must be from 1 to 60000" in text]


def test_what_a_client_repeats_from_the_user_or_the_defaults_is_no_refusal(start: StartClient, user_file: Path) -> None:
    user_file.write_text('engine = "torch"\nthreads = 3\n', encoding="utf-8")
    user_file.chmod(0o600)
    client = start()
    client.initialize(settings={"engine": "auto", "threads": 3, "token_command": [], "model": "auto"})
    held = settings_of(client)
    assert (held["engine"], held["threads"]) == ("torch", 3)
    assert messages(client) == []


def test_the_users_file_is_read_again_when_the_client_sends_settings(start: StartClient, user_file: Path) -> None:
    client = start()
    client.initialize()
    assert settings_of(client)["session_header"] == "X-Session-Id"
    user_file.write_text('session_header = "X-Mine"\n', encoding="utf-8")
    user_file.chmod(0o600)
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"budget_ms": 90}}})
    while settings_of(client)["session_header"] != "X-Mine":
        pass


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_users_file_that_others_can_write_to_is_refused_with_the_mend(start: StartClient, user_file: Path) -> None:
    user_file.write_text('token_command = ["true"]\n', encoding="utf-8")
    user_file.chmod(0o666)
    client = start()
    client.initialize()
    assert settings_of(client)["token_command"] == []
    (message,) = messages(client)
    assert f"chmod go-w {user_file}" in message


def test_options_of_the_command_line_hold_unless_a_client_marks_another_value(user_file: Path) -> None:
    user_file.write_text('engine = "remote"\nendpoints = ["http://127.0.0.1:7"]\n', encoding="utf-8")
    user_file.chmod(0o600)
    process = start_process("-m", "completer", "lsp", "--set", 'endpoints=["http://127.0.0.1:8"]')
    try:
        client = attach(process)
        client.initialize(settings={"engine": "onnx"})
        while "http://127.0.0.1:8:" not in client.call("completer/status")["message"]:
            pass
        assert client.call("completer/status")["engine"] == "remote"
        changed = marked({"endpoints": ["http://127.0.0.1:9"]})
        client.notify("workspace/didChangeConfiguration", {"settings": {"completer": changed}})
        while "http://127.0.0.1:9:" not in client.call("completer/status")["message"]:
            pass
    finally:
        finish(process)

"""`.completer.toml` of a workspace folder, over stdio: read at the start, and again when it may have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lsp_client import Client, StartClient, folder_params

FILE = ".completer.toml"


def write(folder: Path, n: int, **settings: str) -> None:
    """Write the file with one refused setting, whose message tells when the server has read it: see `wait_for_file`."""
    lines = [f"nonsense_{n} = 1", *(f"{name} = {value}" for name, value in settings.items())]
    (folder / FILE).write_text("\n".join(lines))


def wait_for_file(client: Client, folder: Path, n: int) -> None:
    text = f"completer: {folder / FILE}: unknown setting 'nonsense_{n}': did you mean 'confidence'?; the other settings hold"
    client.wait_for("window/showMessage", message=text)


def reason(client: Client, uri: str) -> str:
    return str(client.call("completer/status", {"textDocument": {"uri": uri}})["reason"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, 1, disabled_files='["*.py"]', engine='"remote"')
    return tmp_path


def started(start: StartClient, folder: Path, **capabilities: Any) -> tuple[Client, str]:
    """Return a client with an open document of the folder, whose file was read, and the document's URI."""
    client = start()
    client.initialize(folders=[folder], **capabilities)
    wait_for_file(client, folder, 1)
    client.wait_until_ready()
    uri = (folder / "example.py").as_uri()
    client.open("abc", uri)
    return client, uri


def test_the_file_of_a_folder_counts_for_its_documents_and_may_not_name_an_engine(start: StartClient, folder: Path) -> None:
    client, uri = started(start, folder)
    assert client.inline(0, 3, uri) == []
    assert client.inline(0, 3, uri, trigger_kind=1)
    assert reason(client, uri) == "off: file pattern '*.py'"
    client.open("abc")
    assert client.inline(0, 3)
    assert any("the setting 'engine' was not applied" in seen["params"].get("message", "") for seen in client.seen)
    assert client.call("completer/status")["settings"]["engine"] == "auto"


def test_the_editors_settings_win_over_the_file(start: StartClient, folder: Path) -> None:
    client, uri = started(start, folder)
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"disabled_files": []}}})
    assert client.inline(0, 3, uri)
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"disabled_files": None}}})
    assert client.inline(0, 3, uri) == []


def test_a_client_that_watches_files_has_it_read_again_when_it_changes(start: StartClient, folder: Path) -> None:
    client, uri = started(start, folder, workspace={"didChangeWatchedFiles": {"dynamicRegistration": True}})
    (registered,) = (asked for asked in client.asked if "completer-project" in str(asked))
    assert registered["method"] == "client/registerCapability" and f"**/{FILE}" in str(registered)
    write(folder, 2, mode='"on_request"')
    change = {"uri": (folder / FILE).as_uri(), "type": 2}
    client.notify("workspace/didChangeWatchedFiles", {"changes": [change]})
    wait_for_file(client, folder, 2)
    assert reason(client, uri) == "off: on request only"


def test_any_other_client_has_it_read_again_when_a_document_is_opened(start: StartClient, folder: Path) -> None:
    client, uri = started(start, folder)
    write(folder, 2, disabled_languages='["python"]')
    client.open("abc", (folder / "other.py").as_uri())
    wait_for_file(client, folder, 2)
    assert reason(client, uri) == "off: language 'python'"


def test_a_folder_that_is_added_brings_its_file_and_takes_it_away(start: StartClient, folder: Path) -> None:
    client = start()
    client.initialize()
    client.wait_until_ready()
    uri = (folder / "example.py").as_uri()
    client.open("abc", uri)
    assert reason(client, uri) == ""
    event = {"added": [folder_params(folder)], "removed": []}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    wait_for_file(client, folder, 1)
    assert reason(client, uri) == "off: file pattern '*.py'"
    event = {"added": [], "removed": [folder_params(folder)]}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    assert reason(client, uri) == ""

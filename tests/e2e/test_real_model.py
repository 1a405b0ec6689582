"""The program as an editor starts it, with the real model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lsp_client import Client, attach, finish, start_process

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    process = start_process("-m", "completer", "lsp", "--stdio")
    try:
        ready = attach(process)
        settings = {"model": "qwen2.5-coder-0.5b", "budget_ms": 5000, "confidence": 0}
        ready.initialize(textDocument={"inlineCompletion": {}}, settings=settings)
        ready.wait_until_ready()
        status = ready.call("completer/status")
        assert status["state"] == "ready", status["message"]
        yield ready
    finally:
        code, said = finish(process)
    assert code == 0, said.decode()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_real_model_completes_behind_unicode_in_any_line_ending(client: Client, newline: str) -> None:
    lines = ["GREETING = 'Grüße, 😀'", "", "def add(left: int, right: int) -> int:", "    return le"]
    uri = f"file:///project/add{len(newline)}.py"
    client.open(newline.join(lines), uri=uri)
    (item,) = client.inline(3, len(lines[3]), uri=uri, trigger_kind=1)
    assert item["insertText"].startswith("ft + right")
    assert item["range"]["end"] == {"line": 3, "character": len(lines[3])}


def test_columns_behind_an_emoji_on_the_same_line_are_the_clients(client: Client) -> None:
    uri = "file:///project/emoji.py"
    line = "names = ['😀', 'a']; count = le"
    client.open(f"{line}\n", uri=uri)
    n_utf16 = len(line) + 1
    (item,) = client.inline(0, n_utf16, uri=uri, trigger_kind=1)
    assert item["insertText"].startswith("n(")
    assert item["range"]["start"] == {"line": 0, "character": n_utf16}


def test_metrics_hold_no_text(client: Client) -> None:
    traces = client.call("completer/metrics")["traces"]
    assert traces
    assert "left" not in str(traces)

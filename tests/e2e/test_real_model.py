"""The program as an editor starts it, with the real model: the package, or what `--server-command` names."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lsp_client import Client, attach, finish, folder_params, start_alone, start_process

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    command = request.config.getoption("--server-command")
    if command:
        process = start_alone(command, "lsp", "--stdio", "--in-process", cwd=tmp_path_factory.mktemp("elsewhere"))
    else:
        process = start_process("-m", "completer", "lsp", "--stdio")
    try:
        ready = attach(process)
        # The first answer waits for the prefill engine, which a slow machine takes seconds to make.
        settings = {"model": "qwen2.5-coder-0.5b", "budget_ms": 20_000, "explicit_budget_ms": 60_000, "confidence": 0}
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
    item, *_ = client.inline(3, len(lines[3]), uri=uri, trigger_kind=1)
    assert item["insertText"].startswith("ft + right")
    assert item["range"]["end"] == {"line": 3, "character": len(lines[3])}


def test_columns_behind_an_emoji_on_the_same_line_are_the_clients(client: Client) -> None:
    uri = "file:///project/emoji.py"
    line = "names = ['😀', 'a']; count = le"
    client.open(f"{line}\n", uri=uri)
    n_utf16 = len(line) + 1
    item, *_ = client.inline(0, n_utf16, uri=uri, trigger_kind=1)
    assert item["insertText"].startswith("n(")
    assert item["range"]["start"] == {"line": 0, "character": n_utf16}


MACHINE = """class Machine:
    def __init__(self, name: str) -> None:
        self.name = name

    def summarize_spindles(self) -> str:
        lines = []
        for spindle in self._read():
            lines.append(spindle.text)
        return ", ".join(lines)
"""
REPORT = ["from machine import Machine", "", "", "def report(machine: Machine) -> str:", "    return machine."]


@pytest.mark.parametrize("context", ["auto", "off"])
def test_what_only_another_file_explains_is_completed_with_the_context_block(
    client: Client, tmp_path: Path, context: str
) -> None:
    (tmp_path / "machine.py").write_text(MACHINE, encoding="utf-8")
    event = {"added": [folder_params(tmp_path)], "removed": []}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    client.notify("workspace/didChangeConfiguration", {"settings": {"completer": {"context": context}}})
    uri, line = (tmp_path / "report.py").as_uri(), REPORT[-1]
    client.open("\n".join([*REPORT[:-1], ""]), uri=uri)
    time.sleep(4)  # the place is prefilled with the block in idle time
    for n, character in enumerate(line):
        client.type(4, n, character, version=2 + n, uri=uri)
        items = client.inline(4, n + 1, uri=uri)
    completed = bool(items) and items[0]["insertText"].startswith("summarize_spindles()")
    assert completed is (context == "auto")
    traces = [trace for trace in client.call("completer/metrics")["traces"] if trace["uri"] == uri]
    assert (traces[-1]["n_context"] > 0) is (context == "auto")
    first, *others = [trace["n_feed"] for trace in traces if trace["answered_by"] == "extended"]
    assert first <= 16 and all(n_feed <= 4 for n_feed in others)  # the first key of a line feeds what the anchor lacks
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def test_another_language_is_completed_and_may_be_typed_on(client: Client) -> None:
    uri = "file:///project/main.go"
    text = "package main\n\nfunc max(a, b int) int {\n\tif a > b {\n\t\treturn "
    client.open(text, uri=uri, language="go")
    item, *_ = client.inline(4, 9, uri=uri, trigger_kind=1)
    assert item["insertText"].startswith("a")
    client.type(4, 9, "a", version=2, uri=uri)
    client.inline(4, 10, uri=uri)
    status = client.call("completer/status")
    assert (status["state"], status["model"]) == ("ready", "qwen2.5-coder-0.5b")


def test_metrics_hold_no_text(client: Client) -> None:
    traces = client.call("completer/metrics")["traces"]
    assert traces
    assert "left" not in str(traces)


def test_asking_again_gives_other_suggestions_that_begin_with_other_words(client: Client) -> None:
    uri = "file:///project/area.py"
    lines = ["def area(width: int, height: int) -> int:", "    result = "]
    client.open("\n".join(lines), uri=uri)
    (first,) = client.inline(1, len(lines[1]), uri=uri, trigger_kind=1)
    texts = [item["insertText"] for item in client.inline(1, len(lines[1]), uri=uri, trigger_kind=1)]
    assert texts[0] == first["insertText"]
    assert 1 < len(texts) <= 3
    assert len(set(texts)) == len(texts)
    assert texts[0].startswith("width * height")
    assert len(client.inline(1, len(lines[1]), uri=uri)) == 1


@pytest.mark.parametrize(
    ("uri", "language", "text", "right"),
    [
        ("untitled:Untitled-1", "go", "", r"package \w+"),
        ("untitled:Untitled-2", "rust", "", r"use |fn |//|#!?\[|pub |mod "),
        ("file:///project/r.rb", "ruby", "# reads a CSV file\n", r"require ['\"]csv"),
        ("file:///project/f.cs", "csharp", "// computes a factorial\n", r"using |public |namespace |class |static |int "),
        ("file:///project/reverse.go", "go", "// Reverse returns s reversed.\nfunc", r" Reverse\(s string\) string"),
        ("file:///project/a.kt", "kotlin", "", r"package |import |fun |class |//|/\*"),
        ("file:///project/a.hs", "haskell", "", r"module |import |\{-|--"),
        ("file:///project/a.swift", "swift", "", r"import |//|class |struct |func "),
    ],
)
def test_the_model_knows_which_language_an_empty_or_short_file_is_in(
    client: Client, uri: str, language: str, text: str, right: str
) -> None:
    client.open(text, uri=uri, language=language)
    *above, last = text.split("\n")
    item, *_ = client.inline(len(above), len(last), uri=uri, trigger_kind=1)
    assert re.match(right, item["insertText"]), item["insertText"]


def test_what_is_typed_into_an_empty_file_after_a_rest_is_continued(client: Client) -> None:
    uri = "file:///project/src/main.rs"
    client.open("", uri=uri, language="rust")
    client.notify("completer/didMoveCursor", {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}})
    shown = []
    for column, character in enumerate("fn main"):
        client.type(0, column, character, version=column + 2, uri=uri)
        item, *_ = client.inline(0, column + 1, uri=uri, trigger_kind=1)
        shown.append(item["insertText"])
    assert len(set(shown)) > 1
    assert shown[-1].startswith("()")

"""The Neovim plugin over the real server's front, whose completer needs no model: what reaches the completer."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors.nvim import ROOT, Nvim, running, wait_until
from tests.editors.screen import GHOST_COLOUR

pytestmark = pytest.mark.editor

SERVER = ROOT / "tests/e2e/fake_server.py"
SETUP = f"""require("completer").setup({{ cmd = {{ {sys.executable!r}, {str(SERVER)!r} }} }})"""


@pytest.fixture
def editor(nvim_program: Path, tmp_path: Path) -> Iterator[Nvim]:
    with running(nvim_program, SETUP, tmp_path / "nvim") as nvim:
        yield nvim


def open_ready(nvim: Nvim, name: str, text: str, newline: str = "\n") -> Path:
    path = nvim.open(name, text, newline=newline)
    nvim.wait_for_lua("return require('completer.client').of(0) ~= nil")
    nvim.wait_for_lua("return (require('completer.commands').ask('completer/status') or {}).state == 'ready'")
    return path


def events(nvim: Nvim, name: str) -> list[dict[str, Any]]:
    """What reached the completer, in order."""
    traces = nvim.lua("return require('completer.commands').ask('completer/metrics').traces")
    return [trace for trace in traces if trace["event"] == name]


def wait_for_event(nvim: Nvim, name: str, **fields: Any) -> dict[str, Any]:
    """Wait until an event with `fields` has reached the completer; return the last one."""
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        found[:] = [event for event in events(nvim, name) if fields.items() <= event.items()]
        return bool(found)

    wait_until(arrived, f"event {name} {fields}")
    return found[-1]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_document_agrees_with_the_servers_through_unicode_undo_and_accepting(editor: Nvim, newline: str) -> None:
    path = open_ready(editor, "text.txt", "one = '😀 ß'\n\ttwo\n", newline)
    editor.keys("ggA abc")
    editor.wait_for_ghost("cba")
    editor.keys("<Tab>;<Esc>u")
    editor.keys("Goab")
    editor.wait_for_ghost("ba")
    editor.keys("<Tab><Esc>:write<CR>")
    editor.wait_for_lua("return not vim.bo.modified")
    changes = events(editor, "change")
    assert changes
    assert all(change["edits_agree"] for change in changes)
    assert path.read_bytes().decode() == "one = '😀 ß' abc\n\ttwo\n\tabba\n".replace("\n", newline)


TYPED = ["a", "b", "é", "😀", "(", ")", " ", "two lines", "extend", "nothing", "<CR>", "<BS>", "<Del>", "<C-w>"]
MOVES = ["<Left>", "<Right>", "<Up>", "<Esc>uA", "<Esc><C-r>A", "<Esc>ddA", "<Esc>A", "<Esc>O"]
TAKES = ["<Tab>", "<M-Right>", "<M-End>", "<M-]>", "<M-Bslash>", "<C-]>"]


@pytest.mark.parametrize("seed", [1, 2])
def test_any_keys_leave_no_error_and_the_server_with_the_same_text(editor: Nvim, seed: int) -> None:
    open_ready(editor, "text.txt", "one\n\ttwo\n\nthree\n", "\r\n")
    choose = random.Random(seed)
    editor.keys("A")
    for _ in range(150):
        editor.keys(choose.choice(TYPED + MOVES + TAKES))
        if choose.random() < 0.3:
            editor.lua("return 1")  # everything before is done: the next key meets a drawn screen, not a full queue
    editor.keys("<Esc>")
    n_chars = len(editor.text) + 1 + editor.text.count("\n") + 1  # a line end is two characters
    editor.keys("A<M-Bslash>")
    wait_for_event(editor, "complete", n_chars=n_chars, explicit=True)
    assert all(change["edits_agree"] for change in events(editor, "change"))
    assert "rror" not in editor.command("messages")


def test_what_is_taken_in_part_reaches_the_completer_and_the_editor_counts_the_rest(editor: Nvim) -> None:
    open_ready(editor, "text.py", "x\n")
    before = editor.lua("return require('completer.session').counts")
    editor.keys("A two lines")
    editor.wait_for_ghost(" = 1\n    second = 2")
    editor.keys("<M-Right>")
    assert wait_for_event(editor, "accept") | {"text": ""} == {"event": "accept", "n_chars": 2, "text": ""}
    assert editor.text == "x two lines ="
    editor.keys("<CR>abc")
    editor.wait_for_ghost("cba")
    editor.keys("<C-]>")
    editor.wait_for_no_ghost()
    after = editor.lua("return require('completer.session').counts")
    assert after["dismissed"] == before["dismissed"] + 1
    assert after["shown"] > before["shown"]


def test_text_that_comes_after_the_answer_is_shown(editor: Nvim) -> None:
    open_ready(editor, "text.py", "x\n")
    editor.keys("Ay extend")
    editor.wait_for_ghost("dnetxe and more")
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.text == "xy extenddnetxe and more"
    assert wait_for_event(editor, "accept")["n_chars"] == len("dnetxe and more")


def test_cursor_at_rest_is_told_in_code_points_of_the_document(editor: Nvim) -> None:
    open_ready(editor, "text.py", "'😀' = 1\ntwo\n")
    editor.keys("gg0")
    editor.keys("4l")
    wait_for_event(editor, "move", cursor_cp=4)


def test_closed_file_and_ended_editor_leave_nothing_behind(editor: Nvim) -> None:
    open_ready(editor, "one.py", "x\n")
    editor.command("edit two.py")
    editor.command("bdelete! one.py")
    assert wait_for_event(editor, "close")["uri"].endswith("one.py")


def test_error_of_the_engine_is_said_and_the_next_key_goes_on(editor: Nvim) -> None:
    open_ready(editor, "text.py", "x\n")
    editor.command("set cmdheight=3")
    editor.keys("A fail")
    editor.wait_for_lua("return vim.fn.execute('messages'):find('the fake engine failed') ~= nil")
    editor.keys(" abc")
    editor.wait_for_ghost("cba")


def test_client_that_neovim_0_12_brings_works_as_the_page_says(nvim_program: Path, tmp_path: Path) -> None:
    """The snippet of docs/how-to/neovim.md, under another name, because the plugin is on the runtimepath here."""
    page = (ROOT / "docs/how-to/neovim.md").read_text(encoding="utf-8")
    snippet = page.partition("built-in client instead\n")[2].split("```lua\n")[1].partition("```")[0]
    command = f"{{ {sys.executable!r}, {str(SERVER)!r} }}"
    assert '"~/src/completer/.venv/bin/completer"' in snippet and '{ program, "lsp" }' in snippet
    program = snippet.replace("~/src/completer/.venv/bin/completer", sys.executable).replace('{ program, "lsp" }', command)
    init = program.replace('"completer"', '"other"')
    guarded = f"if vim.lsp.inline_completion then\n{init}\nend\nvim.api.nvim_set_hl(0, 'ComplHint', {{ fg = {GHOST_COLOUR} }})"
    with running(nvim_program, guarded, tmp_path / "nvim") as nvim:
        if not nvim.lua("return vim.lsp.inline_completion ~= nil"):
            pytest.skip("it came with Neovim 0.12")
        nvim.open("text.py", "x\n")
        nvim.wait_for_lua("return #vim.lsp.get_clients({ bufnr = 0 }) == 1")
        nvim.keys("A abc")
        nvim.wait_for_ghost("cba")
        nvim.keys("<Tab>")
        nvim.wait(lambda frame: frame.shows("x abccba"))
        assert nvim.text == "x abccba"

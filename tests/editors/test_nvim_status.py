"""The status line of the Neovim plugin changes when the server tells, and nothing is asked for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.editors.fake_nvim import SETUP, events, start_line
from tests.editors.nvim import Nvim, Start

SERVER = f"{{ {sys.executable!r}, {(Path(__file__).parents[1] / 'e2e/fake_server.py').as_posix()!r}, '--load-ms', '4000' }}"
STATUS_LINE = """
vim.o.laststatus = 2
vim.o.statusline = "<%{v:lua.require'completer'.status()}>"
"""
pytestmark = pytest.mark.editor


def wait_for_line(editor: Nvim, text: str) -> None:
    editor.wait(lambda frame: frame.shows(f"<{text}>"), f"the status line {text!r}", anew=False)


def tell(editor: Nvim, **status: object) -> None:
    status = {"state": "ready", "message": "", "reason": "", "percent": None} | status
    editor.lua("Fake.send('completer/didChangeStatus', ...)", status)


def test_each_kind_has_its_words(start: Start) -> None:
    editor = start(SETUP + STATUS_LINE + "vim.cmd('autocmd User CompleterStatus let g:n = get(g:, \"n\", 0) + 1')")
    start_line(editor)
    wait_for_line(editor, "completer")
    tell(editor, kind="loading", percent=41)
    wait_for_line(editor, "completer 41%")
    tell(editor, kind="loading")
    wait_for_line(editor, "completer loading")
    tell(editor, kind="slow")
    wait_for_line(editor, "completer: slow")
    tell(editor, kind="error")
    wait_for_line(editor, "completer: error")
    tell(editor, kind="ready")
    wait_for_line(editor, "completer")
    assert editor.lua("return vim.g.n") == 5
    editor.command("Completer off")
    wait_for_line(editor, "completer off: switched off")
    assert events(editor, "completer/status") == []


def test_the_rule_of_another_buffer_is_not_shown(start: Start) -> None:
    editor = start(SETUP + STATUS_LINE)
    start_line(editor)
    quiet = {"kind": "quiet", "reason": "off: language 'markdown'"}
    tell(editor, **quiet, textDocument={"uri": "file:///other.md"})
    wait_for_line(editor, "completer")
    tell(editor, **quiet, textDocument={"uri": editor.lua("return vim.uri_from_bufnr(0)")})
    wait_for_line(editor, "completer off: language 'markdown'")


def test_the_real_server_tells_while_it_loads_and_when_a_rule_holds(start: Start) -> None:
    editor = start(
        STATUS_LINE + f'require("completer").setup({{ cmd = {SERVER}, settings = {{ disabled_files = {{ "*.md" }} }} }})'
    )
    start_line(editor)
    wait_for_line(editor, "completer 40%")
    wait_for_line(editor, "completer")
    editor.keys("<Esc>")
    start_line(editor, name="notes.md")
    wait_for_line(editor, "completer off: file pattern '*.md'")

"""Neovim with the real server and the real model: ghost text as a user gets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.nvim import Nvim, running
from tests.editors.real_server import open_block, setup, traces, wait_until_ready

pytestmark = [pytest.mark.editor, pytest.mark.model]

ADD = "def add(left: int, right: int) -> int:\n"
BODY = "    return left + right"


@pytest.fixture(scope="module")
def started(nvim_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nvim]:
    """One editor for the module: the model is loaded once. The budget is wide: these tests are about what is shown."""
    with running(nvim_program, setup(budget_ms=3000), tmp_path_factory.mktemp("real") / "nvim") as nvim:
        nvim.open("first.py", "x = 1\n")
        wait_until_ready(nvim)
        yield nvim


@pytest.fixture
def editor(started: Nvim) -> Iterator[Nvim]:
    yield started
    started.keys("<Esc>")
    started.command("silent! wall | silent! %bwipeout!")


def open_below(nvim: Nvim, name: str, text: str, newline: str = "\n") -> Path:
    """Open a file and stand in insert mode on a new, empty line at its end."""
    path = nvim.open(name, text, newline=newline)
    wait_until_ready(nvim)
    nvim.keys("o<C-u>")
    nvim.wait_for_lua("return vim.fn.mode() == 'i'")
    return path


def test_ghost_text_of_the_model_is_taken_by_tab(editor: Nvim) -> None:
    open_below(editor, "tab.py", ADD)
    editor.type("    return le")
    ghost = editor.wait_for_ghost().frame.ghost
    assert ghost.startswith("ft + right")
    editor.keys("<Tab>")
    editor.wait_for_answer()
    assert editor.text.startswith(ADD + BODY)
    (*_, last) = traces(editor, "tab.py")
    assert last["version"] == editor.lua("return vim.b.changedtick")


def test_word_and_line_are_taken_out_of_it(editor: Nvim) -> None:
    open_below(editor, "parts.py", ADD)
    editor.type("    return le")
    editor.wait_for_ghost()
    editor.keys("<M-Right>")
    editor.wait_for_ghost(" + right")
    assert editor.text == ADD + "    return left"
    editor.keys("<M-End>")
    editor.wait(lambda frame: frame.shows("return left + right") and "right" not in frame.ghost)
    assert editor.text == ADD + BODY


def test_typing_through_never_flickers_and_asks_the_model_no_more(editor: Nvim) -> None:
    open_below(editor, "through.py", ADD)
    editor.type("    return le")
    editor.wait_for_ghost("ft + right")
    first, n_before = len(editor.frames) - 1, len(traces(editor, "through.py"))
    editor.type("ft + righ")
    assert all(frame.shows(BODY) for frame in editor.frames[first:])
    assert editor.wait_for_ghost().frame.ghost == "t"
    answered = traces(editor, "through.py")[n_before:]
    assert len(answered) == len("ft + righ")
    assert {trace["answered_by"] for trace in answered} <= {"typed-through", "background"}


def test_undo_takes_back_what_was_taken_and_the_server_follows(editor: Nvim) -> None:
    open_below(editor, "undo.py", ADD)
    editor.type("    return le")
    editor.wait_for_ghost()
    editor.keys("<Tab>")
    editor.wait_for_answer()
    editor.keys("<Esc>u")
    editor.wait_for_lua("return vim.api.nvim_get_current_line() == '    return le'")
    editor.keys("A")
    assert editor.wait_for_ghost().frame.ghost.startswith("ft + right")


def test_files_are_switched_and_each_gets_its_own(editor: Nvim) -> None:
    open_below(editor, "one.py", ADD)
    editor.type("    return le")
    editor.wait_for_ghost()
    editor.keys("<Esc>")
    editor.command("write")
    editor.wait_for_no_ghost()
    open_below(editor, "two.py", "def scale(size: float, factor: float) -> float:\n")
    editor.type("    return si")
    assert editor.wait_for_ghost().frame.ghost.startswith("ze * factor")
    editor.keys("<Esc>")
    editor.command("write")
    editor.command("edit one.py")
    editor.keys("GA")
    assert editor.wait_for_ghost().frame.ghost.startswith("ft + right")
    assert traces(editor, "one.py") and traces(editor, "two.py")


def test_switched_off_no_key_reaches_the_server(editor: Nvim) -> None:
    open_below(editor, "off.py", ADD)
    editor.type("    return le")
    editor.wait_for_ghost()
    editor.command("Completer toggle")
    editor.wait_for_no_ghost()
    n_before = len(traces(editor, "off.py"))
    editor.keys("f")
    editor.wait(lambda frame: frame.shows("return lef"))
    assert len(traces(editor, "off.py")) == n_before
    editor.keys("<M-Bslash>")
    editor.wait_for_ghost("t + right")
    editor.command("Completer toggle")
    editor.type("t")
    editor.wait_for_ghost(" + right")


def test_block_of_several_lines_is_drawn_and_taken_whole(editor: Nvim) -> None:
    head = open_block(editor, title="")
    shown = editor.lua("return require('completer').visible()")
    seen = editor.wait(lambda frame: "\n" in frame.ghost, "ghost text of several lines", anew=False)
    assert [line.strip() for line in seen.frame.ghost.split("\n")] == [line.strip() for line in shown.split("\n") if line]
    editor.keys("<Tab>")
    editor.wait_for_answer()
    assert editor.text == f"{head}\n    {shown}"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_wide_characters_and_line_ends_stay_as_they_are(editor: Nvim, newline: str) -> None:
    name = f"wide{len(newline)}.py"
    path = open_below(editor, name, "NAMES = 'Grüße, 😀'\n\n\n" + ADD, newline)
    line = "    x = '😀'; return le"
    editor.type(line)
    whole = editor.wait(lambda frame: frame.ghost.startswith("ft + right"), "the whole line", anew=False)
    shown = whole.frame.ghost
    editor.keys("<M-End><Esc>:write<CR>")
    editor.wait_for_lua("return not vim.bo.modified")
    lines = ["NAMES = 'Grüße, 😀'", "", "", ADD.strip(), line + shown.partition("\n")[0], ""]
    assert path.read_bytes().decode() == newline.join(lines)

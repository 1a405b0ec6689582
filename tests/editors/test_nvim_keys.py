"""The way of a key in Neovim: what is taken, typed through, and asked; and no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.fake_nvim import SETUP, events, start_line, target, wait_for_event
from tests.editors.nvim import Nvim, running

pytestmark = pytest.mark.editor


@pytest.fixture
def editor(nvim_program: Path, tmp_path: Path) -> Iterator[Nvim]:
    with running(nvim_program, SETUP, tmp_path / "nvim") as nvim:
        yield nvim


# Taking.


def test_key_shows_ghost_text_and_tab_takes_it(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left + right")
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.text == "def add(left, right):\n    return left + right"
    assert wait_for_event(editor, "completer/didAccept")["acceptedLength"] == len("turn left + right")


def test_taking_words_and_then_the_line_tells_growing_lengths_of_one_suggestion(editor: Nvim) -> None:
    target(editor, "return left + right\n    second = 2")
    start_line(editor)
    editor.keys("r")
    editor.wait_for_ghost("eturn left + right\n    second = 2")
    editor.lua("Fake.held = true")  # so that the answers in between do not count
    for keys, taken, rest in [
        ("<M-Right>", "eturn", " left + right\n    second = 2"),
        ("<M-Right>", "eturn left", " + right\n    second = 2"),
        ("<M-End>", "eturn left + right", "\n    second = 2"),
        ("<M-End>", "eturn left + right\n    second = 2", ""),
    ]:
        editor.keys(keys)
        editor.wait(lambda frame, rest=rest: frame.ghost == rest.removeprefix("\n"), f"{rest!r} as the rest")
        assert editor.text == f"def add(left, right):\n    r{taken}"
    accepted = events(editor, "completer/didAccept")
    assert [event["acceptedLength"] for event in accepted] == [5, 10, 18, 33]
    assert {event["id"] for event in accepted} == {accepted[0]["id"]}


def test_what_was_taken_is_undone_as_one_step(editor: Nvim) -> None:
    target(editor, "return left\n    second = 2")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left\n    second = 2")
    editor.keys("<Tab>")
    editor.wait(lambda frame: frame.shows("second = 2") and not frame.ghost)
    editor.keys("<Esc>u")
    editor.wait_for_lua("return vim.api.nvim_get_current_line() == '    re'")
    assert editor.text == "def add(left, right):\n    re"


def test_length_is_told_in_utf16_and_the_cursor_stands_behind_wide_characters(editor: Nvim) -> None:
    target(editor, "x = '😀ß'; y")
    start_line(editor, "# 😀\n", "emoji.py")
    editor.keys("<CR>x")
    editor.wait_for_ghost(" = '😀ß'; y")
    editor.keys("<M-End>!")
    editor.wait_for_no_ghost()
    assert editor.text == "# 😀\nx = '😀ß'; y!"
    assert wait_for_event(editor, "completer/didAccept")["acceptedLength"] == 11


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 11), ("utf-16", 9), ("utf-32", 8)])
def test_positions_count_as_agreed(editor: Nvim, encoding: str, character: int) -> None:
    editor.lua("Fake.encoding = ...", encoding)
    start_line(editor, "x = '😀'\n", "emoji.py")
    editor.keys(";")
    asked = wait_for_event(editor, "textDocument/inlineCompletion", 2)
    assert asked["position"] == {"line": 0, "character": character}


def test_file_with_crlf_keeps_its_line_ends(editor: Nvim) -> None:
    target(editor, "one = 1\n    two = 2")
    path = editor.open("dos.py", "if x:\n    \n", newline="\r\n")
    editor.keys("Ao")
    editor.wait_for_ghost("ne = 1\n    two = 2")
    editor.keys("<Tab><Esc>:write<CR>")
    editor.wait_for_lua("return not vim.bo.modified")
    assert path.read_bytes() == b"if x:\r\n    one = 1\r\n    two = 2\r\n"


# Typing through.


def test_typing_what_is_suggested_never_hides_it(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("r")
    editor.wait_for_ghost("eturn left + right")
    first = len(editor.frames) - 1
    for typed in range(2, 12):
        editor.keys("return left + right"[typed - 1])
        editor.wait_for_ghost("return left + right"[typed:])
    assert all(frame.shows("return left + right") for frame in editor.frames[first:])


def test_rest_is_shown_before_the_server_answers_and_the_server_is_asked(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("r")
    editor.wait_for_ghost("eturn left + right")
    editor.lua("Fake.held = true")
    n_asked = len(events(editor, "textDocument/inlineCompletion"))
    editor.keys("e")
    editor.wait_for_ghost("turn left + right")
    wait_for_event(editor, "textDocument/inlineCompletion", n_asked + 1)
    editor.keys("<BS>")
    editor.wait_for_ghost("eturn left + right")
    assert len(events(editor, "completer/didShow")) == 1


def test_break_with_the_indentation_of_the_next_line_is_typed_through(editor: Nvim) -> None:
    target(editor, "if left:\n        return 1")
    start_line(editor)
    editor.command("setlocal autoindent indentexpr=")
    editor.keys("if left")
    editor.wait_for_ghost(":\n        return 1")
    editor.lua("Fake.held = true")
    editor.keys(":")
    editor.wait_for_ghost("        return 1")
    editor.keys("<CR>")
    editor.wait_for_ghost("    return 1")
    assert editor.text == "def add(left, right):\n    if left:\n    "


def test_bracket_that_a_plugin_pairs_is_taken_over(editor: Nvim) -> None:
    target(editor, "print(left) or 1")
    start_line(editor)
    editor.command("inoremap ( ()<Left>")
    editor.keys("print")
    editor.wait_for_ghost("(left) or 1")
    editor.lua("Fake.held = true")
    editor.keys("(")
    editor.wait(lambda frame: frame.shows("print(left) or 1") and frame.ghost == "left or 1")
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.text == "def add(left, right):\n    print(left) or 1"


def test_key_that_disagrees_hides_at_once(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("r")
    editor.wait_for_ghost("eturn left + right")
    editor.lua("Fake.held = true")
    editor.keys("x")
    assert editor.wait(lambda frame: frame.shows("rx")).frame.ghost == ""


# Asking.


def test_question_is_cancelled_by_the_next_key_and_its_answer_is_never_shown(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.lua("Fake.held = true")
    editor.keys("r")
    wait_for_event(editor, "textDocument/inlineCompletion", 2)
    editor.keys("x")
    wait_for_event(editor, "textDocument/inlineCompletion", 3)
    ids = editor.lua("return vim.iter(Fake.events):map(function(e) return e.method:match('inline') and e.id end):totable()")
    assert ids[-2] in [event["id"] for event in events(editor, "$/cancelRequest")]
    editor.lua("Fake.release()")
    editor.keys("y")
    assert editor.wait(lambda frame: frame.shows("rxy")).frame.ghost == ""
    assert events(editor, "completer/didShow") == []


def test_answer_that_comes_after_leaving_insert_mode_is_not_shown(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.lua("Fake.held = true")
    editor.keys("r")
    wait_for_event(editor, "textDocument/inlineCompletion", 2)
    editor.keys("<Esc>")
    wait_for_event(editor, "$/cancelRequest")
    editor.lua("Fake.release()")
    editor.keys("A")
    wait_for_event(editor, "textDocument/inlineCompletion", 3)
    assert not editor.lua("return require('completer').visible()")


def test_every_key_is_a_question_of_the_text_as_it_is(editor: Nvim) -> None:
    start_line(editor)
    editor.keys("a")
    wait_for_event(editor, "textDocument/inlineCompletion", 2)
    editor.keys("b")
    asked = wait_for_event(editor, "textDocument/inlineCompletion", 3)
    assert asked["position"] == {"line": 1, "character": 6}
    assert asked["context"] == {"triggerKind": 2}
    methods = [event["method"] for event in editor.lua("return Fake.events")]
    assert methods[-2:] == ["textDocument/didChange", "textDocument/inlineCompletion"]


def test_macro_asks_nothing(editor: Nvim) -> None:
    start_line(editor, "one\ntwo\n", "list.txt")
    editor.keys("<Esc>gg")
    editor.command('let @q = "Aab\\<Esc>j"')
    n_before = len(events(editor, "textDocument/inlineCompletion"))
    editor.keys("2@q")
    editor.wait_for_lua("return vim.api.nvim_buf_get_lines(0, 1, 2, false)[1] == 'twoab'")
    assert len(events(editor, "textDocument/inlineCompletion")) == n_before


def test_cursor_that_rests_is_told_once(editor: Nvim) -> None:
    editor.open("three.py", "one = 1\ntwo = 2\nthree = 3\n")
    wait_for_event(editor, "textDocument/didOpen")
    editor.keys("gg")
    n_before = len(events(editor, "completer/didMoveCursor"))
    editor.keys("j0l")
    editor.wait_for_lua("local moves = Fake.of('completer/didMoveCursor'); return moves[1] and moves[#moves].position.line == 1")
    assert events(editor, "completer/didMoveCursor")[-1]["position"] == {"line": 1, "character": 1}
    assert len(events(editor, "completer/didMoveCursor")) <= n_before + 2


def test_cursor_that_leaves_hides(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left + right")
    editor.keys("<Left>")
    editor.wait_for_no_ghost()

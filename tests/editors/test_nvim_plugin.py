"""The Neovim plugin over a server inside the editor (lua/fake.lua): the way of a key, and no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors.nvim import Nvim, running

pytestmark = pytest.mark.editor

SETUP = """
Fake = require("fake")
require("completer").setup({ cmd = Fake.start })
"""


@pytest.fixture
def editor(nvim_program: Path, tmp_path: Path) -> Iterator[Nvim]:
    with running(nvim_program, SETUP, tmp_path / "nvim") as nvim:
        yield nvim


def target(nvim: Nvim, text: str) -> None:
    """Let the server know what the user is about to write."""
    nvim.lua("Fake.target = ...", text)


def events(nvim: Nvim, method: str) -> list[dict[str, Any]]:
    return list(nvim.lua("return Fake.of(...)", method))


def wait_for_event(nvim: Nvim, method: str, n: int = 1) -> dict[str, Any]:
    """Wait until `n` messages of a method were sent; return the params of the last one."""
    nvim.wait_for_lua("local method, n = ...; return #Fake.of(method) >= n", method, n)
    return events(nvim, method)[n - 1]


def start_line(nvim: Nvim, text: str = "def add(left, right):\n    \n", name: str = "add.py") -> None:
    """Open a file and stand in insert mode at the end of its last line."""
    nvim.open(name, text)
    nvim.keys("A")
    nvim.wait_for_lua("return vim.fn.mode() == 'i'")


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


# What the server adds.


def extension(nvim: Nvim, text: str, **changes: Any) -> dict[str, Any]:
    """What the server would send to prolong its last answer."""
    asked = events(nvim, "textDocument/inlineCompletion")[-1]
    where = asked["position"]
    version = nvim.lua("return vim.b.changedtick")
    more = {"uri": asked["textDocument"]["uri"], "version": version, "position": where, "text": text}
    return more | {"range": {"start": where, "end": where}, "id": "900", "complete": True} | changes


def test_longer_text_for_the_last_answer_is_shown_under_its_new_id(editor: Nvim) -> None:
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    editor.lua("Fake.send('completer/didExtendSuggestion', ...)", extension(editor, "turn left + right"))
    editor.wait_for_ghost("turn left + right")
    editor.keys("<Tab>")
    assert wait_for_event(editor, "completer/didAccept") | {"textDocument": 0} == {
        "textDocument": 0,
        "id": "900",
        "acceptedLength": 17,
    }


@pytest.mark.parametrize("change", [{"version": 1}, {"uri": "file:///other.py"}, {"position": {"line": 0, "character": 0}}])
def test_text_for_another_state_is_dropped(editor: Nvim, change: dict[str, Any]) -> None:
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    editor.lua("Fake.send('completer/didExtendSuggestion', ...)", extension(editor, "turn left + right", **change))
    assert editor.lua("return require('completer').visible()") == "turn left"


# Drawing.


def test_text_behind_the_cursor_that_is_replaced_is_not_drawn_twice(editor: Nvim) -> None:
    editor.lua("""Fake.answer = function(before, params)
      return before:find("print%($") and { Fake.item("left)", params.position, params.position.character + 1) } or {}
    end""")
    start_line(editor)
    editor.keys("print()<Left><BS>(")
    seen = editor.wait(lambda frame: frame.ghost == "left")
    assert seen.frame.shows("    print(left)")
    editor.keys("<Tab>;")
    editor.wait_for_no_ghost()
    assert editor.text == "def add(left, right):\n    print(left);"


def test_several_lines_push_what_stands_behind_the_cursor_to_their_end(editor: Nvim) -> None:
    target(editor, "call(\n        left,\n    ")
    start_line(editor, "if x:\n    y = z  # why\n", "tail.py")
    editor.keys("<Esc>0wcwcal")
    seen = editor.wait(lambda frame: "        left," in frame.ghost_rows)
    assert list(seen.frame.rows[:4]) == ["if x:", "    call(", "        left,", "     = z  # why"]
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.text == "if x:\n    call(\n        left,\n     = z  # why"


def test_tabs_are_drawn_as_wide_as_they_will_be(editor: Nvim) -> None:
    target(editor, "if x {\n\t\treturn 1\n\t}")
    start_line(editor, "func f() {\n\t\n", "f.go")
    editor.command("setlocal tabstop=4 noexpandtab")
    editor.keys("i")
    seen = editor.wait(lambda frame: bool(frame.ghost))
    assert list(seen.frame.rows[1:4]) == ["    if x {", "        return 1", "    }"]
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.text == "func f() {\n\tif x {\n\t\treturn 1\n\t}"


# Choosing, sending away, asking for.


def test_alternatives_are_cycled_in_both_directions(editor: Nvim) -> None:
    editor.lua("""Fake.answer = function(before, params)
      return vim.tbl_map(function(text) return Fake.item(text, params.position) end, { "one", "two", "three" })
    end""")
    start_line(editor)
    editor.keys("x = ")
    editor.wait(lambda frame: frame.shows("x = one"))
    for keys, text in [("<M-]>", "two"), ("<M-]>", "three"), ("<M-]>", "one"), ("<M-[>", "three")]:
        editor.keys(keys)
        editor.wait_for_ghost(text)
    editor.keys("<Tab>")
    editor.wait(lambda frame: frame.shows("x = three"))
    ids = [event["id"] for event in events(editor, "completer/didShow")]
    assert wait_for_event(editor, "completer/didAccept")["id"] in ids


def test_alternative_that_was_chosen_stays_while_it_is_typed(editor: Nvim) -> None:
    editor.lua("""Fake.answer = function(before, params)
      local typed = before:match("^x = (.*)")
      return vim.iter({ "one", "two", "three" }):map(function(text)
        return typed and vim.startswith(text, typed) and Fake.item(text:sub(#typed + 1), params.position) or nil
      end):totable()
    end""")
    start_line(editor)
    editor.keys("x = ")
    editor.wait(lambda frame: frame.shows("x = one"))
    editor.keys("<M-]>")
    editor.wait_for_ghost("two")
    editor.keys("t")
    editor.wait_for_answer()
    editor.wait_for_ghost("wo")
    editor.keys("<M-]>")
    editor.wait_for_ghost("hree")


def test_next_asks_for_more_where_there_is_one(editor: Nvim) -> None:
    editor.lua("""Fake.answer = function(before, params)
      local texts = params.context.triggerKind == 1 and { "one", "two" } or { "one" }
      return vim.tbl_map(function(text) return Fake.item(text, params.position) end, texts)
    end""")
    start_line(editor)
    editor.keys("x = ")
    editor.wait(lambda frame: frame.shows("x = one"))
    editor.keys("<M-]>")
    editor.wait_for_ghost("two")


def test_dismissed_suggestion_is_gone_until_the_next_key(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("r")
    editor.wait_for_ghost("eturn left + right")
    editor.keys("<C-]>")
    editor.wait_for_no_ghost()
    assert wait_for_event(editor, "completer/didDismiss")["id"] == events(editor, "completer/didShow")[0]["id"]
    editor.keys("e")
    editor.wait_for_ghost("turn left + right")


def test_switched_off_nothing_is_asked_but_by_the_key_for_it(editor: Nvim) -> None:
    target(editor, "return left + right")
    start_line(editor)
    editor.keys("r")
    editor.wait_for_ghost()
    editor.command("Completer toggle buffer")
    editor.wait_for_no_ghost()
    n_asked = len(events(editor, "textDocument/inlineCompletion"))
    editor.keys("e")
    editor.wait(lambda frame: frame.shows("    re"))
    assert len(events(editor, "textDocument/inlineCompletion")) == n_asked
    editor.keys("<M-Bslash>")
    editor.wait_for_ghost("turn left + right")
    assert events(editor, "textDocument/inlineCompletion")[-1]["context"] == {"triggerKind": 1}
    editor.command("Completer toggle buffer")
    editor.keys("t")
    wait_for_event(editor, "textDocument/inlineCompletion", n_asked + 2)

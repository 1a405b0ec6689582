"""Ghost text in Neovim: what the server adds to it, how it is drawn, chosen and sent away; and no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editors.fake_nvim import SETUP, events, start_line, target, wait_for_event
from tests.editors.nvim import Nvim, running

pytestmark = pytest.mark.editor


@pytest.fixture
def editor(nvim_program: Path, tmp_path: Path) -> Iterator[Nvim]:
    with running(nvim_program, SETUP, tmp_path / "nvim") as nvim:
        yield nvim


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


def test_a_block_grows_and_what_is_less_sure_is_drawn_in_another_colour(editor: Nvim) -> None:
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    for text in ("turn left + right", "turn left + right\n    # and\n\tmore = é1"):
        more = extension(editor, text, sureLength=len("turn left"), complete=False)
        editor.lua("Fake.send('completer/didExtendSuggestion', ...)", more)
    seen = editor.wait(lambda frame: frame.shows("more = é1"), anew=False)
    assert seen.frame.ghost == "turn left"
    assert seen.frame.shows("    return left + right") and seen.frame.shows("    # and")
    editor.keys("t")
    editor.wait_for_answer()
    seen = editor.wait(lambda frame: frame.ghost == "urn left", anew=False)
    assert seen.frame.shows("more = é1")  # what is typed along stays, though the answer is shorter
    editor.keys("urn left +")
    editor.wait(lambda frame: not frame.ghost and frame.shows("more = é1"))
    editor.keys("<Tab>")
    editor.wait_for_lua("return vim.api.nvim_buf_line_count(0) == 4")
    assert editor.text == "def add(left, right):\n    return left + right\n    # and\n\tmore = é1"


def test_a_key_that_differs_sends_a_block_away(editor: Nvim) -> None:
    target(editor, "return left")
    start_line(editor)
    editor.keys("re")
    editor.wait_for_ghost("turn left")
    more = extension(editor, "turn left\n    done()", sureLength=len("turn left"))
    editor.lua("Fake.send('completer/didExtendSuggestion', ...)", more)
    editor.wait(lambda frame: frame.shows("done()"), anew=False)
    editor.keys("x")
    editor.wait(lambda frame: not frame.ghost and not frame.shows("done()"))


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


def test_lines_below_the_window_are_scrolled_into_view(editor: Nvim) -> None:
    target(editor, "if x:\n    one = 1\n    two = 2\n    three = 3")
    start_line(editor, "".join(f"line{n} = {n}\n" for n in range(100)), "long.py")
    editor.keys("<CR>if x:")
    editor.wait_for_ghost("    one = 1\n    two = 2\n    three = 3")
    editor.keys("<Tab>")
    editor.wait(lambda frame: frame.shows("three = 3") and not frame.ghost)


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


def test_next_goes_on_to_another_word_where_the_answer_while_typing_was_a_part(editor: Nvim) -> None:
    """As the server answers: while typing what is sure, to who asks all of it and others beside it."""
    editor.lua("""Fake.answer = function(before, params)
      local texts = params.context.triggerKind == 1 and { "width * height", "height", "0" } or { "width" }
      return vim.tbl_map(function(text) return Fake.item(text, params.position) end, texts)
    end""")
    start_line(editor)
    editor.keys("x = ")
    editor.wait(lambda frame: frame.shows("x = width"))
    for keys, text in [("<M-]>", "height"), ("<M-]>", "0"), ("<M-]>", "width * height"), ("<M-[>", "0")]:
        editor.keys(keys)
        editor.wait_for_ghost(text)
    asked = [event["context"]["triggerKind"] for event in events(editor, "textDocument/inlineCompletion")]
    assert asked.count(1) == 1
    shown = events(editor, "completer/didShow")[-1]["id"]
    editor.keys("<Tab>")
    assert wait_for_event(editor, "completer/didAccept")["id"] == shown


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

"""VS Code with the real model: what a user sees and does, and what the server hears of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.editors.tape import Said
from tests.editors.vscode_session import ROOT, Session

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]

LINE = 11  # the empty line of POINT
PICTURE = ROOT / "out/vscode.png"
TYPED = "        return Point(self.x + o"


def is_of(name: str) -> Callable[[Said], bool]:
    """Return whether a message is about the file of this name, for `Tape.wait_for`."""
    return lambda one: str(one.params["textDocument"]["uri"]).endswith(f"/{name}")


def suggest(vscode: Session, name: str) -> str:
    """Open a file of its own for the test, type into its empty line, and return the ghost text."""
    editor = vscode.workbench
    editor.open(name)
    editor.go_to(LINE, 1)
    editor.type(TYPED, delay_ms=20)
    return editor.wait_for_ghost(lambda text: text.startswith("ther.x"))


def test_a_picture_of_ghost_text_is_taken(vscode: Session) -> None:
    """The first test, so that no other file is open yet."""
    editor = vscode.workbench
    editor.open("search.py")
    editor.go_to(13, 1)
    editor.press("Control+b")  # the side bar goes
    editor.type("        i", delay_ms=30)
    editor.wait_for_ghost(lambda text: "items[middle]" in text)
    editor.page.wait_for_timeout(1000)  # what else is drawn: brackets, colours, and the rest of the suggestion
    PICTURE.parent.mkdir(exist_ok=True)
    editor.page.screenshot(path=PICTURE)
    editor.press("Control+b")
    assert PICTURE.stat().st_size > 10_000


def test_tab_accepts_the_ghost_text_and_the_server_hears_of_it(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    ghost = suggest(vscode, "tab.py")
    editor.press("Tab")
    editor.wait_for_no_ghost_of(ghost)
    assert f"\n{TYPED}{ghost}\n" in editor.saved("tab.py")
    shown = tape.wait_for("completer/didShow", is_of("tab.py"))
    accepted = tape.wait_for("workspace/executeCommand")
    assert accepted.params["command"] == "completer.didAccept"
    assert shown.params["id"] and accepted.params["arguments"]


def test_a_word_is_accepted_and_the_rest_stays_visible(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    ghost = suggest(vscode, "word.py")
    editor.press("Control+ArrowRight")
    rest = editor.wait_for_ghost(lambda text: text != ghost and ghost.endswith(text))
    word = ghost[: -len(rest)]
    assert f"\n{TYPED}{word}\n" in editor.saved("word.py")
    accepted = tape.wait_for("completer/didAccept", is_of("word.py"))
    assert accepted.params["acceptedLength"] == len(word)


def test_typing_what_is_suggested_keeps_the_rest_on_the_screen_without_a_flicker(vscode: Session) -> None:
    editor = vscode.workbench
    ghost = suggest(vscode, "through.py")
    editor.watch()
    for n, character in enumerate(ghost[:6], start=1):
        editor.type(character)
        editor.wait_for_ghost(lambda text, n=n: text.startswith(ghost[n:]))  # type: ignore[misc]
        editor.page.wait_for_timeout(150)  # the server's answer arrives in that time, and must not blink
    changes = [event["ghost"] for event in editor.watched() if "ghost" in event]
    assert changes
    assert all(changes), changes


def test_undo_takes_back_what_was_accepted(vscode: Session) -> None:
    editor = vscode.workbench
    ghost = suggest(vscode, "undo.py")
    editor.press("Tab")
    editor.wait_for_no_ghost_of(ghost)
    editor.press("Control+z")
    text = editor.saved("undo.py")
    assert ghost not in text
    assert f"\n{TYPED}\n" in text


def test_escape_dismisses_and_the_server_hears_of_it(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    suggest(vscode, "escape.py")
    editor.press("Escape")
    editor.wait_for_no_ghost()
    assert f"\n{TYPED}\n" in editor.saved("escape.py")
    dismissed = tape.wait_for("completer/didDismiss", is_of("escape.py"))
    assert dismissed.params["id"]


def test_next_shows_another_suggestion_and_the_server_hears_which_one_was_accepted(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    editor.open("next.py")
    editor.go_to(2, 1)
    editor.type("    result = ", delay_ms=20)
    editor.wait_for_ghost(lambda text: text.startswith("width"))

    def turned() -> bool:
        """What was shown while typing stays in VS Code's list, and may be a part of the first of the answer."""
        editor.press("Alt+BracketRight")
        editor.page.wait_for_timeout(1000)
        return not editor.ghost().startswith("width")

    editor.wait(turned, editor.ghost)
    other = editor.wait_for_ghost()
    asked = [one for one in tape.said("textDocument/inlineCompletion") if is_of("next.py")(one)]
    assert asked[-1].params["context"]["triggerKind"] == 1
    n_before = len(tape.said("workspace/executeCommand"))
    editor.press("Tab")
    editor.wait_for_no_ghost_of(other)
    assert f"\n    result = {other}\n" in editor.saved("next.py")
    accepted = tape.wait_for(
        "workspace/executeCommand", lambda one: one.params["command"] == "completer.didAccept", after=n_before
    )
    shown = [one.params["id"] for one in tape.said("completer/didShow") if is_of("next.py")(one)]
    assert shown and accepted.params["arguments"][0] not in shown  # only the first of an answer is told of as shown


def test_another_file_has_suggestions_of_its_own_and_the_cursor_there_is_told_ahead(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    suggest(vscode, "first.py")
    editor.open("second.py")
    editor.go_to(LINE, 1)
    editor.wait_for_no_ghost()
    moved = tape.wait_for("completer/didMoveCursor", is_of("second.py"))
    assert moved.params["position"]
    editor.type(TYPED, delay_ms=20)
    editor.wait_for_ghost(lambda text: text.startswith("ther.x"))
    editor.open("first.py")
    editor.wait_for_no_ghost()


def test_a_language_that_is_switched_off_asks_nothing(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    editor.open("off.py")
    editor.go_to(LINE, 1)
    editor.run_command("Completer: Turn On or Off for This Language")
    editor.wait(lambda: "circle-slash" in editor.status_icon(), "the status bar to say off")
    try:
        editor.type(TYPED, delay_ms=20)
        editor.page.wait_for_timeout(500)
        assert not editor.ghost()
        assert not [one for one in tape.said("textDocument/inlineCompletion") if is_of("off.py")(one)]
    finally:
        editor.run_command("Completer: Turn On or Off for This Language")
    editor.wait(lambda: "check" in editor.status_icon(), "the status bar to say ready")
    editor.type("ther")
    editor.wait_for_ghost(lambda text: text.startswith(".x"))


def test_the_status_bar_tells_the_latency_on_hover(vscode: Session) -> None:
    suggest(vscode, "hover.py")
    editor = vscode.workbench
    editor.wait(lambda: bool(re.search(r"p50 \d+ ms, p95 \d+ ms", editor.status_tooltip())), editor.status_tooltip)


def test_the_report_of_a_problem_holds_no_code(vscode: Session) -> None:
    editor = vscode.workbench
    suggest(vscode, "report.py")
    editor.run_command("Completer: Report a Problem")
    report = editor.page.locator(".editor-instance .view-lines").filter(has_text="extension 0.1.0")
    report.wait_for(timeout=30_000)
    text = report.inner_text().replace("\u00a0", " ")
    assert "Settings that differ" in text
    assert "Point" not in text and "report.py" not in text


def test_switching_off_ends_the_server_and_switching_on_starts_one(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    editor.open("on.py")
    editor.run_command("Completer: Turn On or Off in This Workspace")
    editor.wait(lambda: "circle-slash" in editor.status_icon(), "the status bar to say off")
    tape.wait_for("exit")
    n_loaded = len(tape.said("$/progress"))
    editor.run_command("Completer: Turn On or Off in This Workspace")
    tape.wait_for("$/progress", lambda one: one.params["value"]["kind"] == "end", after=n_loaded)
    editor.wait(lambda: "check" in editor.status_icon(), "the status bar to say ready")
    suggest(vscode, "on.py")

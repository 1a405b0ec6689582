"""VS Code with the real model: what a user sees and does, and what the server hears of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.editors.vscode_session import Session, session

pytestmark = [pytest.mark.editor, pytest.mark.model, pytest.mark.timeout(280)]

STACK = '''class Stack:
    """A stack of numbers."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def push(self, item: int) -> None:
        self.items.append(item)

    def pop(self) -> int:


def add(left: int, right: int) -> int:

'''
OTHER = """def multiply(left: int, right: int) -> int:

"""


@pytest.fixture(scope="module")
def vscode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(tmp_path_factory.mktemp("vscode"), {"stack.py": STACK, "other.py": OTHER}) as opened:
        yield opened


def test_tab_accepts_the_ghost_text_and_the_server_hears_of_it(vscode: Session) -> None:
    editor, tape = vscode.workbench, vscode.tape
    editor.open("stack.py")
    editor.go_to(11, 1)
    editor.type("        return self.items.")
    ghost = editor.wait_for_ghost(lambda text: text.startswith("pop()"))
    editor.page.screenshot(path="out/vscode.png")
    editor.press("Tab")
    editor.wait_for_no_ghost()
    assert f"        return self.items.{ghost}\n" in editor.saved("stack.py")
    shown = tape.wait_for("completer/didShow")
    accepted = tape.wait_for("workspace/executeCommand")
    assert accepted.params["command"] == "completer.didAccept"
    assert accepted.params["arguments"]
    assert shown.params["id"]

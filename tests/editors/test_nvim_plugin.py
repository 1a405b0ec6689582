"""The Neovim plugin over a server of its own inside the editor: every path, and no model."""

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


def test_key_shows_ghost_text_and_tab_takes_it(editor: Nvim) -> None:
    target(editor, "return left + right")
    editor.open("add.py", "def add(left, right):\n    \n")
    editor.keys("ggjA")
    editor.keys("re")
    editor.wait_for_ghost("turn left + right")
    editor.keys("<Tab>")
    editor.wait_for_no_ghost()
    assert editor.text == "def add(left, right):\n    return left + right"

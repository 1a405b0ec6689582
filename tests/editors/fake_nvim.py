"""Neovim over a server inside the editor (lua/fake.lua), which does what a test says."""

from __future__ import annotations

from typing import Any

from tests.editors.nvim import Nvim

SETUP = """
Fake = require("fake")
require("completer").setup({ cmd = Fake.start })
"""


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

"""Neovim with the real server and the real model."""

from __future__ import annotations

import sys
from typing import Any

from tests.editors.nvim import Nvim

MODEL = "qwen2.5-coder-0.5b"
LOAD_TIMEOUT_S = 120.0

HEADS = (
    "def read_lines(path: str) -> list[str]:",
    "def count_words(text: str) -> dict[str, int]:",
    "def factorial(n: int) -> int:",
    "def fibonacci(n: int) -> int:",
    "def gcd(a: int, b: int) -> int:",
    "def is_prime(n: int) -> bool:",
)
"""Functions whose bodies take several lines; the model need not be sure of each."""

ASK_STATUS = """
local client = require("completer.client")
if not Asking then -- one question at a time: while the model loads, an answer can take seconds
  Asking = true
  client.request(client.of(0), "completer/status", nil, 0, function(status)
    Asking, Status = false, status
  end)
end
return Status and (Status.state == "ready" or Status.state == "error") and Status
"""


def setup(**settings: Any) -> str:
    """Return the configuration that starts the server with `settings`."""
    pairs = ", ".join(f"{name} = {value!r}" for name, value in {"model": MODEL, **settings}.items())
    command = f"{{ {sys.executable!r}, '-m', 'completer', 'lsp' }}"
    # A message that needs more than the last line would wait for a key, and everything with it.
    return f'vim.o.cmdheight = 4; require("completer").setup({{ cmd = {command}, settings = {{ {pairs} }} }})'


def wait_until_ready(nvim: Nvim) -> None:
    """Wait until the model of the server that completes the current buffer is loaded; a failure to load it fails the test."""
    nvim.wait_for_lua("return require('completer.client').of(0) ~= nil")
    state = nvim.wait_for_lua(ASK_STATUS, timeout_s=LOAD_TIMEOUT_S)
    assert state["state"] == "ready", state["message"]


def traces(nvim: Nvim, name: str = "") -> list[dict[str, Any]]:
    """Return the server's traces of the requests for the file `name`, or for all, oldest first."""
    found = nvim.lua("return require('completer.commands').ask('completer/metrics').traces")
    return [trace for trace in found if trace["uri"].endswith(name)]


def open_block(nvim: Nvim, title: str = '"""Examples."""\n\n\n') -> str:
    """Open files until the model suggests a body of several lines below the head of a function; return that head.

    Asked for explicitly: the block for a user who rests would still be growing.
    """
    for number, head in enumerate(HEADS):
        nvim.open(f"block{number}.py", f"{title}{head}\n")
        wait_until_ready(nvim)
        nvim.keys("o")
        nvim.wait_for_answer()
        nvim.keys("<M-Bslash>")
        nvim.wait_for_answer()
        if "\n" in (nvim.lua("return require('completer').visible()") or ""):
            return head
        nvim.keys("<Esc>")
        nvim.command("silent! write")
    raise AssertionError("the model suggests no body of several lines for any of the functions")

"""Neovim with the real server and the real model."""

from __future__ import annotations

import sys
from typing import Any

from tests.editors.nvim import Nvim

MODEL = "qwen2.5-coder-0.5b"
LOAD_TIMEOUT_S = 120.0

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
    return f'require("completer").setup({{ cmd = {command}, settings = {{ {pairs} }} }})'


def wait_until_ready(nvim: Nvim) -> None:
    """Wait until the model of the server that completes the current buffer is loaded; a failure to load it fails the test."""
    nvim.wait_for_lua("return require('completer.client').of(0) ~= nil")
    state = nvim.wait_for_lua(ASK_STATUS, timeout_s=LOAD_TIMEOUT_S)
    assert state["state"] == "ready", state["message"]


def traces(nvim: Nvim, name: str = "") -> list[dict[str, Any]]:
    """Return the server's traces of the requests for the file `name`, or for all, oldest first."""
    found = nvim.lua("return require('completer.commands').ask('completer/metrics').traces")
    return [trace for trace in found if trace["uri"].endswith(name)]

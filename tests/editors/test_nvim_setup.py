"""`completer setup neovim` in an empty home folder: Neovim reads what it writes, starts the server, and gets an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.editors.nvim import ROOT

pytestmark = pytest.mark.editor

TIMEOUT_S = 200
DRIVE = """
local said = { command = vim.fn.exists(":Completer") == 2, setup = package.loaded["completer"] ~= nil }
local function ask(method, params)
  local client, answer = require("completer.client"), nil
  client.request(client.of(0), method, params, 0, function(result) answer = result or false end)
  vim.wait(30000, function() return answer ~= nil end, 20)
  return answer
end
if said.setup then
  local client = require("completer.client")
  said.attached = vim.wait(60000, function() return client.of(0) ~= nil and client.of(0).initialized end, 20)
  vim.wait(90000, function()
    said.status = ask("completer/status")
    return said.status and (said.status.state == "ready" or said.status.state == "error")
  end, 50)
  said.answer = ask("textDocument/inlineCompletion", {
    textDocument = vim.lsp.util.make_text_document_params(),
    position = { line = 1, character = 11 },
    context = { triggerKind = 1 },
  })
  vim.cmd("checkhealth completer")
  said.health = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\\n")
end
io.stdout:write(vim.json.encode(said))
vim.cmd("qall!")
"""


class Home:
    """An empty home folder, and what a user does in it."""

    def __init__(self, folder: Path, nvim: Path) -> None:
        self.folder, self.nvim = folder, nvim
        unwanted = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "NVIM_APPNAME")
        self.environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.environment |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), "COMPLETER_CACHE": str(folder / "cache")}

    def choose_model(self, model: Path) -> None:
        file = self.folder / ".config" / "completer" / "settings.toml"
        file.parent.mkdir(parents=True)
        settings = {"model": str(model), "confidence": 0.0, "explicit_budget_ms": 60_000}
        file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()), encoding="utf-8")
        file.chmod(0o600)

    def setup(self, *arguments: str) -> str:
        return self._run(sys.executable, "-P", "-m", "completer", "setup", "neovim", *arguments)

    def start_neovim(self) -> dict[str, Any]:
        """Open a file as a user does, with no option but the script that looks at it; return what the script saw."""
        (self.folder / "add.py").write_text("def add(left, right):\n    return \n", encoding="utf-8")
        (self.folder / "drive.lua").write_text(DRIVE, encoding="utf-8")
        said: dict[str, Any] = json.loads(self._run(str(self.nvim), "--headless", "add.py", "+luafile drive.lua"))
        return said

    def _run(self, *command: str) -> str:
        options: dict[str, Any] = {"env": self.environment, "cwd": self.folder, "stdin": subprocess.DEVNULL}
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of random weights: that it answers is what matters."""
    for package in ("torch", "onnxruntime", "transformers", "gguf"):
        pytest.importorskip(package)
    from tests import tiny

    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    tiny.save_gguf("qwen2", path)
    return path


@pytest.fixture
def home(tmp_path: Path, nvim_program: Path) -> Home:
    return Home(tmp_path, nvim_program)


def test_neovim_starts_the_server_and_gets_an_answer_until_the_configuration_is_removed(home: Home, model: Path) -> None:
    home.choose_model(model)
    home.setup("--write")
    said = home.start_neovim()
    assert said["command"] and said["setup"] and said["attached"]
    assert said["status"]["state"] == "ready", said["status"]
    assert isinstance(said["answer"]["items"], list)
    assert "ERROR" not in said["health"] and "completer ready" in said["health"]
    home.setup("--remove")
    assert home.start_neovim() == {"command": False, "setup": False}


def test_a_plugin_that_is_gone_is_told_and_breaks_nothing(home: Home) -> None:
    home.setup("--write")
    file = home.folder / ".config" / "nvim" / "plugin" / "completer.lua"
    file.write_text(file.read_text(encoding="utf-8").replace("editors/nvim", "editors/moved"), encoding="utf-8")
    assert home.start_neovim() == {"command": False, "setup": False}

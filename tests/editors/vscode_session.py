"""One workbench with the extension, the real model and a tape recorder, shared by a module's tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from completer.store import cache_dir
from tests.editors.install_code_server import install, run_npm
from tests.editors.tape import Tape
from tests.editors.workbench import Workbench, workbench

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "editors/vscode"
MODEL = "qwen2.5-coder-0.5b"


@dataclass(frozen=True)
class Session:
    """The workbench, and what the extension and its server said to each other."""

    workbench: Workbench
    tape: Tape


@contextmanager
def session(home: Path, files: dict[str, str], settings: dict[str, Any] | None = None) -> Iterator[Session]:
    """Give a workbench whose server has its model loaded.

    home: an empty folder.  files: name and text of each file of the folder that is open.  settings: beside the defaults.
    """
    folder = home / "project"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    tape = Tape(home / "tape.jsonl")
    recorder = [sys.executable, str(ROOT / "tests/editors/recording_server.py"), str(tape.path)]
    ours = {"completer.server.command": [*recorder, sys.executable, "-m", "completer", "lsp"], "completer.model": MODEL}
    environment = {"PYTHONPATH": str(ROOT), "COMPLETER_CACHE": str(cache_dir())}
    tools = install(Path(os.environ.get("COMPLETER_EDITORS", cache_dir() / "editors")))
    with workbench(tools, package(), folder, home, ours | (settings or {}), environment) as opened:
        tape.wait_for("$/progress", lambda one: one.params["value"]["kind"] == "end")
        yield Session(opened, tape)


def package() -> Path:
    """Make the .vsix out of this checkout and return it."""
    if not (EXTENSION / "node_modules").exists():
        run_npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=EXTENSION)
    run_npm("run", "package", cwd=EXTENSION)
    return EXTENSION / "completer.vsix"

"""One workbench with the extension, the real model and a tape recorder, shared by a module's tests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from completer.models.store import cache_dir
from tests.editors.install import editors_folder
from tests.editors.install_code_server import install, run, run_npm
from tests.editors.tape import Tape
from tests.editors.workbench import Workbench, workbench

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "editors/vscode"
MODEL = "qwen2.5-coder-0.5b"

POINT = '''from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    x: float
    y: float

    def plus(self, other: "Point") -> "Point":
        """Return the sum of both, coordinate by coordinate."""


ORIGIN = Point(0.0, 0.0)
'''
"""What each test types into: line 11 is empty and wants a return statement."""
ACCOUNT = '''class {title}:
    """An account with a limit."""

    def __init__(self, total: float, limit: float) -> None:
        self.total_{name} = total
        self.limit_{name} = limit

    def remaining(self) -> float:
        """Return how much may still be spent."""


    def is_exhausted(self) -> bool:
        return self.remaining() <= 0
'''
SEARCH = '''"""Searching in sorted sequences."""

from collections.abc import Sequence


def binary_search(items: Sequence[int], target: int) -> int:
    """Return the index of target in the sorted items, or -1."""
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == target:
            return middle

    return -1


def contains(items: Sequence[int], target: int) -> bool:
    """Return whether target is one of the sorted items."""
    return binary_search(items, target) >= 0
'''
"""For the picture: line 13 is empty."""

AREA = """def area(width: int, height: int) -> int:

    return result
"""
"""For what can be said in two ways: line 2 is empty."""

LATENCY_LINE = 10
ACCOUNTS = ("savings", "budget", "quota", "credit", "ledger", "wallet", "deposit", "fund")
LATENCY_FILES = {f"{name}.py": ACCOUNT.format(title=name.title(), name=name) for name in ACCOUNTS}
NAMES = ("tab", "word", "through", "undo", "escape", "first", "second", "off", "hover", "report", "on")
FILES = {f"{name}.py": POINT for name in NAMES} | LATENCY_FILES | {"search.py": SEARCH, "next.py": AREA}


@dataclass(frozen=True)
class Session:
    """The workbench, and what the extension and its server said to each other."""

    workbench: Workbench
    tape: Tape


@contextmanager
def session(home: Path, files: Mapping[str, str]) -> Iterator[Session]:
    """Give a workbench whose server has its model loaded. home: an empty folder.  files: those of the open folder."""
    tape = Tape(home / "tape.jsonl")
    recorder = [sys.executable, str(ROOT / "tests/editors/recording_server.py"), str(tape.path)]
    command = [*recorder, sys.executable, "-m", "completer", "lsp"]
    with opened(home, files, {"completer.server.command": command}) as editor:
        tape.wait_for("$/progress", lambda one: one.params["value"]["kind"] == "end")
        yield Session(editor, tape)


@contextmanager
def opened(
    home: Path, files: Mapping[str, str], settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[Workbench]:
    """Give a workbench with the extension. settings, environment: beside those that name this checkout and the model."""
    folder = home / "project"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    variables = {"PYTHONPATH": str(ROOT), "COMPLETER_CACHE": str(cache_dir())} | dict(environment or {})
    tools = install(editors_folder())
    with workbench(tools, package(), folder, home, {"completer.model": MODEL, **settings}, variables) as editor:
        yield editor


def install_node_modules() -> None:
    """Bring what package-lock.json names, unless it is there."""
    if not (EXTENSION / "node_modules/.package-lock.json").exists():
        run_npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=EXTENSION)


def package() -> Path:
    """Make the .vsix out of this checkout, with the server's wheel inside, as `make vsix` does, and return it."""
    install_node_modules()
    shutil.rmtree(EXTENSION / "server", ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(EXTENSION / "server"), str(ROOT))
    run_npm("run", "package", cwd=EXTENSION)
    return EXTENSION / "completer.vsix"

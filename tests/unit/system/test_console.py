"""No text makes the command line fail, whatever the console can show. cp1252 is what Windows pipes with in Western Europe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PRINTING = r"""
import sys
from completer.system.console import escape_unprintable, json_for_console
escape_unprintable()
from rich.console import Console
from rich.table import Table
from rich.text import Text
if sys.argv[1] == "json":
    print(json_for_console({"text": "\u27e8 \U0001f600 \u00fc"}))
else:
    Console().print(Text("\u27e8nothing\u27e9 \U0001f600 \u00fc \udcff"))
    Console().rule("[bold]\u6f22[/bold]", align="left")
    print("\u27e8", file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("what", ["text", "json"])
def test_every_text_can_be_printed(what: str, encoding: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", PRINTING, what], env=environment, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode(encoding)
    if what == "json":
        assert json.loads(said) == {"text": "⟨ 😀 ü"}
        assert ("😀" in said) == (encoding == "utf-8")
    else:
        assert ("⟨nothing⟩" if encoding == "utf-8" else r"\u27e8nothing\u27e9") in said


def test_the_command_line_prints_what_its_console_lacks(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONIOENCODING": "ascii:strict",
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "COMPLETER_CACHE": str(tmp_path / "模型"),
    }
    command = [sys.executable, "-m", "completer", "models", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert rb"folder: " in done.stdout and rb"\u6a21\u578b" in done.stdout

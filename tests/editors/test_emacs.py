"""Emacs with lsp-mode, as docs/how-to/emacs.md says: no ghost text, but the first item of the list."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.editors.install import editors_folder
from tests.editors.install_emacs import program_in

pytestmark = [pytest.mark.editor, pytest.mark.model]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "emacs.md"
OPTIONS = '((model . "qwen2.5-coder-0.5b") (budget_ms . 5000) (confidence . 0.0) (multiline . "never"))'
SOURCE = "def add(left: int, right: int) -> int:\n    return le"
TIMEOUT_S = 200


def documented_configuration() -> str:
    """Return the snippet of the page, with settings that make the answer certain."""
    section = PAGE.read_text(encoding="utf-8").split("## lsp-mode", 1)[1]
    found = re.search(r"```elisp\n(.*?)```", section, re.DOTALL)
    assert found
    path = '(expand-file-name "~/src/completer/.venv/bin/completer")'
    assert path in found[1]
    snippet = found[1].replace(path, f'"{Path(sys.executable).with_name("completer")}"')
    return snippet.replace(":server-id 'completer", f":initialization-options '{OPTIONS} :server-id 'completer")


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the driver said, by step."""
    program = program_in(editors_folder())
    if not program.exists():
        pytest.fail("Emacs is missing: python -m tests.editors.install emacs")
    folder = tmp_path_factory.mktemp("emacs")
    (folder / "init.el").write_text(documented_configuration(), encoding="utf-8")
    project = folder / "project"
    project.mkdir()
    (project / "add.py").write_text(SOURCE, encoding="utf-8")
    environment = os.environ | {
        **{"HOME": str(folder), "PYTHONPATH": str(ROOT), "COMPLETER_CACHE": str(editors_folder().parent), "LANG": "C.UTF-8"},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    driver = Path(__file__).parent / "emacs" / "drive.el"
    command = [str(program), "-Q", "--batch", "--load", str(driver), "--", str(folder / "init.el"), str(project / "add.py")]
    done = subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, timeout=TIMEOUT_S)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-3000:]
    return {entry["step"]: entry for entry in said}


def test_emacs_is_offered_a_list_because_it_has_no_ghost_text(steps: dict[str, dict[str, Any]]) -> None:
    assert steps["capabilities"]["completion"] is True
    assert steps["ready"]["state"] == "ready"


def test_completing_inserts_the_suggestion_of_the_real_model_in_place_of_the_word(steps: dict[str, dict[str, Any]]) -> None:
    completed = steps["completed"]
    assert completed["text"] == SOURCE + "ft + right"
    assert completed["point"] == len(completed["text"]) + 1


def test_completing_in_the_middle_of_a_word_keeps_what_was_typed(steps: dict[str, dict[str, Any]]) -> None:
    text = steps["completed in the middle of a word"]["text"]
    assert text.splitlines()[-1].startswith("    return sum(values)")

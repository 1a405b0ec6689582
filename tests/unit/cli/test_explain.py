"""The command `explain`: a place that a rule keeps quiet is told with the rule."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from completer.cli import explain
from completer.complete.quiet import Quiet
from completer.config import Settings

QUIET = Quiet("file", "*.sql")


def test_the_rule_is_printed_with_its_sentence() -> None:
    console = Console(file=io.StringIO(), width=200)
    explain.show(console, QUIET)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert said.startswith("nothing is shown (off: file pattern '*.sql'): the file matches the pattern '*.sql'")


def test_as_json_it_is_what_the_protocol_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explain, "with_completer", lambda _settings, _asked: QUIET)
    (tmp_path / "a.sql").write_text("select\n")
    explain.run(tmp_path / "a.sql", 1, 1, Settings(), "typing", as_json=True, texts=False)
    assert json.loads(capsys.readouterr().out) == {"why": QUIET.why, "reason": QUIET.reason}

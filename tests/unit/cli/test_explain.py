"""The command `explain`: a place that a rule keeps quiet is told with the rule, and the steps for a trace viewer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from completer.cli import explain
from completer.cli.explain import Form, _Answer, _ask, _write
from completer.complete.explanation import Explanation
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.errors import ConfigError
from completer.tokens.tokenizer import Tokenizer
from tests.by_hand import snap
from tests.by_heart import LINE, ByHeart, at, pipeline

QUIET = Quiet("file", "*.sql")


def test_the_rule_is_printed_with_its_sentence() -> None:
    console = Console(file=io.StringIO(), width=200)
    explain.show(console, QUIET)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert said.startswith("nothing is shown (off: file pattern '*.sql'): the file matches the pattern '*.sql'")


def test_as_json_it_is_what_the_protocol_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(explain, "with_completer", lambda _settings, _asked: _Answer(QUIET, None))
    explain.run(snap("select‸\n", "sql"), Settings(), "typing", Form(json=True, texts=False))
    assert json.loads(capsys.readouterr().out) == {"why": QUIET.why, "reason": QUIET.reason}


async def test_the_steps_of_the_request_that_was_explained_are_written(tokenizer: Tokenizer, tmp_path: Path) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        found, trace = await _ask(made, at(9), "typing", to_its_end=True)
    _write(tmp_path / "trace.json", trace)
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert isinstance(found, Explanation) and found.shown == LINE[9:]
    (request,) = (event for event in events if event["name"] == "request")
    assert request["args"]["n_chars"] == len(found.shown)
    assert {"syntax", "prefill", "forward", "trim", "sent"} <= {event["name"] for event in events}


def test_without_steps_no_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the model was not asked"):
        _write(tmp_path / "trace.json", None)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        _write(tmp_path / "missing" / "trace.json", {})

"""The command `explain`: the steps that it writes for a trace viewer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from completer.cli.explain import _ask, _write
from completer.complete.explanation import Explanation
from completer.errors import ConfigError
from completer.tokens.tokenizer import Tokenizer
from tests.by_heart import LINE, ByHeart, at, pipeline


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

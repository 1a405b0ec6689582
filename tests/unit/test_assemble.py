"""From settings to a running model: what happens when its files are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from completer import assemble
from completer.complete.pipeline import Pipeline
from completer.config import Settings
from completer.engines.factory import Loaded
from completer.engines.registry import ENGINES, Requirements, RunsOn, leaves_machine
from completer.errors import HashMismatch
from completer.tokens.tokenizer import Tokenizer
from tests.fake_engine import FakeEngine


def test_a_damaged_pulled_model_is_pulled_and_loaded_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def load(*_: object) -> str:
        steps.append("load")
        if steps.count("load") == 1:
            raise HashMismatch("tiny.gguf is missing or damaged")
        return "loaded"

    monkeypatch.setattr(assemble, "model_files", lambda *_: steps.append("files"))
    monkeypatch.setattr(assemble, "load", load)
    monkeypatch.setattr(assemble, "resolve", lambda _: ("phased", ""))
    assert assemble.load_engine(Settings(model="tiny"), lambda *_: None) == "loaded"
    assert steps == ["files", "load", "files", "load"]


def test_a_damaged_model_that_may_not_be_pulled_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise HashMismatch("tiny.gguf is missing or damaged")

    monkeypatch.setattr(assemble, "model_files", lambda *_: None)
    monkeypatch.setattr(assemble, "load", load)
    monkeypatch.setattr(assemble, "resolve", lambda _: ("phased", ""))
    with pytest.raises(HashMismatch):
        assemble.load_engine(Settings(model="tiny"), lambda *_: None, may_pull=False)


@pytest.mark.parametrize(("device", "is_checked"), [("server", True), ("cpu", False), ("cuda", False)])
def test_documents_are_checked_for_secrets_with_every_engine_that_is_a_server(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, device: RunsOn, is_checked: bool
) -> None:
    monkeypatch.setitem(ENGINES, "fake", Requirements((), "", device))
    running, pipeline = started(tokenizer, None)
    assert pipeline._state.model.leaves_machine is is_checked
    running.close()


def test_an_engine_without_a_row_is_taken_for_a_server() -> None:
    assert leaves_machine("unheard-of")
    assert [name for name in ENGINES if leaves_machine(name)] == ["remote"]


def started(tokenizer: Tokenizer, converted: Path | None) -> tuple[assemble.Running, Pipeline]:
    loaded = Loaded(FakeEngine(tokenizer.vocab_size), tokenizer, "tiny", lambda _: None, converted)
    running = assemble.checked(assemble.Running(loaded, assemble.make_generator(loaded, Settings(), lambda *_: None)))
    return running, assemble.make_pipeline(loaded, running.generator, Settings())


def test_what_goes_wrong_with_a_running_model_is_in_its_status(tokenizer: Tokenizer) -> None:
    running, pipeline = started(tokenizer, None)
    assert running.check is None  # it runs from no converted files
    assert pipeline.status()["message"] == ""
    assert isinstance(running.loaded, Loaded)
    running.loaded.health.report("decode.onnx is damaged")
    running.loaded.health.report("decode.onnx is damaged")
    assert pipeline.status()["message"] == "decode.onnx is damaged"
    running.close()


def test_converted_files_are_checked_until_the_model_is_closed(tokenizer: Tokenizer, tmp_path: Path) -> None:
    running, _ = started(tokenizer, tmp_path)
    assert running.check is not None
    assert running.check._thread.is_alive()
    running.close()
    assert not running.check._thread.is_alive()

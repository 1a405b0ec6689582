"""Where the engine of a language server runs, where the worker is, and the tokenizer that both sides share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from completer.assemble import Running, make_generator
from completer.cli import makers
from completer.cli.hosted import HostedModel
from completer.cli.makers import Makers
from completer.config import Settings
from completer.engines.factory import Loaded, VocabularyFile
from completer.errors import ConfigError, DownloadCancelled, EngineUnavailable, ModelError, WorkerLost
from completer.tokens.tokenizer import Tokenizer
from completer.tokens.vocabulary import checksum
from completer.worker import front, start
from completer.worker.front import tokenizer_of
from completer.worker.wire import Vocabulary
from tests.fake_engine import FakeEngine
from tests.tiny import tokenizer_text

Answer = Callable[..., Any]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_text(), encoding="utf-8")
    return Vocabulary(str(path), "", True, checksum(Tokenizer.load(path).token_bytes))


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where completers were made."""
    made: list[str] = []

    class Engines:
        def make_completer(self, *_: object) -> None:
            made.append("here")

        def close(self) -> None:
            made.append("closed")

    monkeypatch.setattr("completer.assemble.Engines", Engines)
    monkeypatch.setattr(front, "make_completer", lambda *_: made.append("worker"))
    return made


def test_clients_of_one_process_share_the_tokenizer(vocabulary: Vocabulary) -> None:
    first = tokenizer_of(vocabulary)
    assert tokenizer_of(replaced(vocabulary)) is first
    assert first.bytes_of(first.encode("def f():")) == b"def f():"


def replaced(vocabulary: Vocabulary, **fields: Any) -> Vocabulary:
    return Vocabulary(**{name: fields.get(name, getattr(vocabulary, name)) for name in vocabulary.__struct_fields__})


@pytest.mark.parametrize(
    ("fields", "says"), [({"checksum": 1}, "has changed"), ({"path": "/nowhere/tokenizer.json"}, "cannot be read")]
)
def test_a_tokenizer_that_is_not_the_workers_is_refused(vocabulary: Vocabulary, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        tokenizer_of(replaced(vocabulary, **fields))


@pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")
@pytest.mark.parametrize(
    ("engine", "in_process", "where"),
    [("auto", False, "worker"), ("onnx", False, "worker"), ("remote", False, "here"), ("auto", True, "here")],
)
def test_engines_of_this_machine_run_in_the_worker(ways: list[str], engine: str, in_process: bool, where: str) -> None:
    maker = Makers(in_process)
    maker.make(Settings(engine=engine), lambda *_: None)
    maker.close()
    assert ways == ([where] if where == "worker" else ["here", "closed"])


def test_where_the_socket_cannot_be_the_engine_runs_in_the_language_server(
    ways: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def place_of(_: str) -> None:
        raise ConfigError("the folder is everybody's")

    monkeypatch.setattr(start, "place_of", place_of)
    Makers().make(Settings(), lambda *_: None)
    assert ways == ["here"]
    assert "the engine runs in the language server: the folder is everybody's" in caplog.text


def test_a_worker_that_cannot_be_reached_is_tried_again_while_the_client_waits(
    ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(makers, "RETRY_S", 0.0)
    answers: list[Answer] = [lost, lost, lambda: ways.append("worker")]
    monkeypatch.setattr(front, "make_completer", lambda *_: answers.pop(0)())
    Makers().make(Settings(), lambda *_: None)
    assert ways == ["worker"]


def lost() -> None:
    raise WorkerLost("the engine process ended")


def test_a_client_that_leaves_ends_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "make_completer", lambda *_: lost())

    def report(why: str, _: float | None) -> None:
        raise DownloadCancelled(why)

    with pytest.raises(DownloadCancelled, match="the engine process ended; tried again after"):
        Makers().make(Settings(), report)


@pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")
def test_another_cache_or_interpreter_means_another_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [start.place_of(), start.place_of("/opt/python")]
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path))
    places.append(start.place_of())
    assert len({place.socket for place in places}) == 3
    assert all(len(str(place.socket)) <= start._MAX_PATH_BYTES for place in places)


@pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")
@pytest.mark.parametrize("program", ["bin/python", "no-such-interpreter"])
def test_an_interpreter_that_a_workspace_could_bring_is_refused(tmp_path: Path, program: str) -> None:
    place = start.Place(tmp_path / "s", tmp_path / "l", tmp_path / "e", program)
    with pytest.raises(ConfigError, match="worker_python"):
        start.attach(place)


@pytest.mark.skipif(not start.is_possible(), reason="needs Unix sockets")
def test_a_worker_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('no such module: completer')\n")
    program.chmod(0o755)
    place = start.Place(tmp_path / "s", tmp_path / "l", tmp_path / "e", str(program))
    with pytest.raises(WorkerLost, match="ended with status 1: no such module: completer"):
        start.attach(place)


def test_a_hosted_model_tells_what_a_front_needs(tokenizer: Tokenizer, tmp_path: Path) -> None:
    file = VocabularyFile(tmp_path / "tokenizer.json", "qwen", keeps=True)
    loaded = Loaded(FakeEngine(tokenizer.vocab_size), tokenizer, "tiny", lambda _: None, vocabulary=file)
    hosted = HostedModel(Running(loaded, make_generator(loaded, Settings(), lambda *_: None)))
    words = Vocabulary(str(file.path), "qwen", True, checksum(tokenizer.token_bytes))
    assert (hosted.description.name, hosted.description.engine, hosted.description.vocabulary) == ("tiny", "fake", words)
    loaded.health.report("decode.onnx is damaged")
    assert hosted.message() == "decode.onnx is damaged"
    hosted.close()
    without = replace(loaded, vocabulary=None, engine=FakeEngine(tokenizer.vocab_size))
    running = Running(without, make_generator(without, Settings(), lambda *_: None))
    with pytest.raises(EngineUnavailable, match="does not run in the engine process"):
        HostedModel(running)
    running.close()

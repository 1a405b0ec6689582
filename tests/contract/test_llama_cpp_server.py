"""The server that the engine `llama.cpp` starts: when it ends, what it leaves, and how it is brought back. Real servers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from fake_llama_program import install
from stream_subjects import SETTINGS, Ids, answer
from typer.testing import CliRunner

from completer.cli.main import app
from completer.engines.base import StreamPiece
from completer.engines.factory import Served, load_llama_cpp
from completer.engines.llama_cpp import server as running
from completer.engines.llama_cpp.child import Order
from completer.engines.llama_cpp.engine import LlamaCppEngine
from completer.errors import EngineUnavailable, UnsupportedModel
from completer.generate.stream import StreamGenerator
from completer.models.store import locate
from completer.system.private import default_folder
from completer.types import Request, StopRule
from completer.worker import control
from completer.worker.front import tokenizer_of
from completer.worker.generator import WorkerGenerator
from completer.worker.start import Place, attach
from tests import tiny
from tests.law import prompt_of, submit
from tests.unit.worker.in_thread import Events, wait_until

ROOT = Path(__file__).parents[2]
IDS: Ids = tuple(tiny.some_ids(40))
GONE_S = 10.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and Unix sockets")


@pytest.fixture
def model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tiny.gguf"
    tiny.save_gguf("qwen2", path, padded=True)
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))  # short: it becomes part of a socket's name
    return path


@pytest.fixture
async def engine(model: Path) -> AsyncIterator[LlamaCppEngine]:
    made = (await asyncio.to_thread(load, model)).engine
    assert isinstance(made, LlamaCppEngine)
    yield made
    await made.close()


def load(model: Path, program: str = "") -> Served:
    return load_llama_cpp(locate(str(model)), replace(SETTINGS, llama_server=program))


def ids_of(pieces: list[StreamPiece]) -> list[int]:
    return [id_ for piece in pieces for id_ in piece.ids]


def logs() -> list[Path]:
    return sorted((Path(os.environ["COMPLETER_CACHE"]) / "llama.cpp").glob("*.log"))


def sockets() -> list[Path]:
    return sorted(default_folder().glob("llama-*.sock"))


def kill_server(engine: LlamaCppEngine) -> None:
    engine._server.process.kill()
    engine._server.process.wait()


def wait_gone(pid: int) -> None:
    """Wait until a process has ended; one that only its parent has not taken note of has."""
    try:
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            process.wait(GONE_S)
    except psutil.NoSuchProcess:
        return


async def test_a_killed_server_is_started_again_by_the_next_request_and_answers_the_same(engine: LlamaCppEngine) -> None:
    before, pid = ids_of(await answer(engine, IDS, 4)), engine.pid
    kill_server(engine)
    assert ids_of(await answer(engine, IDS, 4)) == before
    assert engine.pid != pid


async def test_requests_that_come_while_it_starts_wait_for_the_same_server(engine: LlamaCppEngine) -> None:
    before = ids_of(await answer(engine, IDS, 2))
    kill_server(engine)
    cancelled = asyncio.create_task(answer(engine, IDS, 2))
    await asyncio.sleep(0)
    cancelled.cancel()  # the next key
    answers = await asyncio.gather(*(answer(engine, IDS, 2) for _ in range(3)))
    assert [ids_of(pieces) for pieces in answers] == [before] * 3
    assert len(sockets()) == 1


async def test_a_server_that_is_closed_leaves_neither_process_nor_socket_nor_log(engine: LlamaCppEngine) -> None:
    pid = engine.pid
    assert (len(sockets()), len(logs())) == (1, 1)
    assert (logs()[0].stat().st_mode & 0o777, sockets()[0].parent.stat().st_mode & 0o777) == (0o600, 0o700)
    await engine.close()
    wait_gone(pid)
    assert (sockets(), logs()) == ([], [])


async def test_nobody_without_the_key_gets_an_answer(engine: LlamaCppEngine) -> None:
    started = engine._server
    with running._client(started.socket, "wrong") as client:
        assert client.post(f"{started.url}/completion", json={"prompt": [1], "n_predict": 1}).status_code == 401
    arguments = " ".join(psutil.Process(engine.pid).cmdline())
    assert started.key not in arguments


async def test_no_text_of_a_prompt_is_in_the_log(engine: LlamaCppEngine) -> None:
    kill_server(engine)  # what is logged of a crash, too
    await answer(engine, IDS, 4)
    assert all("prompt" not in path.read_text(encoding="utf-8") for path in logs())


def test_a_model_that_cannot_be_loaded_is_one_line_with_the_log_and_what_helps(model: Path) -> None:
    data = model.read_bytes()
    model.write_bytes(data.replace(b"token_embd.weight", b"token_embx.weight"))
    with pytest.raises(EngineUnavailable) as caught:
        load(model)
    said = str(caught.value)
    assert str(model) in said and "token_embd.weight" in said and "completer doctor" in said
    assert str(logs()[0]) in said
    assert "\n" not in said
    assert sockets() == []


def test_an_architecture_that_is_too_new_is_mended_by_an_upgrade(model: Path) -> None:
    data = model.read_bytes()
    model.write_bytes(data.replace(b"qwen2", b"qwen9"))  # of the vocabulary's rules, too
    with pytest.raises(UnsupportedModel, match="use the engine 'remote'"):
        load(model)
    order = Order("", str(model), "", "", 1, 2, 256)
    with pytest.raises(EngineUnavailable, match="pip install -U xllamacpp"):
        running.start(order, lambda: None)


def test_what_ends_the_wait_ends_the_server(model: Path) -> None:
    seen: list[int] = []

    def tick() -> None:
        seen.extend(child.pid for child in psutil.Process().children())
        raise EngineUnavailable("nobody waits")

    with pytest.raises(EngineUnavailable, match="nobody waits"):
        running.start(Order("", str(model), "", "", 1, 2, 256), tick)
    for pid in seen:
        wait_gone(pid)
    assert sockets() == []


def test_a_program_that_does_not_know_an_option_says_so(model: Path, tmp_path: Path) -> None:
    program = tmp_path / "old-server"
    program.write_text("#!/bin/sh\necho 'error: unknown argument: --parallel' >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(EngineUnavailable, match=r"unknown argument: --parallel.*install a newer llama-server"):
        load(model, str(program))


SCRIPT = """
import sys, time
from completer.engines.factory import load_llama_cpp
from completer.models.store import locate
from completer.config import Settings
served = load_llama_cpp(locate(sys.argv[1]), Settings(engine="llama.cpp", threads=1, llama_server=sys.argv[2]))
print(served.engine.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["package", "program"])
def test_the_server_ends_when_our_process_is_killed(model: Path, tmp_path: Path, kind: str) -> None:
    program = str(install(tmp_path)) if kind == "program" else ""
    ours = subprocess.Popen([sys.executable, "-c", SCRIPT, str(model), program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert ours.stdout is not None
    child = psutil.Process(int(ours.stdout.readline()))
    family = [child, *child.children(recursive=True)]
    assert len(family) == (2 if kind == "program" else 1)
    ours.kill()
    ours.wait()
    gone, alive = psutil.wait_procs(family, GONE_S)
    assert (len(gone), alive) == (len(family), [])


@pytest.mark.skipif(sys.platform != "linux", reason="uses SIGIO of pipes")
def test_a_server_that_still_loads_its_model_ends_at_once(model: Path, tmp_path: Path) -> None:
    endless = tmp_path / "endless.gguf"
    os.mkfifo(endless)  # the library waits in it, and no thread of Python runs meanwhile
    order = Order("", str(endless), str(default_folder() / "s.sock"), "key", 1, 2, 256)
    process = running._launch(order, None)
    wait_until(Path(order.host).exists)  # from here on it is in the library
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(GONE_S) == -signal.SIGIO


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it")
async def test_a_program_ends_when_the_process_that_watches_it_is_killed(model: Path, tmp_path: Path) -> None:
    made = (await asyncio.to_thread(load, model, str(install(tmp_path)))).engine
    assert isinstance(made, LlamaCppEngine)
    (program,) = psutil.Process(made.pid).children()
    kill_server(made)
    wait_gone(program.pid)
    assert len(ids_of(await answer(made, IDS, 2))) == 2
    await made.close()


def test_what_a_killed_process_left_is_removed_by_the_next_start(model: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    folder = Path(os.environ["COMPLETER_CACHE"]) / "llama.cpp"
    folder.mkdir(parents=True)
    for n in range(6):
        (folder / f"llama-{ended.stdout.strip()}-{n}.log").write_text("x", encoding="utf-8")
    (default_folder() / f"llama-{ended.stdout.strip()}-0.sock").write_text("", encoding="utf-8")
    started = running.start(Order("", str(model), "", "", 1, 2, 256), lambda: None)
    try:
        assert [str(path) for path in sockets()] == [started.socket]
        assert len(logs()) == 3 + 1
    finally:
        started.stop()


def test_healed_answers_begin_with_what_was_typed(model: Path) -> None:
    served = load(model)
    tokenizer, stop = served.tokenizer, StopRule(max_tokens=8, single_line=False)
    generator = StreamGenerator(served.engine, tokenizer)
    try:
        ids = tokenizer.encode("print(total")
        for n_heal in range(4):
            prompt = prompt_of(tokenizer, ids, n_heal)
            got = submit(generator, Request(n_heal + 1, "a", prompt, stop)).wait()  # type: ignore[arg-type]
            assert got.reasons != ["error"], generator.message
            written = tokenizer.bytes_of([*ids[: len(ids) - n_heal], *got.ids])
            assert written.startswith(tokenizer.bytes_of(ids)[: len(written)])
    finally:
        generator.close()


def test_the_command_line_completes_over_it(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def print_total(items):\n    total = 0\n    for it\n    print(total)\n", encoding="utf-8")
    command = ["complete", f"{tmp_path / 'a.py'}:3:11", "--json", "--model", str(model), "--engine", "llama.cpp"]
    result = CliRunner().invoke(app, [*command, "--set", "threads=1"])
    assert result.exit_code == 0, result.output
    assert '"engine": "llama.cpp"' in result.output


def test_doctor_measures_it(model: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--engine", "llama.cpp", "--model", str(model), "--set", "threads=1"])
    assert result.exit_code == 0, result.output
    assert "forward, ms by tokens" in result.output
    assert (sockets(), logs()) == ([], [])


def test_in_a_worker_it_answers_and_ends_with_a_worker_that_is_killed(model: Path, tmp_path: Path) -> None:
    place = Place(default_folder() / "worker.sock", tmp_path / "worker.log", tmp_path / "worker.err")
    settings = replace(SETTINGS, model=str(model))
    front = WorkerGenerator(lambda: attach(place), settings)
    try:
        ready = front.begin(lambda *_: None)
        assert ready.engine == "llama.cpp"
        assert tokenizer_of(ready.vocabulary).encode("def f():") == tiny.loaded_tokenizer().encode("def f():")
        events = Events()
        front.submit(Request(1, "a", prompt_of(tiny.loaded_tokenizer(), IDS), StopRule(max_tokens=4)), events)
        ids, done = events.until_done()
        assert ids and done.reason != "error"
        worker = psutil.Process(front._session.pid)  # type: ignore[union-attr]
        (server,) = worker.children()
        assert "llama-server" in server.cmdline()
        worker.kill()
        wait_gone(server.pid)
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    finally:
        front.close()
        control.stop(place)


def test_a_model_that_is_too_slow_to_be_measured_says_so_and_leaves_no_server(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("completer.engines.remote.probe.COSTS_S", 0.0001)
    with pytest.raises(EngineUnavailable, match=r"too slow here .* choose a smaller model"):
        load(model)
    assert (sockets(), logs()) == ([], [])

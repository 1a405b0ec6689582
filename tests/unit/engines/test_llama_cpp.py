"""The engine `llama.cpp` without its library: what is run, in which slots, and when a crashed server is started again."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from completer import assemble
from completer.config import Settings
from completer.engines import factory, registry
from completer.engines.base import Availability, CostCurve, StreamPiece, StreamRequest
from completer.engines.llama_cpp import child, find, server
from completer.engines.llama_cpp.child import Order
from completer.engines.llama_cpp.engine import LlamaCppEngine
from completer.engines.llama_cpp.load import MAX_SLOTS, header_of, order_for, tokenizer_of
from completer.engines.registry import availability
from completer.engines.weights.gguf_header import GgufHeader
from completer.errors import CacheError, EngineClosed, EngineUnavailable, ModelError, UnsupportedModel
from completer.models.store import ModelFiles, locate
from tests import tiny


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Returns what hides a package."""

    def hide(name: str) -> None:
        for module in (find, registry, assemble):
            monkeypatch.setattr(module, "find_spec", lambda asked: None if asked == name else find_spec(asked))

    return hide


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A llama-server on the PATH."""
    name = "llama-server.exe" if sys.platform == "win32" else "llama-server"
    path = tmp_path / "bin" / name
    path.parent.mkdir()
    path.write_text("", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    return str(path)


def test_the_package_comes_before_a_program_on_the_path_and_the_setting_before_both(program: str) -> None:
    assert find.find_server() == ""
    assert find.find_server("llama-server") == program
    assert find.find_server(program) == program


def test_without_the_package_the_program_on_the_path_is_run(program: str, without: Callable[[str], None]) -> None:
    without("xllamacpp")
    assert find.find_server() == program
    state = availability("llama.cpp")
    assert (state.available, state.version) == (True, program)


def test_a_program_in_the_working_folder_is_never_run(
    program: str, without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    without("xllamacpp")
    monkeypatch.chdir(Path(program).parent)
    monkeypatch.setenv("PATH", os.pathsep.join(["", "."]))
    with pytest.raises(EngineUnavailable, match="on the PATH"):
        find.find_server()
    with pytest.raises(EngineUnavailable, match="setting 'llama_server'"):
        find.find_server("./llama-server")


def test_doctor_names_the_command_that_installs_it(without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    without("xllamacpp")
    assert availability("llama.cpp").reason == (
        "neither the package xllamacpp nor a llama-server on the PATH (pip install 'completer[llama-cpp]')"
    )
    assert availability("llama.cpp", llama_server="nowhere").reason.startswith("setting 'llama_server'")
    without("gguf")
    assert availability("llama.cpp").reason == "not installed: gguf (pip install 'completer[llama-cpp]')"


def test_its_devices_are_the_cards_that_the_library_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kind:
        def __init__(self, name: str) -> None:
            self.name = name

    class Library:
        @staticmethod
        def get_device_info() -> list[dict[str, Any]]:
            return [{"description": f"a {name}", "type": Kind(f"TYPE_{name}")} for name in kinds]

    monkeypatch.setattr(find.importlib, "import_module", lambda _: Library)
    kinds = ["CPU", "ACCEL"]
    assert find.devices() == "cpu"
    kinds = ["CPU", "GPU", "IGPU"]
    assert find.devices() == "a GPU, a IGPU"


@pytest.mark.parametrize(
    ("card", "runs", "chosen"),
    [
        (True, ("phased", "llama.cpp"), "torch"),
        (False, ("phased", "llama.cpp"), "phased"),
        (False, ("llama.cpp",), "llama.cpp"),
    ],
)
def test_auto_takes_it_only_if_nothing_else_can_run(
    monkeypatch: pytest.MonkeyPatch, card: bool, runs: tuple[str, ...], chosen: str
) -> None:
    monkeypatch.setattr(factory, "has_cuda", lambda: card)
    monkeypatch.setattr(factory, "availability", lambda name, **_: Availability(name, name in (*runs, "torch")))
    assert factory.resolve(Settings())[0] == chosen


def test_if_nothing_can_run_auto_says_what_the_default_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "has_cuda", lambda: False)
    monkeypatch.setattr(factory, "availability", lambda name, **_: Availability(name, False, f"no {name}"))
    with pytest.raises(EngineUnavailable, match="no phased"):
        factory.resolve(Settings())


def test_without_torch_the_automatic_model_is_the_smallest(without: Callable[[str], None]) -> None:
    without("torch")
    choice = assemble.automatic_model(Settings())
    assert choice.model == "qwen2.5-coder-0.5b"
    assert "torch" in choice.why


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    tiny.save_gguf("qwen2", path, padded=True)
    return locate(str(path))


def test_the_memory_setting_decides_how_many_slots_there_are(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GgufHeader, "_kv_bytes_per_token", lambda _: 16 * 1024)  # 4 MB for the 256 tokens of a slot
    header = header_of(files)
    orders = [order_for(files, Settings(kv_memory_mb=mb), header, 3, 256) for mb in (0, 12, 20, 4096)]
    assert [order.slots for order in orders] == [2, 3, 5, MAX_SLOTS]
    assert {(order.ctx, order.threads, order.model) for order in orders} == {(256, 3, str(files.path))}


def test_the_header_tells_what_a_token_costs_and_how_long_the_context_is(files: ModelFiles) -> None:
    header = header_of(files)
    assert header.context_length == tiny.MAX_POSITIONS
    assert header.kv_bytes_per_token == 2 * 2 * 2 * 32 * 2  # keys and values, layers, heads, width, fp16
    assert order_for(files, Settings(), header, 1, 2048).ctx == tiny.MAX_POSITIONS


def test_the_vocabulary_is_written_once_and_is_the_files(files: ModelFiles, tmp_path: Path) -> None:
    header = header_of(files)
    path, ours = tokenizer_of(header, tmp_path, "")
    theirs = tiny.loaded_tokenizer()
    text = "def f(größe):\n\treturn '漢字'"
    assert ours.encode(text) == theirs.encode(text)
    assert path == tmp_path / "tokenizer.json"
    assert not list(tmp_path.glob(f"*.{os.getpid()}"))
    written = path.stat().st_mtime_ns
    assert tokenizer_of(header, tmp_path, "")[1].token_bytes == ours.token_bytes
    assert path.stat().st_mtime_ns == written


def test_a_vocabulary_that_is_damaged_or_cannot_be_written_is_one_line(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="mend permissions"):
        tokenizer_of(header_of(files), tmp_path / "nowhere", "")
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="delete that folder"):
        tokenizer_of(header_of(files), tmp_path, "")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModel, match="needs a GGUF file"):
        header_of(locate(str(tmp_path)))


def test_the_log_is_emptied_when_it_has_grown_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file:
        monkeypatch.setattr(child, "_LOG", file.fileno())
        file.write(b"x" * 100)
        file.flush()
        child._shorten_log()
        assert path.stat().st_size == 100
        monkeypatch.setattr(child, "MAX_LOG_BYTES", 50)
        child._shorten_log()
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_path_that_is_too_long_for_a_socket_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "default_folder", lambda: tmp_path / ("x" * 100))
    assert server._socket_path("llama-1-a") == ""


class FakeServer:
    """See `completer.engines.llama_cpp.server.Server`."""

    def __init__(self) -> None:
        self.is_alive = True
        self.stopped = False

    def link(self) -> str:
        return "link"

    def stop(self) -> None:
        self.stopped = True

    def last_words(self) -> str:
        return "it ended with status -9"


class FakeRemote:
    """See `completer.engines.remote.engine.RemoteEngine`."""

    max_len, constrains, costs = 100, True, CostCurve({1: 1.0}, 1.0)

    async def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
        yield StreamPiece((1,))

    async def move_to(self, link: object) -> None:
        pass

    async def close(self) -> None:
        pass


class Starter:
    """Starts servers, or fails as often as it is told."""

    def __init__(self, n_failures: int) -> None:
        self.n_failures = n_failures
        self.n_calls = 0
        self.servers = [FakeServer()]
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, tick: Callable[[], None]) -> Any:
        self.n_calls += 1
        self.may_go_on.wait(10)
        tick()
        if self.n_calls <= self.n_failures:
            raise EngineUnavailable("no memory")
        self.servers.append(FakeServer())
        return self.servers[-1]


def engine_of(starter: Starter) -> LlamaCppEngine:
    return LlamaCppEngine(starter, starter.servers[0], FakeRemote())  # type: ignore[arg-type]


async def ask(engine: LlamaCppEngine) -> list[StreamPiece]:
    return [piece async for piece in engine.stream(StreamRequest((1, 2), 3))]


async def test_after_several_crashes_in_a_row_requests_fail_at_once_until_a_pause_is_over() -> None:
    starter = Starter(n_failures=2)
    engine = engine_of(starter)
    starter.servers[0].is_alive = False
    with pytest.raises(EngineUnavailable, match="no memory"):  # the first attempt is made at once
        await ask(engine)
    with pytest.raises(EngineUnavailable, match=r"crashed: no memory; it is started again in 1 s"):
        await ask(engine)
    assert starter.n_calls == 1
    engine._not_before_s = 0.0
    with pytest.raises(EngineUnavailable, match="no memory"):
        await ask(engine)
    engine._not_before_s = 0.0
    assert await ask(engine) == [StreamPiece((1,))]
    assert await ask(engine) == [StreamPiece((1,))]
    assert starter.n_calls == 3
    assert starter.servers[0].stopped


async def test_an_engine_that_is_closed_while_its_server_starts_leaves_none() -> None:
    starter = Starter(n_failures=0)
    engine = engine_of(starter)
    starter.servers[0].is_alive = False
    starter.may_go_on.clear()
    asking = asyncio.create_task(ask(engine))
    while not starter.n_calls:
        await asyncio.sleep(0.001)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    starter.may_go_on.set()
    await closing
    with pytest.raises(EngineClosed):
        await asking
    with pytest.raises(EngineClosed):
        await ask(engine)
    assert len(starter.servers) == 1


async def test_requests_lower_costs_that_were_measured_on_a_busy_machine() -> None:
    class Quick(FakeRemote):
        costs = CostCurve({1: 1e6, 2: 2e6}, 1e6)

        async def stream(self, request: StreamRequest) -> AsyncGenerator[StreamPiece, None]:
            for id_ in range(request.n_predict):
                yield StreamPiece((id_,), n_cached=n_cached)

    engine = LlamaCppEngine(Starter(0), FakeServer(), Quick())  # type: ignore[arg-type]
    n_cached = 60
    [_ async for _ in engine.stream(StreamRequest(tuple(range(90)), 2))]
    assert engine.costs == Quick.costs  # too little of it to tell
    n_cached = 0
    [_ async for _ in engine.stream(StreamRequest(tuple(range(90)), 1))]
    assert engine.costs.prefill_ms_per_token < 1e3
    assert engine.costs.forward_ms == Quick.costs.forward_ms
    [_ async for _ in engine.stream(StreamRequest((1, 2), 9))]
    assert engine.costs.cost(1) < engine.costs.cost(2) < 1e4


def test_an_order_arrives_as_it_was_given() -> None:
    order = Order("", "/models/größe.gguf", "127.0.0.1", "key", 2, 3, 2048)
    assert order.to_line().endswith(b"\n") and order.to_line().count(b"\n") == 1
    assert Order(**child.json.loads(order.to_line())) == order

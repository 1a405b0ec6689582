"""What goes wrong while a memory is made, or while it is taken away."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from completer.prompt.memory import memory as memory_module
from completer.prompt.memory.index import Index
from completer.prompt.memory.memory import Memory
from completer.prompt.memory.reading import Files
from completer.types import Snapshot


def at(path: Path, text: str, version: int = 1) -> Snapshot:
    return Snapshot(path.as_uri(), version, "python", text, len(text))


async def over(memory: Memory) -> None:
    await asyncio.gather(*memory._tasks, return_exceptions=True)
    await asyncio.sleep(0)


async def test_a_failure_is_reported_once_and_not_after_each_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(memory_module, "of_document", fail)
    memory = Memory(on=True)
    with caplog.at_level(logging.ERROR):
        for version in range(10):
            memory.refresh(at(tmp_path / "a.py", "x", version))
            await over(memory)
    assert len(caplog.records) == 1
    assert memory.recall(at(tmp_path / "a.py", "x")) is None
    await memory.close()


class Held:
    """Stands for the reading of a workspace that goes on until the test says so."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.stops: list[threading.Event] = []

    def __call__(self, folders: tuple[Path, ...], stop: threading.Event) -> Files:
        self.stops.append(stop)
        self.begun.set()
        assert self.go_on.wait(5)
        return Files(Index((b"x" * 50,)), folders)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    made = Held()
    monkeypatch.setattr(memory_module, "of_workspace", made)
    return made


async def begun(memory: Memory, held: Held, folder: Path) -> None:
    memory.set_folders((folder,))
    memory.refresh(at(folder / "a.py", "x"))
    assert await asyncio.to_thread(held.begun.wait, 5)


async def test_what_was_read_of_folders_that_are_gone_meanwhile_is_thrown_away(tmp_path: Path, held: Held) -> None:
    memory = Memory(on=True)
    await begun(memory, held, tmp_path)
    memory.set_folders(())
    held.go_on.set()
    await over(memory)
    assert held.stops[0].is_set() and memory._files is None and memory.n_bytes == 0
    memory.refresh(at(tmp_path / "a.py", "x"))
    assert memory.busy  # the new folders are read at the next key
    await over(memory)
    await memory.close()


async def test_closing_waits_for_nothing_and_nothing_follows(
    tmp_path: Path, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory(on=True)
    await begun(memory, held, tmp_path)
    memory.closed((tmp_path / "a.py").as_uri())
    await asyncio.wait_for(memory.close(), 1)
    assert held.stops[0].is_set()
    held.go_on.set()
    await over(memory)
    assert not caplog.records

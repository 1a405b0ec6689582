"""The memory of a client: what it reads, what it never reads, and what it says."""

import threading
import time
from pathlib import Path

import pytest

from completer.prompt.memory import memory as memory_module
from completer.prompt.memory.memory import Memory
from completer.prompt.memory.reading import of_workspace
from completer.types import Snapshot
from tests.by_hand import snap

LINE = "response = await self.client.fetch(url, timeout=self.timeout)"
HALF = "response = await self.client.fetch("


def at(path: Path, text: str, version: int = 1) -> Snapshot:
    """Return a document with the cursor at the mark, or at its end."""
    return Snapshot(path.as_uri(), version, "python", text.replace("‸", ""), text.find("‸") if "‸" in text else len(text))


async def filled(memory: Memory, snapshot: Snapshot) -> Memory:
    memory.refresh(snapshot)
    for task in list(memory._tasks):
        await task
    return memory


async def recalled(folder: Path, snapshot: Snapshot) -> bytes | None:
    memory = Memory(on=True)
    memory.set_folders((folder,))
    evidence = (await filled(memory, snapshot)).recall(snapshot)
    await memory.close()
    return evidence.text if evidence else None


async def test_another_file_tells_how_the_line_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"async def f(self, url):\n    {LINE}\n")
    assert await recalled(tmp_path, at(tmp_path / "b.py", f"def g():\n        {HALF}")) == b"url, timeout=self.timeout)\n"


async def test_the_document_itself_tells_it_too_but_not_the_line_that_is_being_written(tmp_path: Path) -> None:
    assert await recalled(tmp_path, at(tmp_path / "b.py", f"{LINE}\nx = 1\n{HALF}")) == b"url, timeout=self.timeout)\n"
    memory = await filled(Memory(on=True), at(tmp_path / "b.py", f"x = 1\n{LINE}"))
    assert memory.recall(at(tmp_path / "b.py", f"x = 1\n{HALF}")) is None


async def test_what_is_open_counts_as_it_is_open_and_not_as_it_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{LINE}\n")
    memory = Memory(on=True)
    memory.set_folders((tmp_path,))
    asked = at(tmp_path / "b.py", HALF)
    await filled(memory, asked)
    assert memory.recall(asked) is not None
    await filled(memory, at(tmp_path / "a.py", "response = await self.client.fetch(other)\n"))
    evidence = memory.recall(asked)
    assert evidence is not None and evidence.text == b"other)\n"
    memory.closed((tmp_path / "a.py").as_uri())
    evidence = memory.recall(asked)
    assert evidence is not None and evidence.text == b"url, timeout=self.timeout)\n"
    await memory.close()


async def test_ignored_and_secret_files_links_out_and_other_folders_are_never_read(tmp_path: Path) -> None:
    folder, outside = tmp_path / "work", tmp_path / "outside"
    for one in (folder / ".git", folder / "build", folder / ".aws", outside):
        one.mkdir(parents=True)
    (folder / ".gitignore").write_text("build/\n")
    for path in (folder / "build" / "a.py", folder / ".aws" / "a.py", folder / "credentials.json", outside / "a.py"):
        path.write_text(f"{LINE}\n")
    (folder / "link.py").symlink_to(outside / "a.py")
    assert await recalled(folder, at(folder / "b.py", HALF)) is None


async def test_a_secret_is_not_repeated(tmp_path: Path) -> None:
    token = "ghp_" + "a1B2" * 10
    (tmp_path / "a.py").write_text(f'client = Client(token="{token}")\n')
    assert await recalled(tmp_path, at(tmp_path / "b.py", "client = Client(token=")) is None


async def test_switched_off_nothing_is_read_and_nothing_said(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{LINE}\n")
    memory, asked = Memory(on=False), at(tmp_path / "b.py", HALF)
    memory.set_folders((tmp_path,))
    memory.refresh(asked)
    assert not memory.busy and memory.recall(asked) is None and memory.n_bytes == 0
    memory.switch(True)
    await filled(memory, asked)
    assert memory.recall(asked) is not None and memory.n_bytes > 0
    memory.switch(False)
    assert memory.recall(asked) is None and memory.n_bytes == 0
    await memory.close()


async def test_a_key_is_answered_quickly_even_where_a_text_has_a_hundred_thousand_places(tmp_path: Path) -> None:
    text = "        self.assertEqual(value, 1)\n" * 20_000 + "        self.assertEqual("
    memory, asked = Memory(on=True), at(tmp_path / "b.py", text)
    await filled(memory, asked)
    took_s = []
    for _ in range(20):
        started = time.perf_counter()
        evidence = memory.recall(asked)
        took_s.append(time.perf_counter() - started)
    assert min(took_s) < 0.005
    assert evidence is not None and evidence.text == b"value, 1)\n"
    await memory.close()


async def test_an_untitled_document_without_a_workspace_has_a_memory_of_itself() -> None:
    asked = snap(f"{LINE}\n{HALF}‸")
    memory = await filled(Memory(on=True), asked)
    assert memory.recall(asked) is not None
    await memory.close()


async def test_a_file_in_a_folder_inside_another_one_counts_once(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.py").write_text(f"{LINE}\n")
    assert len(of_workspace((tmp_path, inner), threading.Event()).paths) == 1


class AfterThree(threading.Event):
    """Is set when it was asked three times."""

    n_asked = 0

    def is_set(self) -> bool:
        self.n_asked += 1
        return self.n_asked > 3


def test_a_walk_past_files_that_are_no_sources_ends_when_the_client_is_gone(tmp_path: Path) -> None:
    for n in range(100):
        (tmp_path / f"{n}.bin").write_text("")
    stop = AfterThree()
    of_workspace((tmp_path,), stop)
    assert 3 < stop.n_asked < 10


ABOVE, BELOW = "import client\n\nasync def f(self, url):\n    ", "\n    return response\n"


@pytest.mark.parametrize(
    ("indexed", "now"),
    [
        (f"{ABOVE}{LINE}{BELOW}‸", f"{ABOVE}{HALF}‸{BELOW}"),  # the end of the line
        (f"‸{ABOVE}{LINE}{BELOW}", f"{ABOVE}{HALF}‸{BELOW}"),
        (f"‸{ABOVE}{LINE}{BELOW}", f"import re\n{ABOVE}{HALF}‸{BELOW}"),  # after a change above
        (f"‸{ABOVE}{LINE}{BELOW}", f"{ABOVE}{HALF}‸{BELOW}x = 1\n"),  # before one below
        (f"‸{ABOVE}x = 1\n    {LINE}{BELOW}", f"{ABOVE}{HALF}‸{BELOW}"),  # with the line above it
        (f"‸{ABOVE}{LINE}{BELOW}".replace("\n", "\r\n"), f"{ABOVE}{HALF}‸{BELOW}".replace("\n", "\r\n")),
    ],
)
async def test_what_has_just_been_deleted_from_another_line_is_no_evidence(tmp_path: Path, indexed: str, now: str) -> None:
    memory = await filled(Memory(on=True), at(tmp_path / "a.py", indexed))
    assert memory.recall(at(tmp_path / "a.py", now, 2)) is None
    await memory.close()


async def test_a_line_that_is_still_there_is_evidence_even_if_the_cursor_came_to_where_it_was(tmp_path: Path) -> None:
    memory = await filled(Memory(on=True), at(tmp_path / "a.py", f"‸{ABOVE}x = 1\n    {LINE}{BELOW}"))
    evidence = memory.recall(at(tmp_path / "a.py", f"{ABOVE}{HALF}‸\n    x = 1\n    {LINE}{BELOW}", 2))
    assert evidence is not None and evidence.text == b"url, timeout=self.timeout)\n"
    await memory.close()


async def test_a_document_that_is_not_indexed_yet_does_not_remember_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text(f"{ABOVE}{LINE}{BELOW}")
    memory = Memory(on=True)
    memory.set_folders((tmp_path,))
    await filled(memory, at(tmp_path / "a.py", ""))
    assert memory.recall(at(tmp_path / "b.py", f"{ABOVE}{HALF}‸{BELOW}")) is None
    asked = at(tmp_path / "c.py", HALF)
    await filled(memory, asked)
    assert memory.recall(asked) is not None  # for others, the file still counts
    await memory.close()


async def test_a_document_is_not_indexed_at_each_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, path = Memory(on=True), tmp_path / "a.py"
    await filled(memory, at(path, "x = 1\n‸"))
    for version in range(2, 20):
        memory.refresh(at(path, f"{LINE}\n‸", version))
        assert not memory.busy
    assert memory.recall(at(path, f"{LINE}\n{HALF}", 20)) is None
    monkeypatch.setattr(memory_module, "REFRESH_S", 0.0)
    monkeypatch.setattr(memory_module, "REFRESH_PAUSE", 0)
    memory.switch(False)
    memory.switch(True)
    for version in range(21, 23):
        await filled(memory, at(path, f"{LINE}\n" * (version - 20) + "‸", version))
        assert memory.recall(at(path, f"{LINE}\n" * (version - 20) + HALF, version)) is not None
    await memory.close()


async def remembered(folder: Path, other: Snapshot, asked: Snapshot) -> bytes | None:
    """Return the evidence where another document is open, too."""
    memory = Memory(on=True)
    memory.set_folders((folder,))
    await filled(memory, other)
    await filled(memory, asked)
    evidence = memory.recall(asked)
    await memory.close()
    return evidence.text if evidence else None


@pytest.mark.parametrize(("name", "is_used"), [("a.py", True), ("build/a.py", False), ("secrets.yml", False), (".env", False)])
async def test_an_open_document_that_is_ignored_or_secret_is_not_used_in_another_one(
    tmp_path: Path, name: str, is_used: bool
) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / ".gitignore").write_text("build/\n")
    found = await remembered(tmp_path, at(tmp_path / name, f"{LINE}\n"), at(tmp_path / "b.py", HALF))
    assert (found is not None) == is_used


async def test_a_private_key_is_not_repeated_line_by_line(tmp_path: Path) -> None:
    block = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEpAIBAAKCAQEA7\nb0Xk9sQ2\n-----END RSA PRIVATE " + "KEY-----\n"
    (tmp_path / "a.sh").write_text(f"cat << EOF\n{block}EOF\n")
    begun = block[: block.index("MII")]
    assert await recalled(tmp_path, at(tmp_path / "b.sh", begun)) is None
    assert await remembered(tmp_path, at(tmp_path / "c.sh", block + "x"), at(tmp_path / "b.sh", begun)) is None


async def test_a_secret_whose_quote_is_closed_already_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("client = connect(password='hN3kq9Zr7Ww2Lx5Tb8Vy')\n")
    assert await recalled(tmp_path, at(tmp_path / "b.py", "client = connect(password='‸')")) is None


async def test_files_that_become_ignored_are_forgotten_with_the_next_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "REFRESH_S", 0.0)
    monkeypatch.setattr(memory_module, "REFRESH_PAUSE", 0)
    (tmp_path / "a.py").write_text(f"{LINE}\n")
    memory = Memory(on=True)
    memory.set_folders((tmp_path,))
    await filled(memory, at(tmp_path / "b.py", HALF))
    assert memory.recall(at(tmp_path / "b.py", HALF)) is not None
    (tmp_path / ".completerignore").write_text("a.py\n")
    await filled(memory, at(tmp_path / "b.py", HALF, 2))
    assert memory.recall(at(tmp_path / "b.py", HALF, 2)) is None
    await memory.close()


async def test_of_thousands_of_documents_the_last_ones_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MAX_DOCUMENTS", 4)
    memory = Memory(on=True)
    for n in range(10):
        await filled(memory, at(tmp_path / f"{n}.py", f"{LINE}\n" if n in (0, 8) else ""))
        assert len(memory._documents) <= 4
    asked = at(tmp_path / "x.py", HALF)
    assert memory.recall(asked) is not None
    memory.closed((tmp_path / "8.py").as_uri())
    assert memory.recall(asked) is None
    await memory.close()


async def test_the_indices_of_documents_stay_within_their_share_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "MAX_DOCUMENTS_BYTES", 100_000)
    memory = Memory(on=True)
    for n in range(10):
        await filled(memory, at(tmp_path / f"{n}.py", f"{LINE}\n" * 50))
    assert 0 < memory.n_bytes < 150_000
    await memory.close()


async def test_what_follows_elsewhere_after_the_end_of_a_function_is_not_written_into_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(x):\n    return compute_total(x)\n\n\ndef g():\n    pass\n")
    half = "def f(x):\n    return compute_total(x)\n"
    assert await recalled(tmp_path, at(tmp_path / "b.py", half + "    ")) is None
    assert await recalled(tmp_path, at(tmp_path / "b.py", half + "\n")) == b"def g():\n"


async def test_the_line_that_follows_the_cursor_anyway_is_not_said_again(tmp_path: Path) -> None:
    (tmp_path / "copy.py").write_text(f"{ABOVE}{LINE}{BELOW}")
    memory = Memory(on=True)
    memory.set_folders((tmp_path,))
    await filled(memory, at(tmp_path / "a.py", f"‸{ABOVE}{LINE}{BELOW}"))
    assert memory.recall(at(tmp_path / "a.py", f"{ABOVE}‸\n    {LINE}{BELOW}", 2)) is None
    assert memory.recall(at(tmp_path / "a.py", f"{ABOVE}{HALF}‸\n\n    {LINE}{BELOW}", 2)) is None
    evidence = memory.recall(at(tmp_path / "a.py", f"{ABOVE}‸\n    return None\n", 2))
    assert evidence is not None and evidence.text.decode() == f"{LINE}\n"
    await memory.close()

"""How the server starts and ends at stdin and stdout, and what it costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from lsp_client import ROOT, Client, attach, finish, start_server

from completer.server import messages, transport


@pytest.mark.parametrize("load_ms", ["0", "60000"], ids=["ready", "still loading"])
def test_process_ends_when_its_stdin_closes(load_ms: str) -> None:
    process = start_server("--load-ms", load_ms)
    client = attach(process)
    client.initialize()
    if load_ms == "0":
        client.wait_until_ready()
    code, said = finish(process)
    assert code == 0
    assert (b"completer closed" in said) == (load_ms == "0")


@pytest.mark.parametrize(("polite", "code"), [(True, 0), (False, 1)])
def test_exit_ends_the_process_with_the_status_of_the_specification(polite: bool, code: int) -> None:
    process = start_server()
    client = attach(process)
    client.initialize()
    if polite:
        client.call("shutdown")
    client.notify("exit", None)
    assert process.wait(5) == code
    finish(process)


def test_what_libraries_print_does_not_reach_the_client() -> None:
    process = start_server()
    client = attach(process)
    client.initialize()
    client.wait_until_ready()  # a stray line on stdout would have broken the framing
    assert b"a library prints to stdout" in finish(process)[1]


def test_an_editor_that_may_not_be_looked_at_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where it was started as administrator."""

    def refuse(process: psutil.Process) -> str:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "status", refuse)
    assert transport._lives(psutil.Process())


def test_server_ends_when_its_editor_is_gone_though_stdin_stays_open() -> None:
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = start_server()
    attach(process).initialize(process_id=editor.pid)
    editor.kill()
    editor.wait()
    assert process.wait(10) == 0
    assert b"the editor" in finish(process)[1]


@pytest.mark.parametrize("process_id", [2**31 - 1, -5])
def test_server_ends_when_there_never_was_such_an_editor(process_id: int) -> None:
    process = start_server()
    attach(process).initialize(process_id=process_id)
    assert process.wait(10) == 0
    finish(process)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_idle_server_uses_no_cpu() -> None:
    process = start_server()
    client = attach(process)
    client.initialize()
    client.wait_until_ready()

    def ticks() -> int:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(1)
    assert ticks() - before <= 1
    finish(process)


def test_keys_in_a_file_of_50_000_lines_are_answered_quickly(client: Client) -> None:
    client.open("    result = compute(value, index)  # a comment\n" * 50_000)
    client.inline(0, 0)
    times_ms = []
    for key in range(30):
        begin = time.perf_counter()
        client.type(25_000, 4 + key, "x", version=key + 2)
        client.inline(25_000, 5 + key)
        times_ms.append((time.perf_counter() - begin) * 1e3)
    print(f"key to answer in 50,000 lines, without a model: p50 {statistics.median(times_ms):.1f} ms")
    assert statistics.median(times_ms) < 50
    assert all(event["edits_agree"] for event in client.events_named("change"))


def test_every_method_of_ours_is_in_the_protocol_page() -> None:
    page = (ROOT / "docs" / "reference" / "protocol.md").read_text()
    ours = [value for name, value in vars(messages).items() if name.isupper() and isinstance(value, str)]
    assert len(ours) >= 8
    assert [method for method in ours if f"`{method}`" not in page] == []

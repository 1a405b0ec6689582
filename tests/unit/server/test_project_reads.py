"""The files of workspace folders are read in another thread: what was read last counts, whatever is ready last."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from in_process import never_ready

from completer.config import Checked
from completer.server import project
from completer.server.layers import Layers
from completer.server.transport import make_server

FOLDER = Path("/w")


async def test_a_reading_that_a_later_one_overtakes_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, late = threading.Event(), threading.Event()

    def read(_folder: Path) -> Checked:
        if not begun.is_set():
            begun.set()
            late.wait(10)
            return Checked({"confidence": 0.1}, [])
        return Checked({"confidence": 0.2}, [])

    monkeypatch.setattr(project, "read_project_settings", read)
    ls = make_server(never_ready, Layers())
    ls.folders = (FOLDER,)
    project.read_again(ls)
    await asyncio.to_thread(begun.wait, 10)
    (first,) = ls._background
    project.read_again(ls)
    (second,) = ls._background - {first}
    await second
    late.set()
    await first
    assert ls.projects == {FOLDER: {"confidence": 0.2}}

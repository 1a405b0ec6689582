"""What refusals leave in the log."""

from __future__ import annotations

import asyncio
import logging

import pytest

from completer.server.admission import Refusals


async def test_burst_of_refusals_is_two_lines_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusals, "WINDOW_S", 0.01)
    ended = asyncio.Event()
    refusals = Refusals()
    with caplog.at_level(logging.WARNING, "completer"):
        for number in range(1000):
            refusals.note(f"HTTP {number}")
        asyncio.get_running_loop().call_later(0.02, ended.set)
        await ended.wait()
    assert [record.getMessage() for record in caplog.records] == [
        "closed a connection: HTTP 0",
        "closed 999 more connections within 0.01 s",
    ]

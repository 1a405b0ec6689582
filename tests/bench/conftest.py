"""Fixtures for the harness: the scripted server as a command line, and a short trace with an even clock."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.trace import Event, Trace

FAKE = Path(__file__).parent / "fake_server.py"


@pytest.fixture
def fake() -> Callable[..., str]:
    """Return a function that gives the command line of a scripted server."""

    def command(**script: Any) -> str:
        return shlex.join([sys.executable, str(FAKE), json.dumps(script)])

    return command


@pytest.fixture
def typed() -> Callable[..., Trace]:
    """Return a function that gives a trace: `text` typed at the end of a document, a key every `gap_ms`."""

    def trace(text: str, gap_ms: float = 60.0, before: str = "x = 1\n") -> Trace:
        keys = [Event((i + 1) * gap_ms, "key", pos=len(before) + i, text=c) for i, c in enumerate(text)]
        opened = Event(0.0, "open", pos=len(before), text=before, file="a.py", language="python")
        return Trace("typed", (opened, *keys))

    return trace

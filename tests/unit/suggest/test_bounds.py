"""What the model writes may be anything: trimming it costs little, whatever it is."""

from __future__ import annotations

import time

import pytest

from completer.suggest.trim import MAX_SHOWN_CP, SHOWING, trim
from completer.syntax.cursor import cursor_context
from completer.types import Snapshot

SLOW = [pytest.param(raw, marks=pytest.mark.slow) for raw in ("(" * 2_000, "{\n" * 2_000)]


@pytest.mark.parametrize("raw", [")" * 2_000, *SLOW, ")" + "-" * 6_000, "`" * 3_000, "a(" * 2_000])
def test_a_hostile_output_is_trimmed_in_time(raw: str) -> None:
    snapshot = Snapshot("file:///a.ts", 1, "typescript", "foo(a)\n", len("foo(a)"))
    cursor = cursor_context(snapshot)
    started = time.thread_time()
    shown = trim(raw, snapshot, cursor, SHOWING)
    assert time.thread_time() - started < 1.0  # it took 3 to 27 s
    assert shown is None or len(shown.text) <= MAX_SHOWN_CP

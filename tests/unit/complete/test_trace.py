"""The log of traces knows whether the machine keeps the budget."""

from __future__ import annotations

from dataclasses import replace

from completer.complete.trace import MIN_RECENT, N_RECENT, Trace, TraceLog

BUDGET_MS = 80.0
ANSWER = Trace(1, "file:///a.py", 1, answered_by="cold")


def log_of(*times_ms: float, explicit: bool = False) -> TraceLog:
    log = TraceLog()
    for total_ms in times_ms:
        log.add(replace(ANSWER, total_ms=total_ms), explicit=explicit)
    return log


def test_a_budget_that_is_often_missed_is_known_after_some_answers() -> None:
    assert log_of(*[200.0] * (MIN_RECENT - 1)).p95_above_ms(BUDGET_MS) is None
    assert log_of(*[200.0] * MIN_RECENT).p95_above_ms(BUDGET_MS) == 200.0
    assert log_of(*[60.0] * N_RECENT, 200.0).p95_above_ms(BUDGET_MS) is None


def test_only_recent_answers_while_typing_count() -> None:
    assert log_of(*[2000.0] * 50, explicit=True).p95_above_ms(BUDGET_MS) is None
    assert log_of(*[200.0] * 50, *[60.0] * N_RECENT).p95_above_ms(BUDGET_MS) is None
    log = log_of(*[200.0] * MIN_RECENT)
    for _ in range(N_RECENT):
        log.add(replace(ANSWER, answered_by="suppressed"))  # a quiet place costs no time
    assert log.p95_above_ms(BUDGET_MS) == 200.0

"""The harness against servers whose behaviour is known: it must get back what was put in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bench.editor import EDITORS, Editor, EditorModel
from bench.figures import percentile
from bench.replay import Run, replay
from bench.soak import Soak, soak
from bench.trace import Trace

SLOP_MS = 15.0
"""How late a busy machine may wake the server or the harness."""

Fake = Callable[..., str]
Typed = Callable[..., Trace]


def run(command: str, trace: Trace, *, closed: bool = False, model: EditorModel = EDITORS["plain"]) -> Run:
    [done] = asyncio.run(replay([Editor(command, model)], [trace], closed=closed, timeout_s=1.0))
    return done


def test_known_delays_come_back_as_the_same_percentiles(fake: Fake, typed: Typed) -> None:
    delays = [10.0, 20.0, 30.0, 40.0, 70.0]
    trace = typed("abcdefghij" * 2, gap_ms=150.0)
    summary = run(fake(delays_ms=delays, answer="z", metrics=True), trace).summary(closed=False)
    latency, taken = summary["latency_ms"]["all"], summary["model"]["total_ms"]
    assert latency["n"] == 20
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
        assert taken[name] >= percentile(sorted(delays * 4), share)  # a busy machine makes sleeps longer
        assert latency[name] == pytest.approx(taken[name], abs=SLOP_MS)


def test_closed_loop_waits_for_each_answer(fake: Fake, typed: Typed) -> None:
    trace = typed("abcdef", gap_ms=1.0)
    summary = run(fake(delays_ms=[30.0], answer="z"), trace, closed=True).summary(closed=True)
    assert summary["outcomes"] == {"shown": 6}
    assert summary["latency_ms"]["all"]["p50"] == pytest.approx(30.0, abs=SLOP_MS)


def test_a_slow_server_does_not_slow_the_typist(fake: Fake, typed: Typed) -> None:
    done = run(fake(delays_ms=[300.0], answer="z"), typed("abcdef", gap_ms=20.0))
    keys = [r for r in done.records if r.kind == "key"]
    assert keys[-1].t_ms - keys[0].t_ms == pytest.approx(100.0, abs=SLOP_MS)
    assert [r.status for r in keys] == ["cancelled"] * 5 + ["shown"]


def test_an_empty_answer_to_a_cancelled_request_is_no_answer(fake: Fake, typed: Typed) -> None:
    done = run(fake(delays_ms=[90.0], answer="z", fault="empty-when-cancelled"), typed("abcd", gap_ms=20.0))
    summary = done.summary(closed=False)
    assert summary["outcomes"] == {"cancelled": 3, "shown": 1}
    assert summary["latency_ms"]["all"]["n"] == 1
    assert summary["latency_ms"]["censored"] == 3


def test_late_answers_of_a_client_that_never_cancels_are_stale(fake: Fake, typed: Typed) -> None:
    model = EditorModel("stubborn", cancels=False)
    done = run(fake(delays_ms=[90.0], answer="z"), typed("abcdef", gap_ms=30.0), model=model)
    statuses = [r.status for r in done.records if r.kind == "key"]
    assert statuses[:4] == ["stale"] * 4
    assert done.summary(closed=False)["before_next_key"]["visible"] == 0.0


def test_a_server_that_answers_nothing_is_reported_as_empty(fake: Fake, typed: Typed) -> None:
    summary = run(fake(answer=None), typed("abcd")).summary(closed=False)
    assert summary["outcomes"] == {"empty": 4}
    assert summary["quality"]["visible_keys"] == 0


def test_a_server_that_never_answers_is_reported_as_unanswered(fake: Fake, typed: Typed) -> None:
    model = EditorModel("patient", cancels=False)
    summary = run(fake(answer="z", fault="silent"), typed("abcd"), model=model).summary(closed=False)
    assert summary["outcomes"] == {"unanswered": 4}


@pytest.mark.parametrize(
    ("fault", "problem"),
    [("range", "wrong-range"), ("prefix", "wrong-prefix"), ("malformed", "malformed"), ("version", "wrong-version")],
)
def test_answers_that_break_the_rules_are_named(fake: Fake, typed: Typed, fault: str, problem: str) -> None:
    summary = run(fake(answer="zzz", fault=fault), typed("abcd", gap_ms=100.0)).summary(closed=False)
    assert summary["problems"] == {problem: 4}
    assert summary["outcomes"] == {"rejected": 4}


def test_the_clients_own_work_stays_below_a_millisecond_per_key(fake: Fake, typed: Typed) -> None:
    before = "value = compute(value)  # ünïcode\n" * 2000
    done = run(fake(answer="z"), typed("abcdefghij" * 3, gap_ms=15.0, before=before))
    work = done.summary(closed=False)["client"]["work_ms"]
    assert work["n"] == 30
    assert work["p50"] < 1.0  # the median: other programs may take the processor away in mid-key


def test_stages_of_the_server_are_joined_to_the_keys(fake: Fake, typed: Typed) -> None:
    summary = run(fake(delays_ms=[1.0, 20.0], answer="z", metrics=True), typed("abcdef", gap_ms=50.0)).summary(closed=False)
    assert summary["answered_by"] == {"typed-through": 3, "extended": 3}
    assert summary["model"]["fed_per_key"]["p50"] == 2
    assert summary["model"]["drafted"] == {"stale": 24}
    assert summary["latency_ms"]["extended"]["p50"] > 19


def test_a_server_without_metrics_gives_latencies_all_the_same(fake: Fake, typed: Typed) -> None:
    summary = run(fake(answer="z"), typed("abc")).summary(closed=False)
    assert summary["model"] == {"traced": 0}
    assert summary["answered_by"] == {"unknown": 3}


def test_typed_through_at_the_client_keeps_the_suggestion_without_asking(fake: Fake, typed: Typed) -> None:
    model = EditorModel("through", keeps_typed_through=True, asks_while_typed_through=False)
    done = run(fake(answer="bcdef"), typed("abcdef", gap_ms=80.0), model=model)
    keys = [r for r in done.records if r.kind == "key"]
    assert [r.visible for r in keys[:4]] == ["bcdef", "cdef", "def", "ef"]
    assert [r.answered_by for r in keys[1:5]] == ["typed-through"] * 4


def test_two_tools_take_turns_in_one_run(fake: Fake, typed: Typed) -> None:
    tools = [
        Editor(fake(delays_ms=[5.0], answer="z"), EDITORS["plain"], name="ours"),
        Editor(fake(delays_ms=[40.0], answer="z"), EDITORS["plain"], name="theirs"),
    ]
    ours, theirs = asyncio.run(replay(tools, [typed("abcdef", gap_ms=80.0)]))
    fast, slow = (r.summary(closed=False)["latency_ms"]["all"]["p50"] for r in (ours, theirs))
    assert fast == pytest.approx(5.0, abs=SLOP_MS)
    assert slow == pytest.approx(40.0, abs=SLOP_MS)


def test_nothing_is_typed_before_the_model_is_loaded(fake: Fake, typed: Typed) -> None:
    tool = Editor(fake(answer="z", loading_s=0.3), EDITORS["plain"], warm_up_s=10.0)
    [done] = asyncio.run(replay([tool], [typed("abc")]))
    assert tool.info["ready_ms"] > 100
    assert tool.info["status"] == {"state": "ready"}
    assert done.summary(closed=False)["outcomes"] == {"shown": 3}


def test_a_server_that_knows_no_status_is_warmed_up_by_one_request(fake: Fake, typed: Typed) -> None:
    tool = Editor(fake(delays_ms=[40.0], answer="z"), EDITORS["plain"], warm_up_s=10.0)
    asyncio.run(replay([tool], [typed("a")]))
    assert "ready_ms" not in tool.info
    assert tool.info["first_answer_ms"] == pytest.approx(40.0, abs=SLOP_MS)


def test_the_first_visible_text_of_a_place_is_timed_from_its_first_key(fake: Fake, typed: Typed) -> None:
    summary = run(fake(delays_ms=[40.0], answer="z"), typed("abc", gap_ms=150.0)).summary(closed=False)
    assert summary["first_visible_ms"]["n"] == 1
    assert summary["first_visible_ms"]["p50"] == pytest.approx(40.0, abs=SLOP_MS)


def test_a_soak_counts_keys_and_sees_an_idle_server_at_rest(fake: Fake, typed: Typed) -> None:
    tool = Editor(fake(delays_ms=[0.0], answer="z"), EDITORS["plain"])
    moved: list[int] = []
    found = asyncio.run(soak(tool, [typed("abcdefghij")], n_warm=110, n_keys=200, idle_s=0.5, progress=moved.append))
    assert (found.keys, sum(moved), len(found.resident_mb)) == (310, 310, 3)
    assert found.idle_cpu_s < 0.1
    assert found.summary()["idle_cpu_percent"] < 20


def test_the_growth_of_a_soak_leaves_out_the_keys_that_fill_the_caches() -> None:
    found = Soak(warm_keys=200, keys=500, resident_mb=[100.0, 150.0, 151.0, 150.5, 152.0], idle_s=1.0).summary()
    assert (found["growth_warm_mb"], found["growth_mb"]) == (50.0, 2.0)

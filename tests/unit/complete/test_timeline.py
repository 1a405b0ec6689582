"""The steps of a request, as every key notes them, and the file that Perfetto opens."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

from completer.complete.pipeline import Pipeline
from completer.complete.timeline import Event, Step, Timeline, chrome_trace
from completer.complete.trace import Trace
from completer.tokens.tokenizer import Tokenizer
from completer.types import Stats
from tests.by_heart import HEAD, LINE, ByHeart, at, key, pipeline

REQUEST, ENGINE = 1, 2


def steps_on(track: int, written: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in written["traceEvents"] if event["ph"] == "X" and event["tid"] == track]


def names(steps: list[dict[str, Any]]) -> list[str]:
    return [step["name"] for step in steps]


async def written_at(made: Pipeline) -> dict[str, Any]:
    """Wait for the end of what was decoded after the answer; return the trace of it."""
    assert await made.settled(5)
    written = made.chrome_trace(at(0).uri)
    assert written is not None
    return written


async def test_a_real_key_notes_its_steps_without_gaps_up_to_the_answer(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer, delay_s=0.003), tokenizer) as made:
        made.did_open(at(9))
        await made.complete(at(9), explicit=False)
        request, *steps = steps_on(REQUEST, await written_at(made))
        assert names(steps) == ["syntax", "prompt", "reuse", "submit", "wait", "trim", "plan"]
        assert all(one["ts"] + one["dur"] == other["ts"] for one, other in pairwise(steps))
        assert steps[-1]["ts"] + steps[-1]["dur"] == request["dur"]
        assert (request["name"], request["ts"], steps[0]["ts"]) == ("request", 0, 0)
        assert abs(request["dur"] / 1e3 - made.metrics()[-1]["total_ms"]) < 1


async def test_what_the_engine_did_lies_between_submission_and_the_end_of_the_wait(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer, delay_s=0.003), tokenizer) as made:
        made.did_open(at(9))
        await made.complete(at(9), explicit=False)
        written = await written_at(made)
        queue, prefill, *forwards = steps_on(ENGINE, written)
        assert (queue["name"], prefill["name"]) == ("queue", "prefill")
        assert all(one["ts"] + one["dur"] == other["ts"] for one, other in pairwise((queue, prefill, *forwards)))
        assert set(names(forwards)) <= {"forward", "known row"} and "forward" in names(forwards)
        trace = made.metrics()[-1]
        assert names(forwards).count("forward") == trace["n_forwards_in_all"]
        assert sum(step["args"]["n_tokens"] for step in forwards) == trace["n_generated_in_all"]
        assert prefill["args"]["n_feed"] == trace["n_feed"]
        steps = {step["name"]: step for step in steps_on(REQUEST, written)}
        assert queue["ts"] >= steps["reuse"]["ts"] + steps["reuse"]["dur"]
        assert forwards[0]["ts"] + forwards[0]["dur"] <= steps["wait"]["ts"] + steps["wait"]["dur"] + 1e3


async def test_a_key_that_is_typed_along_has_no_steps_of_the_engine(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(9))
        await made.complete(at(9), explicit=False)
        assert await made.settled(5)
        await made.complete(key(made, 10), explicit=False)
        written = await written_at(made)
        assert steps_on(ENGINE, written) == []
        assert "submit" not in names(steps_on(REQUEST, written))


async def test_the_file_holds_no_text_and_no_name_of_the_document(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(9))
        await made.complete(at(9), explicit=True)
        written = json.dumps(await written_at(made))
        for text in (*HEAD.split(), *LINE.split(), at(0).uri):
            assert len(text) < 6 or text not in written, text


async def test_without_a_request_there_is_nothing_to_write(tokenizer: Tokenizer) -> None:
    async with pipeline(ByHeart(tokenizer), tokenizer) as made:
        made.did_open(at(9))
        assert made.chrome_trace(at(9).uri) is None
        assert made.chrome_trace("file:///other") is None


def test_a_generation_that_is_begun_anew_counts_from_there() -> None:
    timeline = Timeline(10.0, [Step("wait", 10.0, 10.1)], submitted_s=10.0)
    for arrived_s, decode_ms, n in ((10.02, 10.0, 1), (10.03, 20.0, 2), (10.06, 15.0, 1)):
        stats = Stats(queue_ms=1.0, prefill_ms=4.0, decode_ms=decode_ms, n_feed=7, n_forwards=n, n_generated=n)
        timeline.events.append(Event(arrived_s, stats))
    engine = steps_on(ENGINE, chrome_trace(timeline, Trace(1, "", 1)))
    assert [(step["name"], step["ts"], step["dur"]) for step in engine] == [
        ("queue", 0.0, 1000.0),
        ("prefill", 1000.0, 4000.0),
        ("forward", 5000.0, 10000.0),
        ("forward", 15000.0, 10000.0),
        ("queue", 30000.0, 1000.0),
        ("prefill", 31000.0, 4000.0),
        ("forward", 35000.0, 15000.0),
    ]


def test_a_step_costs_a_key_a_few_microseconds_at_most() -> None:
    n, best_s = 1_000, 1.0
    for _ in range(5):
        timeline = Timeline()
        began_s = time.perf_counter()
        for _ in range(n):
            timeline.ended("step")
        best_s = min(best_s, (time.perf_counter() - began_s) / n)
    assert best_s < 10e-6

"""The cases of `python -m bench bodies`, and how answers become figures."""

from __future__ import annotations

import pytest

from bench.bodies.case import INDENT, N_TUNE, read_bodies
from bench.bodies.figures import VOID_MS, body_of, judged, summarise
from bench.client import Json
from bench.sandbox import passes

BODIES = {body.name: body for body in read_bodies()}


def row(case: str, text: str, tool: str = "completer", ms: float = 10.0) -> Json:
    return {"tool": tool, "state": "explicit-cold", "case": case, "text": text, "ms": ms, "failed": False}


def test_each_function_of_the_set_is_a_case_of_one_half() -> None:
    assert len(BODIES) == 164
    assert len(read_bodies("tune")) == len(read_bodies("judge")) == N_TUNE


@pytest.mark.parametrize("name", ["HumanEval/0", "HumanEval/32", "HumanEval/163"])
def test_a_case_with_its_own_body_passes_and_with_an_empty_one_does_not(name: str) -> None:
    body = BODIES[name]
    assert body.prefix.endswith(f"\n{INDENT}") and body.suffix.startswith("\n\n\n")
    assert passes(body.prefix + body.body + body.suffix + body.tests)
    assert not passes(body.prefix + "pass" + body.suffix + body.tests)


def test_a_body_ends_at_the_first_line_at_the_margin() -> None:
    assert body_of("a = 1\n\n    return a\n\n\ndef g():\n    pass") == "a = 1\n\n    return a"
    assert body_of("return 1\nprint(2)") == "return 1"


def test_figures_count_what_passes_placeholders_and_empty_answers_over_common_cases() -> None:
    first, second, third = list(BODIES)[:3]
    rows = [
        row(first, "good"),
        row(second, "pass"),
        row(third, ""),
        row(first, "bad", "llama.cpp"),
        row(second, "good", "llama.cpp"),
        row(third, "good", "llama.cpp"),
    ]
    found = summarise(judged(rows, BODIES, passes=lambda program: "good" in program))
    ours, peer = found["arms"]["completer, explicit-cold"], found["arms"]["llama.cpp, explicit-cold"]
    assert (found["n_common"], ours["passed"], ours["placeholders"], ours["empty"]) == (3, 1, 1, 1)
    assert (peer["passed"], peer["placeholders"], peer["empty"]) == (2, 0, 0)
    assert found["pairs"] == {
        "completer, explicit-cold – llama.cpp, explicit-cold": {"only_first": 1, "only_second": 2, "p": 1.0}
    }


def test_an_answer_that_the_machine_cut_short_is_left_out_and_the_last_one_counts() -> None:
    case = next(iter(BODIES))
    rows = [row(case, "bad"), row(case, "good"), row(case, "", ms=VOID_MS)]
    arms = judged(rows, BODIES, passes=lambda program: "good" in program)
    assert [one["passed"] for one in arms["completer, explicit-cold"].values()] == [True]

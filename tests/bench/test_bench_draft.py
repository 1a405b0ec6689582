"""The draft benchmark over engines that are equal to the last bit: what it must find there, and its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench.cursors import Case
from bench.draft import Bench, promised, run_cases
from bench.logits import verdict
from completer.engines.base import CostCurve, Logits
from completer.tokens.tokenizer import Tokenizer
from tests import tiny
from tests.fake_engine import FakeEngine

LARGE, SMALL = CostCurve({1: 10.0, 16: 12.0}, 1.0), CostCurve({1: 0.5, 16: 0.6}, 0.05)
CASES = [
    Case(f"c{i}", group, "def print_all(self, values):\n    total = 0\n    pri", "nt(values)", "\n    return total\n")
    for i, group in enumerate(["python", "humaneval", "python"])
]


class Drifting(FakeEngine):
    """Answers otherwise when more than one token is fed, as real kernels may where two choices are near-equal."""

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        logits = super().forward(slot, ids, n_logits)
        if n_logits > 1:
            best = logits[-1].argmax()
            logits[-1, best], logits[-1, 0] = logits[-1, 0], logits[-1, best] + np.float32(0.1)
        return logits


def engines(kind: type[FakeEngine]) -> tuple[FakeEngine, FakeEngine]:
    large, small = kind(tiny.VOCAB_SIZE), FakeEngine(tiny.VOCAB_SIZE)
    large.costs, small.costs = LARGE, SMALL
    return large, small


def test_equal_engines_give_equal_answers_in_fewer_forwards(tokenizer: Tokenizer) -> None:
    found = run_cases(Bench(*engines(FakeEngine), tokenizer), CASES, ("alone", "model"))
    assert sorted(found) == ["all", "humaneval", "python"]
    alone, drafted = (found["all"][way].figures() for way in ("alone", "model"))
    assert (alone["n"], drafted["n"], drafted["same"]) == (3, 3, 3)
    assert drafted["tokens_per_forward"] > alone["tokens_per_forward"]
    assert found["python"]["model"].figures()["n"] == 2


def test_an_answer_that_differs_is_counted_with_the_margin_of_the_choice(tokenizer: Tokenizer) -> None:
    found = run_cases(Bench(*engines(Drifting), tokenizer), CASES, ("alone", "model"))
    figures = found["all"]["model"].figures()
    assert figures["same"] + len(figures["margins_of_the_others"]) == 3
    assert figures["same"] < 3
    assert all(margin >= 0 for margin in figures["margins_of_the_others"])


def test_what_the_cost_curves_promise() -> None:
    flat = CostCurve({1: 10.0, 16: 10.0}, 1.0)
    free = CostCurve({1: 0.0, 16: 0.0}, 0.0)
    assert promised(flat, free, rate=1.0, width=3) == pytest.approx(4.0)
    assert promised(flat, free, rate=0.5, width=1) == pytest.approx(1.5)
    assert promised(flat, flat, rate=0.9, width=1) == pytest.approx(0.95), "a draft as dear as the model never pays"


def test_logits_are_right_when_rounding_explains_what_is_left() -> None:
    assert verdict(np.full(20, 0.999, np.float32), np.arange(20) > 0)["right"]
    assert not verdict(np.full(20, 0.7, np.float32), np.arange(20) > 0)["right"]
    assert not verdict(np.full(20, 0.999, np.float32), np.arange(20) > 9)["right"]

"""The figures of the engine-side commands, from numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.corpus import Source
from bench.cursors import Case
from bench.engine import Samples, describe, shares
from bench.shortcut import Tally, verdict
from bench.weights import WINDOW_TOKENS, Score, score_rows, windows
from bench.weights import describe as describe_score

LIMITS = {"memory_gb_s": 40.0, "product_gflop_s": 1000.0}


def test_a_decode_share_is_bytes_read_over_time_over_the_memory_rate() -> None:
    samples = Samples({"weight_bytes": 400_000_000, "product_weights": 0}, {1: [20.0, 20.0, 50.0]})
    assert shares(samples, LIMITS)[0] == {1: pytest.approx(0.5)}


def test_a_prefill_share_is_two_operations_for_each_weight_and_token() -> None:
    samples = Samples({"weight_bytes": 1, "product_weights": 500_000_000}, {512: [1024.0] * 3})
    assert shares(samples, LIMITS)[1] == {512: pytest.approx(0.5)}


def test_the_rounds_of_an_engine_are_put_together() -> None:
    samples = Samples({"weight_bytes": 1, "product_weights": 1})
    for _ in range(2):
        samples.add({"1": [1.0, 2.0, 3.0]})
    assert describe(samples, LIMITS)["n"] == {1: 6}
    assert describe(samples, LIMITS)["ms"][1]["p50"] == 2.0


def test_nll_is_the_log_of_the_softmax() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], dtype=np.float32))
    nll, choices = score_rows(logits, [1, 2])
    assert nll == pytest.approx([-np.log(0.2), -np.log(0.8)], rel=1e-5)
    assert choices.tolist() == [0, 2]


def test_a_format_is_compared_with_the_reference() -> None:
    reference = Score(np.array([1.0, 1.0]), np.array([3, 4]), 10.0, 0)
    figures = describe_score(Score(np.array([1.0, 1.2]), np.array([3, 5]), 8.0, 2_000_000), reference)
    assert (figures["nll_more"], figures["agreement"]) == (0.1, 0.5)
    assert (figures["ms_per_token"], figures["weight_mb"]) == (4.0, 2.0)


def test_windows_skip_the_head_of_a_file_and_are_shared_by_the_languages() -> None:
    long, short = (Source(name, name, "x" * WINDOW_TOKENS * n) for name, n in (("a", 9), ("b", 3)))
    found = windows({"a": [long], "b": [short]}, 4, lambda text: range(len(text)))
    assert [window[0] // WINDOW_TOKENS for window in found] == [1, 2, 1, 2]
    assert all(len(window) == WINDOW_TOKENS for window in found)


def test_a_tally_counts_what_was_won_and_lost_against_the_reference() -> None:
    case = Case("c", "python", "x = ", "compute(y)", "\n")
    tally = Tally()
    tally.add(case, "compute(y)", "compute(x)")
    tally.add(case, "comp", "compute(y)")
    assert (tally.exact, tally.won, tally.lost) == (1, 1, 1)
    assert tally.figures()["matched_share"] == pytest.approx(0.7)


def test_the_verdict_has_the_ratio_to_plain_and_the_points_to_healed() -> None:
    arms = {"plain": Tally(100, 20), "healed": Tally(100, 41), "word": Tally(100, 40)}
    assert verdict(arms) == {"anchored_to_plain": 2.0, "anchored_less_healed_points": -1.0}

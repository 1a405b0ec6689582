"""Choices that kernels are unsure of: what lies nearer together than their noise is decided by a forward alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.engines.base import Logits
from completer.engines.measure import measure_noise
from completer.tokens.tokenizer import Tokenizer
from tests import tiny
from tests.fake_engine import FakeEngine
from tests.law import Run, plain_greedy, prompt_of
from tests.unit.generate.test_decode import MAX_LEN, STOP, assert_true, engine, holding, law


class NoisyEngine(FakeEngine):
    """Adds in another order when it is fed otherwise, as real kernels do: rows of a wider forward are off by up to NOISE."""

    NOISE = 0.05

    def __init__(self, max_len: int = MAX_LEN) -> None:
        super().__init__(tiny.VOCAB_SIZE, n_slots=2, max_len=max_len)
        self.costs = replace(self.costs, logit_noise=self.NOISE)

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        rows = super().forward(slot, ids, n_logits)
        if len(ids) > 1:
            noise = np.random.default_rng(sum(ids)).uniform(-self.NOISE, self.NOISE, rows.shape)
            rows += noise.astype(np.float32)
        return rows


@pytest.mark.slow
@law
@given(data=st.data())
def test_drafts_never_change_a_choice_that_kernels_are_unsure_of(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = tiny.some_ids(40, seed=data.draw(st.integers(0, 1000)))
    prompt = prompt_of(tokenizer, ids, data.draw(st.integers(0, 2)))
    expected = plain_greedy(engine(), tokenizer, prompt, STOP)
    cut = data.draw(st.integers(0, len(expected[0])))
    for drafts in ((), (tuple(expected[0]),), ((*expected[0][:cut], 7, 8),)):
        noisy = NoisyEngine()
        slot = holding(noisy, prompt.ids[: len(prompt.ids) - prompt.n_heal - 1])
        run = Run(noisy, tokenizer, prompt, STOP, slot=slot, drafts=drafts).finish()
        assert (run.ids, run.reason) == expected
        assert_true(slot, noisy)


def test_the_noise_of_wide_forwards_is_measured() -> None:
    assert 0.5 * NoisyEngine.NOISE < measure_noise(NoisyEngine(max_len=300)) <= NoisyEngine.NOISE * 1.001
    assert measure_noise(FakeEngine(tiny.VOCAB_SIZE, max_len=300)) == 0.0


def test_a_clear_choice_is_not_asked_for_again(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tiny.some_ids(40))
    right = tuple(plain_greedy(engine(), tokenizer, prompt, STOP)[0])
    counts = []
    for noise in (0.0, 1e-6, 0.05):
        exact = engine()
        exact.costs = replace(exact.costs, logit_noise=noise)
        counts.append(Run(exact, tokenizer, prompt, STOP, drafts=(right,)).finish().stats.n_forwards)
    assert counts[0] == counts[1] <= counts[2]

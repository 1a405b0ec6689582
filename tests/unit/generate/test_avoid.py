"""Texts that an answer must not begin with: an alternative is what a cold slot says without the tokens to avoid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.generate.choice import Bounds, choose
from completer.generate.known_rows import KnownRows
from completer.generate.slots import Slot
from completer.tokens.tokenizer import Tokenizer
from completer.types import Prompt
from tests import tiny
from tests.law import Run, plain_greedy, prompt_of
from tests.unit.generate.test_decode import STOP, assert_true, engine, holding, law, prompts
from tests.unit.generate.test_near_ties import NoisyEngine


def opening(tokenizer: Tokenizer, prompt: Prompt, ids: Sequence[int], n_tokens: int = 1) -> bytes:
    """Return what the first tokens that say something new bring, or all where there are fewer."""
    n_healed = len(prompt.heal_bytes)
    texts = [new for n in range(1, len(ids) + 1) if (new := tokenizer.bytes_of(ids[:n])[n_healed:])]
    return texts[:n_tokens][-1] if texts else b""


@pytest.mark.slow
@law
@given(data=st.data())
def test_an_alternative_is_what_a_cold_slot_says_without_the_tokens_to_avoid(tokenizer: Tokenizer, data: st.DataObject) -> None:
    """Three in a row over the same slot and rows, each without the first words of those before it."""
    prompt = data.draw(prompts(tokenizer))
    stop = replace(STOP, end_ids=tokenizer.fim.end)
    shared_engine, rows = data.draw(st.sampled_from([engine(), NoisyEngine()])), KnownRows(tiny.VOCAB_SIZE)
    slot = holding(shared_engine, prompt.ids[: len(prompt.ids) - prompt.n_heal - 1])
    avoid: tuple[bytes, ...] = (b"",)
    drafts: tuple[tuple[int, ...], ...] = ()
    for _ in range(3):
        expected = plain_greedy(engine(), tokenizer, prompt, stop, avoid)
        run = Run(shared_engine, tokenizer, prompt, stop, slot=slot, rows=rows, drafts=drafts, avoid=avoid).finish()
        assert (run.ids, run.reason) == expected
        assert_true(slot, shared_engine)
        first = opening(tokenizer, prompt, run.ids, data.draw(st.integers(1, 3)))  # white space may be in front of a word
        assert first not in avoid
        avoid, drafts = (*avoid, first), (*drafts, tuple(run.ids))


@pytest.mark.parametrize("n_heal", [1, 2, 3])
def test_an_alternative_reaches_no_avoided_text_by_shorter_tokens(tokenizer: Tokenizer, n_heal: int) -> None:
    ids = [1, *tokenizer.encode("    total += it")]
    prompt = prompt_of(tokenizer, ids, n_heal)
    avoid = (b"", *(bytes([letter]) for letter in range(256)))
    run = Run(engine(), tokenizer, prompt, STOP, avoid=avoid).finish()
    assert (run.ids, run.reason) == plain_greedy(engine(), tokenizer, prompt, STOP, avoid)
    assert tokenizer.bytes_of(run.ids).startswith(prompt.heal_bytes)
    assert len(opening(tokenizer, prompt, run.ids)) > 1


def test_an_alternative_needs_the_prompt_no_second_time(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tokenizer.encode("def print_all(self):\n    pri"), n_heal=1)
    shared_engine = engine()
    slot, rows = Slot(shared_engine, 0), KnownRows(tiny.VOCAB_SIZE)
    first = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
    shared_engine.calls.clear()
    avoid = (b"", opening(tokenizer, prompt, first.ids))
    other = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows, avoid=avoid).finish()
    assert opening(tokenizer, prompt, other.ids) != opening(tokenizer, prompt, first.ids)
    assert sum(call.n for call in shared_engine.calls if call.name != "truncate") <= len(other.ids)


@pytest.mark.slow
@law
@given(data=st.data())
def test_cancelling_an_alternative_after_any_step_leaves_a_true_slot(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt = data.draw(prompts(tokenizer))
    shared_engine, rows = engine(), KnownRows(tiny.VOCAB_SIZE)
    slot = Slot(shared_engine, 0)
    first = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
    avoid = (b"", opening(tokenizer, prompt, first.ids))
    other = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows, avoid=avoid)
    for _ in range(data.draw(st.integers(0, 6))):
        other.step()
    other.steps.close()
    assert_true(slot, shared_engine)
    again = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
    assert (again.ids, again.reason) == plain_greedy(engine(), tokenizer, prompt, STOP)


def test_the_probability_of_an_alternative_is_what_it_is_beside_the_avoided_token(tokenizer: Tokenizer) -> None:
    row = np.random.default_rng(0).normal(size=tokenizer.vocab_size).astype(np.float32)
    first = choose(row, Bounds(), tokenizer)
    second = choose(row, Bounds(avoid=(tokenizer.token_bytes[first.id],)), tokenizer)
    assert row[second.id] == np.partition(row, -2)[-2]
    assert second.prob / first.prob == pytest.approx(float(np.exp(row[second.id] - row[first.id])), rel=1e-4)

"""The laws of decoding, each shortcut against the slow path, on an engine that is equal to the last bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.engines.base import Logits
from completer.errors import ContextOverflow, EngineError
from completer.generate.choice import Bounds, choose
from completer.generate.known_rows import KnownRows
from completer.generate.slots import Slot
from completer.tokens.tokenizer import Tokenizer
from completer.types import Prompt, StopRule, Token
from tests import tiny
from tests.examples import examples
from tests.fake_engine import FakeEngine
from tests.law import Run, plain_greedy, prompt_of

STOP = StopRule(max_tokens=12, single_line=False)
TEXTS = ("def print_all(self):\n    pri", "    total += it", "größ", "x = 'größe →", "class Printer:\n\t", "a", "    ")
MAX_LEN = 128
law = examples(100)


def engine() -> FakeEngine:
    return FakeEngine(tiny.VOCAB_SIZE, n_slots=2, max_len=MAX_LEN)


def holding(slot_engine: FakeEngine, ids: Sequence[int]) -> Slot:
    """Return slot 0 of the engine with `ids` in it."""
    if ids:
        slot_engine.forward(0, ids, 0)
    return Slot(slot_engine, 0, ids)


def assert_true(slot: Slot, of: FakeEngine) -> None:
    """The caller's knowledge of a slot is what the engine holds."""
    assert slot.ids == of.ids[slot.index]


@st.composite
def prompts(draw: st.DrawFn, tokenizer: Tokenizer) -> Prompt:
    """Tokens of real text, some of them repeated, with the last 0 to 2 taken back."""
    ids = [i for text in draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6)) for i in tokenizer.encode(text)]
    return prompt_of(tokenizer, ids[-100:], draw(st.integers(0, min(2, len(ids) - 1))))


@law
@given(data=st.data())
def test_a_warm_slot_gives_what_a_cold_one_gives(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt = data.draw(prompts(tokenizer))
    kept = prompt.ids[: data.draw(st.integers(0, len(prompt.ids)))]
    stale = data.draw(st.lists(st.integers(0, tiny.VOCAB_SIZE - 1), max_size=20))
    warm_engine = engine()
    warm = Run(warm_engine, tokenizer, prompt, STOP, slot=holding(warm_engine, [*kept, *stale])).finish()
    assert (warm.ids, warm.reason) == plain_greedy(engine(), tokenizer, prompt, STOP)
    assert_true(warm.slot, warm_engine)


@pytest.mark.slow
@law
@given(data=st.data())
def test_known_rows_never_change_the_output(tokenizer: Tokenizer, data: st.DataObject) -> None:
    """A text is typed character by character over the same rows and the same slot."""
    text = "".join(data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)))
    shared_engine = engine()
    slot, rows = Slot(shared_engine, 0), KnownRows(tiny.VOCAB_SIZE)
    for n in range(max(1, len(text) - 8), len(text) + 1):
        ids = tokenizer.encode(text[:n])
        prompt = prompt_of(tokenizer, ids, data.draw(st.integers(0, min(2, len(ids) - 1))))
        run = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
        assert (run.ids, run.reason) == plain_greedy(engine(), tokenizer, prompt, STOP)
        assert_true(slot, shared_engine)


def test_what_was_generated_before_costs_no_forward(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tokenizer.encode("def print_all(self):\n    pri"), n_heal=1)
    shared_engine = engine()
    slot, rows = Slot(shared_engine, 0), KnownRows(tiny.VOCAB_SIZE)
    first = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
    again = Run(shared_engine, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
    assert (again.tokens, again.reason) == (first.tokens, first.reason)
    assert (first.stats.n_forwards > 0, again.stats.n_forwards) == (True, 0)


@law
@given(data=st.data())
def test_drafts_never_change_the_output(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt = data.draw(prompts(tokenizer))
    stop = StopRule(max_tokens=data.draw(st.integers(1, 24)), single_line=data.draw(st.booleans()), end_ids=tokenizer.fim.end)
    plain_engine = engine()
    plain = Run(plain_engine, tokenizer, prompt, stop).finish()
    right = plain.ids
    cut = data.draw(st.integers(0, len(right)))
    draft = [*right[:cut], *data.draw(st.lists(st.integers(0, tiny.VOCAB_SIZE - 1), max_size=6))]
    corpus = [*prompt.ids, *right, *draft]
    drafted_engine = engine()
    drafted = Run(drafted_engine, tokenizer, prompt, stop, drafts=(tuple(draft), tuple(right)), corpora=(corpus,)).finish()
    assert drafted.tokens == plain.tokens  # the probabilities too
    assert drafted.reason == plain.reason
    assert (right, plain.reason) == plain_greedy(engine(), tokenizer, prompt, stop)
    assert drafted.stats.n_forwards <= plain.stats.n_forwards
    assert_true(drafted.slot, drafted_engine)


@pytest.mark.slow
@law
@given(data=st.data())
def test_cancelling_after_any_step_leaves_a_true_slot(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt = data.draw(prompts(tokenizer))
    expected = plain_greedy(engine(), tokenizer, prompt, STOP)
    slot_engine = engine()
    slot = holding(slot_engine, data.draw(st.sampled_from([prompt.ids[:5], prompt.ids, (1, 2, 3)])))
    n_steps = 0
    while True:
        run = Run(slot_engine, tokenizer, prompt, STOP, slot=slot, drafts=(tuple(expected[0][:6]),))
        more = all(run.step() for _ in range(n_steps))
        run.steps.close()
        assert_true(slot, slot_engine)
        if not more:
            break
        assert run.ids == expected[0][: len(run.ids)]
        n_steps += 1
    assert (run.ids, run.reason) == expected


@pytest.mark.slow
@law
@given(text=st.one_of(st.sampled_from(TEXTS), st.text(min_size=1, max_size=12)), n_heal=st.integers(1, 3))
def test_healed_text_begins_with_the_bytes_that_were_typed(tokenizer: Tokenizer, text: str, n_heal: int) -> None:
    ids = [1, *tokenizer.encode(text)]
    prompt = prompt_of(tokenizer, ids, min(n_heal, len(ids) - 1))
    stop = StopRule(max_tokens=len(prompt.heal_bytes) + 4, single_line=False)
    run = Run(engine(), tokenizer, prompt, stop).finish()
    assert tokenizer.bytes_of(run.ids).startswith(prompt.heal_bytes)
    assert (run.ids, run.reason) == plain_greedy(engine(), tokenizer, prompt, stop)


@pytest.mark.parametrize("n_taken_back", [1, 2, 3])
def test_healing_inside_a_character_reproduces_its_bytes(tokenizer: Tokenizer, n_taken_back: int) -> None:
    ids = tokenizer.encode("x = '😀")  # the vocabulary has its bytes only
    assert [tokenizer.token_bytes[i] for i in ids[-4:]] == [bytes([b]) for b in "😀".encode()]
    prompt = prompt_of(tokenizer, ids, n_taken_back)
    run = Run(engine(), tokenizer, prompt, STOP).finish()
    assert tokenizer.bytes_of(run.ids).startswith("😀".encode()[-n_taken_back:])
    assert tokenizer.text_of([*ids[:-n_taken_back], *run.ids]).startswith("x = '😀")


def test_healing_of_leading_white_space_may_choose_a_longer_token(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("x\n"), *tokenizer.encode("  ")]
    prompt = prompt_of(tokenizer, ids, 1)
    first = Run(engine(), tokenizer, prompt, STOP).finish().ids[0]
    longer = {i for i, b in enumerate(tokenizer.token_bytes) if b.startswith(prompt.heal_bytes)}
    assert len(longer) > 1
    assert first in longer | {tokenizer.encode(" ")[0]}


def test_a_token_that_healing_leaves_alone_costs_no_forward(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("    total += it")
    for seed in range(400):  # until the constrained choice is the typed token itself
        prompt = prompt_of(tokenizer, [seed, *ids], 1)
        run = Run(engine(), tokenizer, prompt, StopRule(max_tokens=2, single_line=False)).finish()
        if run.ids[:1] == ids[-1:] and len(run.ids) == 2:
            assert run.stats.n_forwards == 1
            assert run.stats.accepted == {"heal": 1}
            return
    pytest.fail("no such prompt found")


def test_healing_drafts_a_longer_token_that_stood_behind_the_same_text(tokenizer: Tokenizer) -> None:
    for letter in "abcdefghijklmnoprst":
        prompt = prompt_of(tokenizer, [*tokenizer.encode("def "), *tokenizer.encode(letter)], 1)
        expected = plain_greedy(engine(), tokenizer, prompt, STOP)[0]
        if tokenizer.token_bytes[expected[0]] != letter.encode():
            run = Run(engine(), tokenizer, prompt, STOP, corpora=([*prompt.ids[:-1], *expected],)).finish()
            assert run.ids == expected
            assert run.stats.accepted["heal"] == run.stats.drafted["heal"] == 1
            assert run.stats.accepted["ngram"] > 0
            return
    pytest.fail("no letter at which the model wants a longer token")


def test_the_padding_behind_a_vocabulary_is_never_chosen(tokenizer: Tokenizer) -> None:
    row = np.zeros(tiny.VOCAB_SIZE, np.float32)
    row[tokenizer.vocab_size :] = 9.0
    row[7] = 1.0
    assert choose(row, Bounds(), tokenizer).id == 7


def test_probabilities_are_those_among_the_allowed_tokens(tokenizer: Tokenizer) -> None:
    row = np.random.default_rng(0).normal(size=tokenizer.vocab_size).astype(np.float32)
    free = choose(row, Bounds(), tokenizer)
    assert free.prob == pytest.approx(float(np.exp(row[free.id]) / np.exp(row).sum()), rel=1e-5)
    pending = b"pri"
    allowed = [i for i, b in enumerate(tokenizer.token_bytes) if b and (b.startswith(pending) or pending.startswith(b))]
    healed = choose(row, Bounds(pending), tokenizer)
    assert healed.id in allowed
    assert healed.prob == pytest.approx(float(np.exp(row[healed.id]) / np.exp(row[allowed]).sum()), rel=1e-5)


def test_a_request_for_no_tokens_prefills_all_but_the_rows_of_the_next(tokenizer: Tokenizer) -> None:
    slot_engine = engine()
    slot = Slot(slot_engine, 0)
    prompt = prompt_of(tokenizer, tiny.some_ids(50), 1)
    idle = Run(slot_engine, tokenizer, prompt, StopRule(max_tokens=0), slot=slot).finish()
    assert (idle.ids, idle.reason, idle.stats.n_forwards) == ([], "length", 0)
    assert slot.ids == list(prompt.ids[:48])
    assert_true(slot, slot_engine)
    run = Run(slot_engine, tokenizer, prompt, STOP, slot=slot).finish()
    assert (run.stats.n_keep, run.stats.n_feed) == (48, 2)
    assert (run.ids, run.reason) == plain_greedy(engine(), tokenizer, prompt, STOP)


def test_a_long_feed_is_prefilled_and_a_short_one_rides_in_the_first_forward(tokenizer: Tokenizer) -> None:
    slot_engine = engine()
    slot = Slot(slot_engine, 0)
    Run(slot_engine, tokenizer, prompt_of(tokenizer, tiny.some_ids(50)), StopRule(max_tokens=1), slot=slot).finish()
    assert [call.name for call in slot_engine.calls if call.name != "truncate"] == ["prefill"] * 4 + ["forward"]
    slot_engine.calls.clear()
    Run(slot_engine, tokenizer, prompt_of(tokenizer, tiny.some_ids(55)), StopRule(max_tokens=1), slot=slot).finish()
    assert [call for call in slot_engine.calls if call.name != "truncate"] == [("forward", 0, 5)]


@pytest.mark.parametrize("n_heal", [0, 1])
@pytest.mark.parametrize("n_free", [0, 1, 2, 5])
def test_decoding_ends_with_the_last_position_of_the_slot(tokenizer: Tokenizer, n_heal: int, n_free: int) -> None:
    prompt = prompt_of(tokenizer, tiny.some_ids(MAX_LEN - n_free), n_heal)
    run = Run(engine(), tokenizer, prompt, StopRule(max_tokens=50, single_line=False)).finish()
    assert (run.ids, run.reason) == plain_greedy(engine(), tokenizer, prompt, StopRule(max_tokens=50, single_line=False))


def test_a_prompt_longer_than_the_slot_is_an_error(tokenizer: Tokenizer) -> None:
    run = Run(engine(), tokenizer, prompt_of(tokenizer, tiny.some_ids(MAX_LEN + 40)), STOP)
    with pytest.raises(ContextOverflow):
        run.finish()
    assert run.slot.ids == []


class FailingEngine(FakeEngine):
    """Breaks in the n-th forward, half-way: it has written positions already."""

    def __init__(self, n: int) -> None:
        super().__init__(tiny.VOCAB_SIZE, n_slots=2, max_len=MAX_LEN)
        self.n_left = n

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        self.n_left -= 1
        if self.n_left < 0:
            super().forward(slot, ids[:1], 0)
            raise EngineError("the device is gone")
        return super().forward(slot, ids, n_logits)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_failing_forward_empties_the_slot(tokenizer: Tokenizer, n: int) -> None:
    failing = FailingEngine(n)
    run = Run(failing, tokenizer, prompt_of(tokenizer, tiny.some_ids(30)), STOP)
    with pytest.raises(EngineError, match="the device is gone"):
        run.finish()
    assert run.slot.ids == failing.ids[0] == []


class FailingReceiver(list[Token]):
    def extend(self, _: object) -> None:
        raise ValueError("no loop")


def test_a_failing_receiver_empties_the_slot_too(tokenizer: Tokenizer) -> None:
    slot_engine = engine()
    run = Run(slot_engine, tokenizer, prompt_of(tokenizer, tiny.some_ids(30)), STOP, tokens=FailingReceiver())
    with pytest.raises(ValueError, match="no loop"):
        run.finish()
    assert run.slot.ids == slot_engine.ids[0] == []


class BlockwiseEngine(FakeEngine):
    """Can only go back to every eighth position, as recurrent models do."""

    def truncate(self, slot: int, length: int) -> int:
        held = self.length(slot)
        return super().truncate(slot, length if length >= held else length // 8 * 8)


@pytest.mark.slow
@law
@given(data=st.data())
def test_an_engine_that_keeps_less_than_asked_gives_the_same(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt = data.draw(prompts(tokenizer))
    blockwise = BlockwiseEngine(tiny.VOCAB_SIZE, n_slots=2, max_len=MAX_LEN)
    slot = holding(blockwise, [*prompt.ids[: data.draw(st.integers(0, 20))], 3, 4])
    run = Run(blockwise, tokenizer, prompt, STOP, slot=slot, drafts=((5, 6, 7),)).finish()
    assert (run.ids, run.reason) == plain_greedy(engine(), tokenizer, prompt, STOP)
    assert_true(slot, blockwise)


def test_counts_say_what_was_kept_fed_and_drafted(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tiny.some_ids(40))
    expected = plain_greedy(engine(), tokenizer, prompt, STOP)[0]
    slot_engine = engine()
    slot = holding(slot_engine, prompt.ids[:35])
    run = Run(slot_engine, tokenizer, prompt, STOP, slot=slot, drafts=(tuple(expected),)).finish()
    stats = run.stats
    assert (stats.n_keep, stats.n_feed, stats.n_generated) == (35, 5, len(expected))
    assert stats.accepted["stale"] == stats.drafted["stale"] > 0
    assert stats.n_forwards + stats.accepted["stale"] in (len(expected), len(expected) + 1)
    assert 0 < stats.ttft_ms <= stats.prefill_ms + stats.decode_ms


def test_tokens_are_handed_out_with_each_forward(tokenizer: Tokenizer) -> None:
    run = Run(engine(), tokenizer, prompt_of(tokenizer, tiny.some_ids(8)), StopRule(max_tokens=4, single_line=False))
    counts = []
    while run.step():
        counts.append(len(run.ids))
    assert (counts, run.reason) == ([1, 2, 3], "length")

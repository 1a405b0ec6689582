"""What every StepEngine promises (completer.engines.base), asked of each of them on a tiny model."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from completer.engines.base import Logits, StepEngine
from completer.engines.measure import WIDTHS, measure_costs
from completer.errors import ContextOverflow, EngineClosed
from completer.generate.scheduler import LocalGenerator
from completer.generate.slots import Slot
from completer.tokens.tokenizer import Tokenizer
from completer.types import Request, StopRule
from tests import tiny
from tests.contract.step_builders import MAX_LEN, N_SLOTS, NAMES, builder
from tests.law import Receiver, Run, prompt_of, submit

IDS = tiny.some_ids(60)
OTHER = tiny.some_ids(60, seed=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest, folder: Path) -> StepEngine:
    return builder(request.param, folder)()


def fed(engine: StepEngine, slot: int, ids: list[int], n_logits: int) -> Logits:
    """Return a copy of the logits: the engine may use their memory again."""
    return engine.forward(slot, ids, n_logits).copy()


def assert_same(logits: Logits, expected: Logits) -> None:
    """Sums in another order may put an 8-bit activation on the next level; a wrong position is off by two units on average."""
    assert logits.shape == expected.shape
    assert np.abs(logits - expected).sum() <= 0.1 * logits.size


def test_it_is_a_step_engine_of_the_sizes_that_it_names(engine: StepEngine) -> None:
    assert isinstance(engine, StepEngine)
    assert engine.n_slots >= N_SLOTS
    assert (engine.max_len, engine.vocab_size) == (MAX_LEN, tiny.VOCAB_SIZE)
    assert [engine.length(slot) for slot in range(N_SLOTS)] == [0] * N_SLOTS
    logits = engine.forward(0, IDS, 2)
    assert logits.dtype == np.float32
    assert logits.shape == (2, tiny.VOCAB_SIZE)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("k", [0, 1, 2, 5, 9])
def test_the_last_k_rows_equal_k_single_forwards(engine: StepEngine, k: int) -> None:
    engine.forward(0, IDS[: 60 - k], 0)
    singles = [fed(engine, 0, [id_], 1)[0] for id_ in IDS[60 - k :]]
    together = fed(engine, 1, IDS, k)
    assert engine.length(0) == engine.length(1) == 60
    assert_same(together, np.array(singles, np.float32).reshape(k, engine.vocab_size))


def test_a_prefill_leaves_what_a_forward_leaves(engine: StepEngine) -> None:
    # An engine may prefill with other weights than it decodes with, so the laws below prefill on both sides.
    for _ in engine.prefill(0, IDS):
        pass
    assert engine.length(0) == 60
    logits = fed(engine, 0, OTHER[:8], 8)
    engine.forward(1, IDS, 0)
    exact = fed(engine, 1, OTHER[:8], 8)
    cosine = (logits * exact).sum(-1) / np.linalg.norm(logits, axis=-1) / np.linalg.norm(exact, axis=-1)
    assert np.median(cosine) > 0.9


def test_an_empty_prefill_changes_nothing(engine: StepEngine) -> None:
    engine.forward(0, IDS, 0)
    assert list(engine.prefill(0, [])) == []
    assert engine.length(0) == 60


def test_truncating_then_appending_equals_a_fresh_slot(engine: StepEngine) -> None:
    fresh = fed(engine, 1, IDS, 20)
    engine.forward(0, [*IDS[:40], *OTHER], 1)
    assert engine.truncate(0, 40) == engine.length(0) == 40
    assert_same(fed(engine, 0, IDS[40:], 20), fresh)


def test_truncating_behind_the_end_keeps_all(engine: StepEngine) -> None:
    engine.forward(0, IDS, 0)
    assert engine.truncate(0, 200) == engine.length(0) == 60
    assert engine.truncate(0, 0) == engine.length(0) == 0


def test_slots_do_not_know_of_each_other(engine: StepEngine) -> None:
    alone = fed(engine, 0, IDS, 60)
    engine.truncate(0, 0)
    for start in range(0, 60, 10):
        rows = fed(engine, 0, IDS[start : start + 10], 10)
        fed(engine, 1, OTHER[start : start + 10], 10)
        assert_same(rows, alone[start : start + 10])


def test_a_copy_goes_on_like_its_source_and_leaves_it_alone(engine: StepEngine) -> None:
    fresh = fed(engine, 0, IDS, 20)
    engine.forward(2, OTHER, 0)
    engine.copy(0, 2, 40)
    assert (engine.length(0), engine.length(2)) == (60, 40)
    assert_same(fed(engine, 2, IDS[40:], 20), fresh)
    engine.truncate(0, 40)
    assert_same(fed(engine, 0, IDS[40:], 20), fresh)


def test_an_abandoned_prefill_leaves_the_slot_at_a_length_that_is_true(engine: StepEngine) -> None:
    ids = tiny.some_ids(280, seed=4)
    for _ in engine.prefill(1, ids):
        pass
    whole = fed(engine, 1, OTHER[:4], 4)
    for n_pieces in (0, 1, 2, 3, 5):
        engine.truncate(0, 0)
        work = engine.prefill(0, ids)
        for _ in range(n_pieces):
            next(work)
        work.close()  # type: ignore[attr-defined]
        held = engine.length(0)
        assert 0 <= held < 280
        for _ in engine.prefill(0, ids[held:]):
            pass
        assert_same(fed(engine, 0, OTHER[:4], 4), whole)


def test_other_slots_work_between_the_pieces_of_a_prefill(engine: StepEngine) -> None:
    ids = tiny.some_ids(200, seed=4)
    for _ in engine.prefill(1, ids):
        pass
    whole = fed(engine, 1, OTHER[:4], 4)
    for n, _ in enumerate(engine.prefill(0, ids)):
        engine.forward(2, [n], 1)
    assert_same(fed(engine, 0, OTHER[:4], 4), whole)


def test_overflow_raises_and_leaves_the_slot_unchanged(engine: StepEngine) -> None:
    fresh = fed(engine, 1, IDS, 1)
    engine.forward(0, IDS[:-1], 0)
    too_many = tiny.some_ids(MAX_LEN - 58)
    with pytest.raises(ContextOverflow):
        engine.forward(0, too_many, 1)
    with pytest.raises(ContextOverflow):
        next(iter(engine.prefill(0, too_many)))
    assert engine.length(0) == 59
    assert_same(fed(engine, 0, IDS[-1:], 1), fresh)


def test_a_slot_can_be_filled_to_its_last_position(engine: StepEngine) -> None:
    for _ in engine.prefill(0, tiny.some_ids(MAX_LEN - 1)):
        pass
    assert np.isfinite(engine.forward(0, [1], 1)).all()
    assert engine.length(0) == MAX_LEN
    with pytest.raises(ContextOverflow):
        engine.forward(0, [1], 1)


def test_a_closed_engine_says_so(engine: StepEngine) -> None:
    engine.close()
    with pytest.raises(EngineClosed):
        engine.forward(0, IDS, 1)


def test_its_costs_can_be_measured(engine: StepEngine) -> None:
    costs = measure_costs(engine, repeats=1)
    assert sorted(costs.forward_ms) == list(WIDTHS)
    assert costs.cost(1) > 0
    assert engine.length(0) == 0


def test_warm_slots_and_drafts_give_what_a_cold_slot_gives(engine: StepEngine, tokenizer: Tokenizer) -> None:
    stop = StopRule(max_tokens=10, single_line=False)
    n_equal = 0
    for seed in range(20):
        prompt = prompt_of(tokenizer, tiny.some_ids(40, seed=seed), n_heal=1)
        engine.truncate(0, 0)
        cold = Run(engine, tokenizer, prompt, stop).finish()
        # The prefix goes the same way into the slot: some engines prefill with other weights than they decode with.
        engine.truncate(1, 0)
        for _ in engine.prefill(1, prompt.ids[:38]):
            pass
        engine.forward(1, OTHER[:20], 0)
        slot = Slot(engine, 1, [*prompt.ids[:38], *OTHER[:20]])
        wrong_at_last = (*cold.ids[:6], 1, 2)
        warm = Run(engine, tokenizer, prompt, stop, slot=slot, drafts=(wrong_at_last,)).finish()
        assert len(warm.slot.ids) == engine.length(1)
        n_equal += (warm.ids, warm.reason) == (cold.ids, cold.reason)
    # Real kernels add in another order when they are fed otherwise: a choice between equals may fall the other way.
    assert n_equal == 20 if engine.name == "fake" else n_equal >= 18


def test_a_decode_that_is_cancelled_anywhere_leaves_a_slot_that_the_next_request_can_use(
    engine: StepEngine, tokenizer: Tokenizer
) -> None:
    stop = StopRule(max_tokens=8, single_line=False)
    prompt = prompt_of(tokenizer, IDS[:40], n_heal=1)
    whole = Run(engine, tokenizer, prompt, stop).finish()
    n_equal = n_cancelled = 0
    for n_steps in range(1, 6):
        engine.truncate(1, 0)
        cancelled = Run(engine, tokenizer, prompt, stop, slot=Slot(engine, 1), drafts=((1, 2, 3),))
        for _ in range(n_steps):
            cancelled.step()
        cancelled.steps.close()
        n_cancelled += cancelled.reason is None
        assert len(cancelled.slot.ids) == engine.length(1)
        again = Run(engine, tokenizer, prompt, stop, slot=cancelled.slot).finish()
        n_equal += (again.ids, again.reason) == (whole.ids, whole.reason)
    assert n_cancelled >= 3
    assert n_equal == 5 if engine.name == "fake" else n_equal >= 4


def test_requests_from_many_threads_get_the_answers_that_they_get_alone(engine: StepEngine, tokenizer: Tokenizer) -> None:
    stop = StopRule(max_tokens=6, single_line=False)
    n_requests = 2 * N_SLOTS  # some of them wait for a slot
    prompts = [prompt_of(tokenizer, tiny.some_ids(30, seed=seed), n_heal=1) for seed in range(n_requests)]
    requests = [Request(i, f"file{i}", prompt, stop) for i, prompt in enumerate(prompts, start=1)]
    generator = LocalGenerator(engine, tokenizer)
    try:
        alone = [submit(generator, request).wait().ids for request in requests]
        together: dict[int, Receiver] = {}

        def ask(request: Request) -> None:
            together[request.id] = submit(generator, request).wait()

        threads = [threading.Thread(target=ask, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        generator.close()
    assert all(len(receiver.reasons) == 1 for receiver in together.values())
    n_equal = sum(together[request.id].ids == ids for request, ids in zip(requests, alone, strict=True))
    assert n_equal >= (n_requests if engine.name == "fake" else n_requests - 1)


def test_a_character_that_is_split_over_tokens_is_healed_to_its_last_byte(engine: StepEngine, tokenizer: Tokenizer) -> None:
    text = "print('😀"
    ids = tokenizer.encode(text)
    assert tokenizer.text_of(ids[:-1]) != text, "the test needs a character of several tokens"
    for n_heal in (1, 2, 3):
        engine.truncate(0, 0)
        prompt = prompt_of(tokenizer, ids, n_heal)
        answer = Run(engine, tokenizer, prompt, StopRule(max_tokens=n_heal + 4, single_line=False)).finish()
        written = tokenizer.bytes_of([*ids[: len(ids) - n_heal], *answer.ids])
        assert written.startswith(text.encode())

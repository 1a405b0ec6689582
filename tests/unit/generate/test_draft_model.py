"""A draft model never changes the output, only its cost: the law, and how it keeps its own slots."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.engines.base import CostCurve, Logits
from completer.errors import ConfigError, EngineError
from completer.generate.drafts.draft_model import PRIOR_RATE, DraftModel
from completer.generate.scheduler import LocalGenerator
from completer.generate.slots import PREFILL_FROM
from completer.tokens.tokenizer import Tokenizer
from completer.types import Request, StopRule
from tests import tiny
from tests.examples import examples
from tests.fake_engine import FakeEngine
from tests.law import Run, plain_greedy, prompt_of, submit

MAX_LEN = 128
TARGET = CostCurve({1: 10.0, 16: 12.0}, 1.0)
QUICK = CostCurve({1: 0.5, 16: 0.6}, 0.05)
law = examples(100)


class OtherModel(FakeEngine):
    """Another model of the same vocabulary: agrees with the fake engine at about two places in three."""

    def logits_after(self, ids: Sequence[int]) -> Logits:
        logits = super().logits_after(ids)
        return logits if sum(ids) % 3 else logits[::-1].copy()


def large() -> FakeEngine:
    engine = FakeEngine(tiny.VOCAB_SIZE, n_slots=2, max_len=MAX_LEN)
    engine.costs = TARGET
    return engine


def draft(
    tokenizer: Tokenizer, kind: type[FakeEngine] = OtherModel, costs: CostCurve = QUICK, max_len: int = MAX_LEN
) -> DraftModel:
    engine = kind(tiny.VOCAB_SIZE, n_slots=2, max_len=max_len)
    engine.costs = costs
    return DraftModel(engine, tokenizer)


def held(model: DraftModel) -> list[list[int]]:
    """Return what the slots of a draft model hold, having checked that it knows it."""
    assert isinstance(model.engine, FakeEngine)
    assert [slot.ids for slot in model._slots] == model.engine.ids
    return model.engine.ids


@law
@given(data=st.data())
def test_speculation_with_a_draft_model_equals_greedy_to_the_last_bit(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = tiny.some_ids(data.draw(st.integers(2, MAX_LEN)), seed=data.draw(st.integers(0, 1000)))
    prompt = prompt_of(tokenizer, ids, data.draw(st.integers(0, min(2, len(ids) - 1))))
    stop = StopRule(max_tokens=data.draw(st.integers(1, 24)), single_line=data.draw(st.booleans()), end_ids=tokenizer.fim.end)
    plain = Run(large(), tokenizer, prompt, stop).finish()
    model = draft(
        tokenizer, data.draw(st.sampled_from([FakeEngine, OtherModel])), max_len=data.draw(st.sampled_from([40, MAX_LEN]))
    )
    if data.draw(st.booleans()):
        list(model.catch_up(prompt.ids))
    drafted = Run(large(), tokenizer, prompt, stop, draft_model=model).finish()
    assert (drafted.tokens, drafted.reason) == (plain.tokens, plain.reason)
    assert (plain.ids, plain.reason) == plain_greedy(large(), tokenizer, prompt, stop)
    assert drafted.stats.n_forwards <= plain.stats.n_forwards
    held(model)


def test_a_draft_model_that_agrees_saves_forwards(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tiny.some_ids(40, seed=5), 1)
    stop = StopRule(max_tokens=24, single_line=False)
    plain = Run(large(), tokenizer, prompt, stop).finish()
    model = draft(tokenizer, FakeEngine)
    list(model.catch_up(prompt.ids))
    drafted = Run(large(), tokenizer, prompt, stop, draft_model=model).finish()
    assert drafted.stats.n_forwards * 2 <= plain.stats.n_forwards
    # Not all: it stops by itself where it is unsure, at ends and at line breaks.
    assert drafted.stats.accepted["model"] == drafted.stats.drafted["model"] > 0


def test_healed_bytes_bind_the_draft_model_too(tokenizer: Tokenizer) -> None:
    for seed in range(200):
        ids = [seed, *tokenizer.encode("    total += it")]
        pending = tokenizer.bytes_of(ids[-1:])
        model = draft(tokenizer)
        list(model.catch_up(ids[:-1]))
        proposed = model.propose(ids[:-1], pending, 1, 6, TARGET)
        text = tokenizer.bytes_of(proposed)
        assert text.startswith(pending) or pending.startswith(text)


def test_what_costs_more_than_it_saves_is_not_drafted(tokenizer: Tokenizer) -> None:
    model = draft(tokenizer, FakeEngine, costs=TARGET)
    ids = tiny.some_ids(40)
    list(model.catch_up(ids))
    assert model.propose(ids, b"", 1, 8, TARGET) == []


def test_a_slot_far_behind_is_not_caught_up_while_a_key_waits(tokenizer: Tokenizer) -> None:
    model = draft(tokenizer, FakeEngine)
    ids = tiny.some_ids(60)
    assert model.propose(ids, b"", 1, 8, TARGET) == []
    assert held(model) == [[], []]
    assert model.missing_ms(ids) == pytest.approx(60 * QUICK.prefill_ms_per_token)
    list(model.catch_up(ids[:-PREFILL_FROM]))
    assert model.propose(ids, b"", 1, 8, TARGET) != []


def test_bad_drafts_end_and_come_back(tokenizer: Tokenizer) -> None:
    model = draft(tokenizer, FakeEngine, costs=CostCurve({1: 4.0, 16: 5.0}, 0.05))
    ids = tiny.some_ids(40)
    list(model.catch_up(ids))
    n_wrong = 0
    while model.propose(ids, b"", 1, 1, TARGET):
        model.record(0)
        n_wrong += 1
        assert n_wrong < 100
    assert n_wrong > 0
    assert model._rate < PRIOR_RATE
    assert any(model.propose(ids, b"", 1, 1, TARGET) for _ in range(500))


def test_a_key_may_take_over_a_slot_that_is_being_caught_up(tokenizer: Tokenizer) -> None:
    model = draft(tokenizer, FakeEngine)
    ids = tiny.some_ids(100)
    idle = model.catch_up(ids)
    for _ in range(3):
        next(idle)
    n_held = max(map(len, held(model)))
    assert 0 < n_held < 100
    assert model.propose(ids[: n_held + 2], b"", 1, 4, TARGET)
    assert list(idle) == []
    held(model)


def test_two_documents_keep_a_slot_each(tokenizer: Tokenizer) -> None:
    model = draft(tokenizer, FakeEngine)
    one, other = tiny.some_ids(60, seed=1), tiny.some_ids(60, seed=2)
    for ids in (one, other, one, other):
        list(model.catch_up(ids))
    assert sorted(held(model)) == sorted([one, other])
    assert isinstance(model.engine, FakeEngine)
    assert sum(call.n for call in model.engine.calls if call.name == "prefill") == 120


class Broken(FakeEngine):
    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        super().forward(slot, ids, n_logits)
        raise EngineError("the device is gone")


def test_a_failing_draft_model_empties_its_slot(tokenizer: Tokenizer) -> None:
    model = draft(tokenizer, Broken)
    ids = tiny.some_ids(40)
    list(model.catch_up(ids))
    with pytest.raises(EngineError, match="gone"):
        model.propose(ids, b"", 1, 4, TARGET)
    assert held(model) == [[], []]


def test_the_generator_reads_prompts_ahead_for_its_draft_model(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tiny.some_ids(60), 1)
    stop = StopRule(max_tokens=12, single_line=False)
    expected = plain_greedy(large(), tokenizer, prompt, stop)
    small = FakeEngine(tiny.VOCAB_SIZE, n_slots=2, max_len=MAX_LEN)
    small.costs = QUICK
    generator = LocalGenerator(large(), tokenizer, small)
    try:
        cold = submit(generator, Request(1, "a", prompt, StopRule(max_tokens=1))).wait()
        assert "model" not in cold.stats.drafted
        submit(generator, Request(2, "a", prompt, StopRule(max_tokens=0), priority=2)).wait()
        warm = submit(generator, Request(3, "a", prompt, stop)).wait()
    finally:
        generator.close()
    assert (warm.ids, warm.reasons) == (expected[0], [expected[1]])
    assert warm.stats.accepted["model"] > 0
    assert small._closed


def test_another_vocabulary_is_refused_with_the_mend(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    from completer import assemble as loader
    from completer.config import Settings

    small = FakeEngine(tiny.VOCAB_SIZE)
    other = SimpleNamespace(engine=small, tokenizer=SimpleNamespace(token_bytes=[b"x"]), model="small")
    monkeypatch.setattr(loader, "model_files", lambda settings, *_: settings.model)
    monkeypatch.setattr(loader, "load", lambda files, settings, progress: other)
    loaded = SimpleNamespace(engine=large(), tokenizer=tokenizer, model="large")
    with pytest.raises(ConfigError, match="small has another vocabulary than large: choose"):
        loader.load_draft(loaded, Settings(draft_model="small"), lambda *_: None)  # type: ignore[arg-type]
    assert small._closed

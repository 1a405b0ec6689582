"""Evidence against the model's choice: what decides, and that no shortcut changes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.engines.base import Logits
from completer.generate.evidence import Expected, agrees, expected_of, weigh
from completer.generate.known_rows import KnownRows
from completer.generate.slots import Slot
from completer.tokens.tokenizer import Tokenizer
from completer.types import Evidence, StopRule, Token
from tests import tiny
from tests.examples import examples
from tests.fake_engine import FakeEngine
from tests.law import Run, prompt_of

STOP = StopRule(max_tokens=12, single_line=True)
TEXT = "class Printer:\n    def print_all(self):\n        total = pri"


class Torn(FakeEngine):
    """Gives the evidence's next token a probability of its own, and another token all the rest."""

    def __init__(self, tokenizer: Tokenizer, right: str, prob: float) -> None:
        super().__init__(tiny.VOCAB_SIZE, n_slots=2, max_len=128)
        self._right, self._prob, self._tokenizer = tokenizer.encode(right), prob, tokenizer

    def logits_after(self, ids: Sequence[int]) -> Logits:
        row = np.full(self.vocab_size, -30.0, np.float32)
        row[self._tokenizer.encode("x")[0]] = math.log(max(1.0 - self._prob, 1e-9))
        n = next((n for n in range(len(self._right), 0, -1) if list(ids[-n:]) == self._right[:n]), 0)
        row[self._right[n % len(self._right)]] = math.log(self._prob)
        return row


def written(tokenizer: Tokenizer, prob: float, log_odds: float) -> tuple[str, list[float]]:
    """Return what is generated where the model gives the evidence this probability, and how likely that is said to be."""
    prompt = prompt_of(tokenizer, tokenizer.encode(TEXT))
    run = Run(Torn(tokenizer, "nt(items)\n", prob), tokenizer, prompt, STOP, evidence=Evidence(b"nt(items)\n", log_odds))
    return tokenizer.text_of(run.finish().ids), [token.prob for token in run.tokens]


def test_the_evidence_is_taken_where_the_model_allows_it_and_not_where_it_is_sure_of_something_else(tokenizer: Tokenizer) -> None:
    assert written(tokenizer, 0.2, 1.6)[0] == "nt(items)\n"
    assert written(tokenizer, 0.0001, 1.6)[0].startswith("x")


def test_trusted_evidence_overrules_more(tokenizer: Tokenizer) -> None:
    assert written(tokenizer, 0.004, 1.6)[0].startswith("x")
    assert written(tokenizer, 0.004, 3.0)[0].startswith("nt(")


def test_what_both_say_is_surer_than_what_either_says_and_what_they_dispute_is_less(tokenizer: Tokenizer) -> None:
    def first(prob: float, log_odds: float) -> float:
        return written(tokenizer, prob, log_odds)[1][0]

    assert first(0.7, 1.6) > max(0.7, 1 / (1 + math.exp(-1.6)))
    assert first(0.2, 1.6) < 1 / (1 + math.exp(-1.6))
    assert 0.5 < first(0.0001, 1.6) < 0.9999


@examples(200)
@given(st.data())
def test_a_probability_stays_one(tokenizer: Tokenizer, data: st.DataObject) -> None:
    row = np.random.default_rng(data.draw(st.integers(0, 10_000))).normal(0, 20, tiny.VOCAB_SIZE).astype(np.float32)
    best = int(row[: tokenizer.vocab_size].argmax())
    prob = float(1.0 / np.exp(row[: tokenizer.vocab_size] - row[best]).sum())
    text = data.draw(st.sampled_from((b"\n", b"a", b"print(x)\n", "ü".encode(), "ü".encode()[1:])))
    pending = data.draw(st.sampled_from((b"", b"pr", b"\xc3")))
    token = weigh(
        Token(best, prob), row, pending, Expected(text, data.draw(st.floats(-5, 5)), 1.0, data.draw(st.booleans())), tokenizer
    )
    assert token is not None and 0.0 <= token.prob <= 1.0
    assert token.id == best or (pending + text).startswith(tokenizer.token_bytes[token.id])


@pytest.mark.parametrize(
    ("token", "text", "right"), [("a", b"ab\n", True), ("a", b"b\n", False), ("\n", b"\n", True), ("a", b"", True)]
)
def test_a_token_agrees_that_begins_the_evidence(tokenizer: Tokenizer, token: str, text: bytes, right: bool) -> None:
    assert agrees(tokenizer.encode(token)[0], text, tokenizer) == (right if text else False)


def test_the_end_agrees_with_a_line_that_ends(tokenizer: Tokenizer) -> None:
    end = min(tokenizer.fim.end)
    assert [agrees(end, text, tokenizer) for text in (b"\n", b"", b"x\n")] == [True, True, False]


@examples(100)
@given(st.data())
def test_drafts_known_rows_and_a_warm_slot_change_nothing(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = tokenizer.encode(TEXT)
    prompt = prompt_of(tokenizer, ids, data.draw(st.integers(0, 2)))
    line = data.draw(st.sampled_from(("nt(items)\n", "nt_all()\n", "\n", "nt, größe\n")))
    evidence = Evidence(line.encode(), data.draw(st.floats(0, 6)))
    cold = Run(engine(), tokenizer, prompt, STOP, evidence=evidence).finish()
    drafts = (tuple(tokenizer.encode(prompt.heal_bytes.decode() + line)), tuple(cold.ids))
    shared, rows = engine(), KnownRows(tiny.VOCAB_SIZE)
    slot = Slot(shared, 0)
    Run(shared, tokenizer, prompt, STOP, slot=slot, rows=rows).finish()
    warm = Run(shared, tokenizer, prompt, STOP, slot=slot, rows=rows, drafts=drafts, evidence=evidence).finish()
    assert (warm.tokens, warm.reason) == (cold.tokens, cold.reason)


def test_without_evidence_nothing_changes(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tokenizer.encode(TEXT))
    plain = Run(engine(), tokenizer, prompt, STOP).finish()
    used_up = Run(engine(), tokenizer, prompt, STOP, evidence=Evidence(b"", 3.0)).finish()
    assert used_up.tokens == plain.tokens


def engine() -> FakeEngine:
    return FakeEngine(tiny.VOCAB_SIZE, n_slots=2, max_len=128)


def test_what_is_within_the_noise_is_left_to_a_forward_without_any(tokenizer: Tokenizer) -> None:
    row = np.full(tiny.VOCAB_SIZE, -30.0, np.float32)
    x, a = tokenizer.encode("x")[0], tokenizer.encode("a")[0]
    row[x], row[a] = 0.0, -4.0  # exactly as far apart as 1.6 / MODEL_WEIGHT
    expected = Expected(b"a\n", 1.6)
    assert weigh(Token(x, 0.98), row, b"", expected, tokenizer, noise=0.2) is None
    assert weigh(Token(x, 0.98), row, b"", expected, tokenizer) is not None


def test_where_the_model_indents_the_line_what_follows_the_white_space_counts(tokenizer: Tokenizer) -> None:
    prompt = prompt_of(tokenizer, tokenizer.encode("def print_all(self):\n"))
    run = Run(Torn(tokenizer, "    return x\n", 0.6), tokenizer, prompt, STOP)
    plain = run.finish()
    evidence = Evidence(b"return x\n", 3.0, 1.4, may_indent=True)
    helped = Run(Torn(tokenizer, "    return x\n", 0.6), tokenizer, prompt, STOP, evidence=evidence).finish()
    assert tokenizer.text_of(helped.ids) == tokenizer.text_of(plain.ids) == "    return x\n"
    assert all(with_it.prob >= without.prob for with_it, without in zip(helped.tokens, plain.tokens, strict=True))
    assert helped.tokens[-1].prob > plain.tokens[-1].prob


def test_the_first_token_has_odds_of_its_own(tokenizer: Tokenizer) -> None:
    assert [expected_of(Evidence(b"ab\n", 3.0, 1.4)).after(new).log_odds for new in (b"a", b"ab")] == [3.0, 3.0]
    assert expected_of(Evidence(b"ab\n", 3.0, 1.4)).log_odds == 1.4
    assert expected_of(Evidence(b"ab\n", 3.0)).log_odds == 3.0
    assert expected_of(None).text == b""

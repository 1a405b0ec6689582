"""Why nothing is suggested, in one sentence; and an explanation without texts holds none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from completer.complete.explanation import Explanation, explain
from completer.complete.open_document import LastAnswer
from completer.complete.pipeline import Pipeline
from completer.complete.question import Question
from completer.complete.quiet import Quiet
from completer.complete.site import Site
from completer.complete.trace import Trace
from completer.config import Settings
from completer.prompt.prompt import Window, build_prompt, set_anchor
from completer.suggest.confidence import TokenSpan
from completer.suggest.entries import Entry, Hit
from completer.syntax.cursor import cursor_context
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, Snapshot, Stats
from tests.by_hand import ByHand, model_of, snap, turn

HERE = snap("total = 1\nx = ‸\n")
SURE = Settings(confidence=0.0)


def answer_of(
    tokenizer: Tokenizer,
    text: str,
    reason: FinishReason | None = "end",
    *,
    probs: Sequence[float] = (),
    settings: Settings = SURE,
    here: Snapshot = HERE,
) -> LastAnswer:
    """Return an answer whose output is `text`. probs: of its first tokens; the others are certain."""
    cursor = cursor_context(here)
    anchor = set_anchor(here, Window(100, 100, full=False), tokenizer)
    typed = anchor.typed(here)
    site = Site(here, cursor, None, anchor, typed, build_prompt(anchor, typed, tokenizer))
    question = Question(here, cursor, settings, Trace(1, here.uri, here.version, answered_by="cold"))
    ids = tokenizer.encode(text)
    ends = [len(tokenizer.text_of(ids[: n + 1])) for n in range(len(ids))]
    spans = [TokenSpan(end, prob) for end, prob in zip(ends, [*probs, *[1.0] * len(ids)], strict=False)]
    entry = Entry(anchor.number, typed, 1, text=text, ids=ids, spans=spans, reason=reason, stats=Stats(n_keep=9, n_feed=3))
    return LastAnswer(question, site, Hit(entry, 0), None)


def why(tokenizer: Tokenizer, text: str, reason: FinishReason | None = "end", **more: object) -> str:
    return explain(answer_of(tokenizer, text, reason, **more), tokenizer).why  # type: ignore[arg-type]


def test_a_suggestion_that_is_shown_needs_no_reason(tokenizer: Tokenizer) -> None:
    found = explain(answer_of(tokenizer, "total + 1"), tokenizer)
    assert (found.why, found.shown, found.raw, found.steps) == ("", "total + 1", "total + 1", [])
    assert (found.prompt["window"], found.prompt["typed"], found.prompt["keep"], found.prompt["feed"]) == ("small", "x = ", 9, 3)
    assert (found.generation["answered by"], found.generation["ended by"]) == ("cold", "end")
    assert (found.cursor["language"], found.cursor["kind"]) == ("python", "expression")


def test_each_token_comes_with_its_probability_and_that_of_the_line_so_far(tokenizer: Tokenizer) -> None:
    found = explain(answer_of(tokenizer, "total", probs=(0.5, 0.5)), tokenizer)
    assert "".join(text for text, _, _ in found.words) == "total"
    assert [(prob, joint) for _, prob, joint in found.words][:2] == [(0.5, 0.5), (0.5, 0.25)][: len(found.words)]


@pytest.mark.parametrize("reason", [None, "cancelled"])
def test_nothing_generated_in_time(tokenizer: Tokenizer, reason: FinishReason | None) -> None:
    assert why(tokenizer, "", reason) == "the model had written nothing when the budget was used up"


def test_a_model_that_ends_at_once(tokenizer: Tokenizer) -> None:
    assert why(tokenizer, "", "end") == "the model ended at once (end)"


def test_an_engine_that_failed(tokenizer: Tokenizer) -> None:
    assert why(tokenizer, "", "error").startswith("the engine failed")


def test_a_first_word_that_is_not_sure_enough(tokenizer: Tokenizer) -> None:
    unsure = why(tokenizer, "total + 1", probs=(0.001,), settings=Settings(confidence=0.3))
    assert unsure == "the model is not sure enough of its first word (setting confidence)"


@pytest.mark.parametrize(
    ("marked", "text", "stage"),
    [
        ("total = 1\nx = ‸\n", "<|endoftext|>", "special tokens"),
        ("total = 1\n‸\n", "```", "code fence"),
        ("total = 1\n‸\n", "total = 1", "worth showing"),  # the line above once more
        ("def f():\n    ‸\n    return value\n", "return value", "lines that follow anyway"),
        ("x = ‸\n", ")", "brackets"),
        ('x = "‸"\n', '"', "end of the literal"),
    ],
)
def test_the_step_that_left_nothing_is_named(tokenizer: Tokenizer, marked: str, text: str, stage: str) -> None:
    assert why(tokenizer, text, here=snap(marked)) == f"nothing was left after the step '{stage}'"


def test_a_word_that_may_go_on_leaves_nothing_either(tokenizer: Tokenizer) -> None:
    assert why(tokenizer, "zzz", None) == "nothing was left after the step 'clean end'"


def test_the_steps_tell_what_was_removed(tokenizer: Tokenizer) -> None:
    found = explain(answer_of(tokenizer, "total<|endoftext|>"), tokenizer)
    assert [(step.stage, step.text) for step in found.steps] == [("special tokens", "total")]


def test_without_texts_no_text_is_left(tokenizer: Tokenizer) -> None:
    here = snap("~~~ = 1\nx = ~~ ~‸\n")
    answer = answer_of(tokenizer, "~~~ ~ ~~<|endoftext|>~~~", here=here, probs=(0.5, 0.2))
    for shown in (answer, replace(answer, hit=Hit(answer.hit.entry, 2))):
        whole = explain(shown, tokenizer)
        bare = whole.without_texts()
        assert json.dumps(whole.as_dict()).count("~") > 20
        assert "~" not in json.dumps(bare.as_dict())
        assert (bare.why, bare.generation, bare.cursor) == (whole.why, whole.generation, whole.cursor)
        assert [numbers for _, *numbers in bare.words] == [numbers for _, *numbers in whole.words]
    assert bare.raw == f"<{len(answer.hit.entry.text)} characters>"


def test_without_texts_what_was_empty_stays_so(tokenizer: Tokenizer) -> None:
    assert explain(answer_of(tokenizer, "", None), tokenizer).without_texts().shown == ""


async def explained(
    tokenizer: Tokenizer, snapshot: Snapshot, settings: Settings, *, leaves: bool = False
) -> Explanation | Quiet | str:
    made = Pipeline(model_of(ByHand(tokenizer), tokenizer, leaves_machine=leaves), settings)
    made.did_open(snapshot)
    await made.complete(snapshot, explicit=False)
    found = made.explain(snapshot.uri)
    (trace,) = made.metrics()
    assert trace["reason"] == (found.reason if isinstance(found, Quiet) else "")
    await made.close()
    return found


@pytest.mark.parametrize(
    ("marked", "changes", "reason"),
    [
        ("tot‸al = 1\n", {}, "off: inside a word"),
        ("x = ‸\n", {"disabled_languages": ("python",)}, "off: language 'python'"),
        ("x = ‸\n", {"disabled_files": ("b", "a*")}, "off: file pattern 'a*'"),
        ("# @generated by a program\nx = ‸\n", {}, "off: generated file '@generated'"),
        ("x = 1  # the first ‸\n", {"disabled_scopes": ("comment",)}, "off: comment"),
        ("x = 'the first ‸'\n", {"disabled_scopes": ("string",)}, "off: string"),
        ("x = ‸\n", {"mode": "on_request"}, "off: on request only"),
        (f'token = "ghp_{"a1B2" * 10}"\nx = ‸\n', {}, "off: secret"),
    ],
)
async def test_a_place_where_the_model_is_not_asked_has_its_reason(
    tokenizer: Tokenizer, marked: str, changes: dict[str, Any], reason: str
) -> None:
    found = await explained(tokenizer, snap(marked), replace(Settings(budget_ms=1), **changes), leaves=True)
    assert isinstance(found, Quiet) and found.reason == reason and found.why


async def test_a_place_that_no_rule_keeps_quiet_has_no_reason(tokenizer: Tokenizer) -> None:
    settings = Settings(budget_ms=1, disabled_scopes=("comment", "string"), disabled_files=("*.py",), after_deletion="off")
    assert isinstance(await explained(tokenizer, snap("x = f'{y}' + ‸\n"), settings), Explanation)


async def test_on_this_machine_a_secret_does_not_keep_the_model_from_being_asked(tokenizer: Tokenizer) -> None:
    found = await explained(tokenizer, snap(f'token = "ghp_{"a1B2" * 10}"\nx = ‸\n'), Settings(budget_ms=1))
    assert isinstance(found, Explanation) and "when the budget was used up" in found.why


async def test_before_a_request_there_is_nothing_to_explain(tokenizer: Tokenizer) -> None:
    made = Pipeline(model_of(ByHand(tokenizer), tokenizer), SURE)
    assert made.explain("file:///a") == "the document is not open"
    made.did_open(HERE)
    assert made.explain(HERE.uri) == "nothing was requested here yet"
    await turn()
    await made.close()

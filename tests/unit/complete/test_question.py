"""How long a question waits: to its soft deadline for the first clean piece, to its deadline for the whole line."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from completer.complete.generations import Generations
from completer.complete.question import MARGIN_MS, SOFT_SHARE, Question
from completer.complete.site import Site
from completer.complete.timeline import Timeline
from completer.complete.trace import Trace
from completer.config import Settings
from completer.prompt.prompt import Window, build_prompt, set_anchor
from completer.suggest.entries import Entry, Hit
from completer.syntax.cursor import cursor_context
from completer.tokens.tokenizer import Tokenizer
from completer.types import Replacement, Stats, StopRule
from tests.by_hand import ByHand, snap, turn

SNAPSHOT = snap("total = 1\nx = ‸\n")
SETTINGS = Settings(budget_ms=400, explicit_budget_ms=3000, confidence=0.0)


def question_of(*, explicit: bool = False, ago_ms: float = 0.0, settings: Settings = SETTINGS) -> Question:
    """Return a question that was asked `ago_ms` milliseconds ago."""
    started_s = time.perf_counter() - ago_ms / 1e3
    trace = Trace(1, SNAPSHOT.uri, SNAPSHOT.version)
    return Question(SNAPSHOT, cursor_context(SNAPSHOT), settings, trace, explicit, timeline=Timeline(started_s))


@dataclass
class Running:
    """A generation for SNAPSHOT. hit: as far as it is."""

    generator: ByHand
    generations: Generations
    hit: Hit

    def write(self, text: str) -> None:
        self.generator.write(self.generator.submitted[0], text)

    def end(self) -> None:
        self.generator.end(self.generator.submitted[0])


def run(tokenizer: Tokenizer) -> Running:
    generator = ByHand(tokenizer)
    generations = Generations(generator, tokenizer)
    anchor = set_anchor(SNAPSHOT, Window(100, 100, full=True), tokenizer)
    prompt = build_prompt(anchor, anchor.typed(SNAPSHOT), tokenizer)
    site = Site(SNAPSHOT, cursor_context(SNAPSHOT), None, anchor, anchor.typed(SNAPSHOT), prompt)
    return Running(generator, generations, Hit(generations.start(site, StopRule()), 0))


def waiting(question: Question, running: Running, *, fresh: bool = True) -> asyncio.Task[None]:
    return asyncio.ensure_future(question.wait(running.generations, running.hit, fresh))


def test_the_deadlines_of_an_automatic_request_are_shares_of_its_budget() -> None:
    question = question_of()
    assert question.soft_ms == 400 * SOFT_SHARE
    assert question.until_s - question.started_s == pytest.approx((400 - MARGIN_MS) / 1e3)


def test_an_explicit_request_has_its_own_budget_and_no_soft_deadline() -> None:
    question = question_of(explicit=True)
    assert question.budget_ms == question.soft_ms == 3000


def test_an_explicit_request_never_waits_less_than_an_automatic_one() -> None:
    settings = Settings(budget_ms=400, explicit_budget_ms=50)
    assert question_of(explicit=True, settings=settings).budget_ms == 400


@pytest.mark.parametrize("explicit", [False, True])
async def test_a_whole_line_is_enough_at_once(tokenizer: Tokenizer, explicit: bool) -> None:
    running = run(tokenizer)
    task = waiting(question_of(explicit=explicit), running)
    running.write("total + 1")
    await turn()
    assert not task.done()
    running.end()
    await turn()
    assert task.done()


async def test_after_the_soft_deadline_the_first_clean_piece_is_enough(tokenizer: Tokenizer) -> None:
    running = run(tokenizer)
    task = waiting(question_of(ago_ms=300), running)
    await turn()
    assert not task.done()  # there is nothing to show yet
    running.write("total")
    await asyncio.wait_for(task, 5)
    assert running.hit.entry.reason is None


async def test_the_soft_deadline_itself_ends_the_wait_for_a_piece_that_was_there_before(tokenizer: Tokenizer) -> None:
    running, question = run(tokenizer), question_of(ago_ms=180)
    task = waiting(question, running)
    running.write("total")
    await turn()
    assert not task.done() or question.elapsed_ms >= question.soft_ms
    await task  # no event wakes it any more
    assert question.soft_ms <= question.elapsed_ms < question.budget_ms - MARGIN_MS


async def test_an_explicit_request_waits_for_the_whole_line(tokenizer: Tokenizer) -> None:
    running = run(tokenizer)
    task = waiting(question_of(explicit=True, ago_ms=2 * 400), running)
    running.write("total")
    await turn()
    assert not task.done()
    running.end()
    await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("explicit", [False, True])
async def test_without_anything_to_show_the_wait_ends_with_the_budget(tokenizer: Tokenizer, explicit: bool) -> None:
    question = question_of(explicit=explicit, ago_ms=3000 if explicit else 380)
    await asyncio.wait_for(question.wait(run(tokenizer).generations, Hit(Entry(1, "", 1), 0), fresh=True), 5)
    assert time.perf_counter() >= question.until_s


async def test_of_a_generation_that_runs_already_whatever_can_be_shown_is_enough(tokenizer: Tokenizer) -> None:
    running = run(tokenizer)
    running.write("total")
    await turn()
    automatic, explicit = waiting(question_of(), running, fresh=False), waiting(question_of(explicit=True), running, fresh=False)
    await turn()
    assert (automatic.done(), explicit.done()) == (True, False)
    running.end()
    await asyncio.wait_for(explicit, 5)


def whole(text: str) -> Hit:
    return Hit(Entry(1, "x = ", 1, text=text, reason="end", stats=Stats(n_keep=5, n_feed=2, n_forwards=3)), 0)


def test_what_is_shown_is_noted_in_the_trace() -> None:
    question = question_of()
    shown = question.show(whole("total + 1"), fresh=True)
    assert shown == Replacement("total + 1", SNAPSHOT.cursor_cp, SNAPSHOT.cursor_cp)
    trace = question.trace
    assert (trace.n_chars, trace.complete, trace.answered_by, trace.n_keep, trace.n_forwards) == (9, True, "extended", 5, 3)


def test_an_answer_from_an_older_generation_costs_nothing_in_the_trace() -> None:
    question = question_of()
    question.show(whole("total + 1"), fresh=False)
    assert (question.trace.answered_by, question.trace.n_forwards) == ("typed-through", 0)


def test_nothing_shown_is_noted_as_no_characters() -> None:
    question = question_of()
    assert question.show(Hit(Entry(1, "x = ", 1), 0), fresh=True) is None
    assert (question.trace.n_chars, question.trace.complete) == (0, False)

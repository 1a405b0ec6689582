"""The form of the prompt follows from the place, and a placeholder is no answer."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from completer.complete.generations import MAX_TRIES, Generations
from completer.complete.pipeline import Pipeline
from completer.complete.site import Site
from completer.complete.state import Model
from completer.engines.base import CostCurve
from completer.generate.scheduler import LocalGenerator
from completer.prompt.prompt import Window, build_prompt, set_anchor
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import visible
from completer.syntax.cursor import cursor_context
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Snapshot, StopRule
from tests.by_hand import ByHand, snap, turn
from tests.by_heart import SETTINGS, ByHeart, pipeline, text_of
from tests.fake_engine import FakeEngine
from tests.seeds import seeds

UNHURRIED = replace(SETTINGS, budget_ms=10_000, explicit_budget_ms=10_000, max_tokens=6)
FUNCTION = 'def area_{n}(width, height):\n    """Return it."""\n{hole}    if width:\n        height += 1\n    return {n}\n\n\n'
PLACES = {
    "body": 'def area(width, height):\n    """Return it."""\n    ‸\n\n\n',
    "end": "def area(width, height):\n    area = width * height\n    ‸\n\n\n",
    "nested": "def area(width, height):\n    if width:\n        ‸\n    return width\n\n\n",
    "inside": "def area(width, height):\n    ‸\n    return area\n\n\n",
    "file": "def area(width, height):\n    ‸",
}


def document(place: str, n: int, n_typed: int = 0) -> Snapshot:
    """Return a document of forty functions with the one at a place as its function `n`, and some of a line typed there."""
    functions = [FUNCTION.format(n=i, hole="") for i in range(40)]
    above, below = "".join(functions[:n]), "".join(functions[n:]) if place != "file" else ""
    marked = snap(above + PLACES[place] + below)
    text = marked.text[: marked.cursor_cp] + "result"[:n_typed] + marked.text[marked.cursor_cp :]
    return Snapshot(f"file:///{place}_{n}.py", 1 + n_typed, "python", text, marked.cursor_cp + n_typed)


@asynccontextmanager
async def completing(tokenizer: Tokenizer) -> AsyncIterator[Pipeline]:
    """A pipeline over an engine whose text depends on every token of the prompt."""
    engine = FakeEngine(tokenizer.vocab_size, n_slots=3, max_len=2048)
    costs = CostCurve({1: 1.0, 8: 2.0}, 1.5)
    generator = LocalGenerator(engine, tokenizer)
    made = Pipeline(Model(generator, tokenizer, lambda: costs, engine.max_len, "fake", "fake"), UNHURRIED)
    try:
        yield made
        await made.close()
    finally:
        generator.close()


async def asked(made: Pipeline, snapshot: Snapshot) -> tuple[str, tuple[int, ...], list[int]]:
    """Ask explicitly; return the form of the prompt, its tokens, and what the engine wrote."""
    await made.complete(snapshot, explicit=True)
    answer = made._state.docs[snapshot.uri].answer
    assert answer is not None
    return answer.site.anchor.form, answer.site.prompt.ids, answer.hit.entry.ids


@pytest.mark.parametrize("place", PLACES)
async def test_the_form_follows_from_the_place(tokenizer: Tokenizer, place: str) -> None:
    async with completing(tokenizer) as made:
        assert (await asked(made, document(place, 20)))[0] == ("middle" if place == "inside" else "left")
        assert made.explain(document(place, 20).uri).prompt["form"] == ("middle" if place == "inside" else "left")  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", seeds(8, fast=2))
async def test_whatever_the_form_and_whatever_was_asked_before_an_explicit_answer_is_a_fresh_engines(
    tokenizer: Tokenizer, seed: int
) -> None:
    chance = random.Random(seed)
    place, n, n_typed = chance.choice(list(PLACES)), chance.randrange(15, 25), chance.randrange(4)
    wanted = document(place, n, n_typed)
    async with completing(tokenizer) as fresh:
        expected = await asked(fresh, wanted)
    async with completing(tokenizer) as made:
        for _ in range(6):
            await _do_something(made, chance, wanted.uri)
        made.did_change(document(place, n), [])
        for typed in range(1, n_typed + 1):
            snapshot = document(place, n, typed)
            made.did_change(snapshot, [Edit(snapshot.cursor_cp - 1, snapshot.cursor_cp - 1, "result"[typed - 1])])
        assert await asked(made, wanted) == expected


async def _do_something(made: Pipeline, chance: random.Random, uri: str) -> None:
    other = document(chance.choice(list(PLACES)), chance.randrange(15, 25))
    if chance.random() < 0.5:  # another place of the document that is asked in the end
        place, n = uri.removeprefix("file:///").removesuffix(".py").split("_")
        here = document(place, int(n))
        line = here.text.count("\n", 0, here.cursor_cp) + chance.randrange(-8, 8)
        other = replace(here, cursor_cp=sum(len(one) for one in here.text.splitlines(keepends=True)[:line]))
    match chance.randrange(3):
        case 0:
            await made.complete(other, explicit=False)
        case 1:
            await made.complete(other, explicit=True)
        case _:
            made.did_move_cursor(other)
            await made.settled(0.05)


async def test_a_suggestion_that_is_typed_along_stays_where_another_form_begins(tokenizer: Tokenizer) -> None:
    """`def area(…):` is typed in front of other code; after the colon an empty body begins."""
    line, tail = "def area(width, height):", "\n\nprint(area(1, 2))\n"

    def at(n: int) -> Snapshot:
        return Snapshot("file:///a.py", n, "python", line[:n] + tail, n)

    async with pipeline(ByHeart(tokenizer), tokenizer, replace(UNHURRIED, multiline="always", max_tokens=48)) as made:
        before = len(line) - 1
        first = text_of(await made.complete(at(before), explicit=False))
        assert first.startswith(":\n    result") and await made.settled(5)
        made.did_change(at(before + 1), [Edit(before, before, ":")])
        assert text_of(await made.complete(at(before + 1), explicit=False)) == first[1:]
        assert made.metrics()[-1]["answered_by"] == "typed-through"
        await asked(made, at(before + 1))
        assert made._state.docs["file:///a.py"].answer.site.anchor.form == "left"  # type: ignore[union-attr]


BODY = snap("def area(width, height):\n    ‸\n\n\nprint(area(1, 2))\n")


class Avoiding(ByHand):
    avoids = True


def body_site(tokenizer: Tokenizer, wants_body: bool = True) -> Site:
    anchor = set_anchor(BODY, Window(100, 100, full=True), tokenizer, form="left")
    prompt = build_prompt(anchor, anchor.typed(BODY), tokenizer)
    return Site(BODY, cursor_context(BODY), None, anchor, anchor.typed(BODY), prompt, wants_body)


async def test_a_placeholder_is_begun_anew_without_its_first_word(tokenizer: Tokenizer) -> None:
    generator, done = Avoiding(tokenizer), list[Entry]()
    entry = Generations(generator, tokenizer).start(body_site(tokenizer), StopRule(single_line=False), on_done=done.append)
    first = generator.submitted[0]
    generator.write(first, "pass\n", prob=0.75)
    await turn()
    assert (entry.text, entry.ids, generator.cancelled) == ("", [], [first.id])
    second = generator.submitted[1]
    assert second.prompt == first.prompt and second.avoid[0] == b"" and b"pass".startswith(second.avoid[1])
    generator.end(first, "cancelled")
    generator.write(second, "return width", prob=0.5)
    generator.end(second)
    await turn()
    assert (entry.text, entry.reason, done) == ("return width", "end", [entry])
    assert max(span.prob for span in entry.spans) > 0.5  # of what is not to be avoided


async def test_a_block_for_a_user_who_rests_shows_no_placeholder(tokenizer: Tokenizer) -> None:
    generator, seen = Avoiding(tokenizer), list[str]()
    made = Generations(generator, tokenizer)
    made.start_block(body_site(tokenizer), StopRule(single_line=False), (), lambda entry: seen.append(entry.text))
    generator.write(generator.submitted[0], "pass\n")
    await turn()
    generator.write(generator.submitted[1], "a = 1\n")
    await turn()
    assert seen == ["a = 1\n"] and generator.submitted[1].scratch


async def test_a_model_that_has_nothing_but_placeholders_to_say_ends(tokenizer: Tokenizer) -> None:
    generator = Avoiding(tokenizer)
    entry = Generations(generator, tokenizer).start(body_site(tokenizer), StopRule(single_line=False))
    for n in range(MAX_TRIES + 1):
        generator.write(generator.submitted[n], "# TODO\n")
        generator.end(generator.submitted[n], "length")
        await turn()
    assert len(generator.submitted) == MAX_TRIES + 1 and entry.reason == "length"
    assert visible(Hit(entry, 0), 0.0, BODY, cursor_context(BODY)) is None


async def test_a_body_that_is_left_empty_is_begun_anew(tokenizer: Tokenizer) -> None:
    generator = Avoiding(tokenizer)
    entry = Generations(generator, tokenizer).start(body_site(tokenizer), StopRule(single_line=False))
    generator.end(generator.submitted[0], "end")
    await turn()
    assert entry.reason is None and generator.submitted[1].avoid == (b"",)


@pytest.mark.parametrize(("generator", "wants_body"), [(ByHand, True), (Avoiding, False)])
async def test_a_placeholder_stays_where_it_belongs_and_is_not_shown_where_it_cannot_be_avoided(
    tokenizer: Tokenizer, generator: type[ByHand], wants_body: bool
) -> None:
    made = generator(tokenizer)
    entry = Generations(made, tokenizer).start(body_site(tokenizer, wants_body), StopRule(single_line=False))
    made.write(made.submitted[0], "pass\n")
    made.end(made.submitted[0])
    await turn()
    assert len(made.submitted) == 1 and entry.text == "pass\n"
    assert (visible(Hit(entry, 0), 0.0, BODY, cursor_context(BODY)) is None) == wants_body

"""The way of a key: reuse or generate, answer by the deadline, extend a late answer, repeat one of a small window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from completer.complete.pipeline import Pipeline
from completer.config import Settings
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, FinishReason, Request, Snapshot, Suggestion
from tests.by_hand import ByHand, model_of, snap, turn

LINES = "".join(f"total_{n} = count + {n}\n" for n in range(100))
TYPING = snap(f"{LINES}x = ‸\n{LINES}")
UNHURRIED = Settings(budget_ms=60_000, explicit_budget_ms=60_000, confidence=0.0, context="off", memory=False)
LATE = replace(UNHURRIED, budget_ms=1)
"""The deadline is over as soon as it is looked at."""


@dataclass
class Client:
    """One client over a generator by hand. extended: what was sent after an answer."""

    pipeline: Pipeline
    generator: ByHand
    extended: list[Suggestion] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pipeline.on_extend = self.extended.append

    async def ask(self, snapshot: Snapshot, text: str, *, explicit: bool = False) -> str:
        """Return what is shown if the model writes `text` and ends."""
        asking = asyncio.ensure_future(self.pipeline.complete(snapshot, explicit=explicit))
        await turn()
        request = self.generator.generations[-1]
        self.generator.write(request, text)
        self.generator.end(request)
        shown = await asyncio.wait_for(asking, 5)
        return shown.text if shown else ""

    async def shown(self, snapshot: Snapshot, *, explicit: bool = False) -> str:
        """Return what is shown without a word from the model."""
        found = await asyncio.wait_for(self.pipeline.complete(snapshot, explicit=explicit), 5)
        return found.text if found else ""

    async def rest(self) -> None:
        """End all prefills that idle time begins, one after the other."""
        n_ended = 0
        while len(self.generator.prefills) > n_ended:
            n_ended = len(self.generator.prefills)
            self.generator.end(self.generator.prefills[-1], "length")
            await turn()

    @property
    def redone(self) -> Request:
        """The generation that repeats the answer with the full window."""
        return self.generator.generations[-1]


@pytest.fixture
async def late(tokenizer: Tokenizer) -> AsyncIterator[Client]:
    """A client whose budget is over before the model writes anything."""
    generator = ByHand(tokenizer)
    made = Pipeline(model_of(generator, tokenizer), LATE)
    yield Client(made, generator)
    await made.close()


@pytest.fixture
async def client(tokenizer: Tokenizer) -> AsyncIterator[Client]:
    generator = ByHand(tokenizer)
    made = Pipeline(model_of(generator, tokenizer), UNHURRIED)
    yield Client(made, generator)
    await made.close()


def typed(text: str, version: int = 2) -> tuple[Snapshot, list[Edit]]:
    """Return the document after `text` was typed, and the edit."""
    at = TYPING.cursor_cp
    new = replace(TYPING, version=version, text=TYPING.text[:at] + text + TYPING.text[at:], cursor_cp=at + len(text))
    return new, [Edit(at, at, text)]


async def test_what_was_typed_of_a_suggestion_is_answered_without_the_model(client: Client) -> None:
    assert await client.ask(TYPING, "count + total_1") == "count + total_1"
    n_submitted = len(client.generator.generations)
    snapshot, edits = typed("count")
    client.pipeline.did_change(snapshot, edits)
    assert await client.shown(snapshot) == " + total_1"
    assert client.pipeline.metrics()[-1]["answered_by"] == "typed-through"
    assert all(request.priority == 1 for request in client.generator.generations[n_submitted:])


async def test_a_key_cancels_what_it_makes_useless_and_drafts_from_it(late: Client) -> None:
    await late.shown(TYPING)
    first = late.generator.generations[0]
    late.generator.write(first, "count")
    await turn()
    snapshot, edits = typed("z")
    late.pipeline.did_change(snapshot, edits)
    await late.shown(snapshot)
    second = late.generator.generations[-1]
    assert second.id != first.id and first.id in late.generator.cancelled
    stale = late.generator._tokenizer.encode(first.prompt.heal_bytes.decode() + "count")
    assert tuple(stale) in second.corpus_ids


async def test_a_late_answer_extends_what_was_answered(late: Client) -> None:
    assert await late.shown(TYPING) == ""
    late.generator.write(late.generator.generations[0], "count + 1")
    late.generator.end(late.generator.generations[0])
    await turn()
    (better,) = late.extended
    assert (better.text, better.version, better.complete) == ("count + 1", TYPING.version, True)


async def test_a_late_answer_is_sent_once_it_is_whole_and_only_once(late: Client) -> None:
    await late.shown(TYPING)
    request = late.generator.generations[0]
    late.generator.write(request, "count")
    await turn()
    assert late.extended == []
    late.generator.write(request, " + 1")
    late.generator.end(request)
    late.generator.end(request)
    await turn()
    assert [one.text for one in late.extended] == ["count + 1"]


@pytest.mark.parametrize("reason", ["cancelled", "error"])
async def test_an_answer_that_was_broken_off_extends_nothing(late: Client, reason: FinishReason) -> None:
    await late.shown(TYPING)
    late.generator.write(late.generator.generations[0], "count + 1")
    late.generator.end(late.generator.generations[0], reason)
    await turn()
    assert late.extended == []


async def test_a_newer_version_of_the_document_gets_no_extension(late: Client) -> None:
    await late.shown(TYPING)
    late.pipeline.did_change(*typed("c"))
    late.generator.write(late.generator.generations[0], "count + 1")
    late.generator.end(late.generator.generations[0])
    await turn()
    assert late.extended == []


async def test_a_cursor_that_moved_on_gets_no_extension(late: Client) -> None:
    await late.shown(TYPING)
    late.pipeline.did_move_cursor(replace(TYPING, cursor_cp=0))
    late.generator.write(late.generator.generations[0], "count + 1")
    late.generator.end(late.generator.generations[0])
    await turn()
    assert late.extended == []


async def test_an_answer_in_time_is_not_sent_again(client: Client) -> None:
    await client.ask(TYPING, "count + 1")
    await turn()
    assert client.extended == []


async def test_an_answer_of_a_small_window_is_made_again_when_the_full_one_is_warm(client: Client) -> None:
    assert await client.ask(TYPING, "count + 1") == "count + 1"
    small = client.generator.generations[0]
    await client.rest()
    assert client.redone.priority == 1 and len(client.redone.prompt.ids) > len(small.prompt.ids)
    client.generator.write(client.redone, "total_99")
    client.generator.end(client.redone)
    await turn()
    assert [(one.text, one.version) for one in client.extended] == [("total_99", TYPING.version)]
    assert await client.shown(TYPING) == "total_99"


async def test_the_same_text_from_the_full_window_is_not_sent_again(client: Client) -> None:
    await client.ask(TYPING, "count + 1")
    await client.rest()
    client.generator.write(client.redone, "count + 1")
    client.generator.end(client.redone)
    await turn()
    assert client.extended == []


@pytest.mark.parametrize("reason", ["cancelled", "error"])
async def test_a_repetition_that_was_broken_off_replaces_nothing(client: Client, reason: FinishReason) -> None:
    await client.ask(TYPING, "count + 1")
    await client.rest()
    client.generator.write(client.redone, "total_99")
    client.generator.end(client.redone, reason)
    await turn()
    assert client.extended == []


async def test_a_document_that_went_on_while_the_full_window_got_ready_is_not_answered_again(client: Client) -> None:
    await client.ask(TYPING, "count + 1")
    n_generations = len(client.generator.generations)
    client.pipeline.did_change(*typed("c"))
    await client.rest()
    assert len(client.generator.generations) == n_generations
    assert client.extended == []


async def test_a_document_that_went_on_during_the_repetition_does_not_get_it(client: Client) -> None:
    await client.ask(TYPING, "count + 1")
    await client.rest()
    client.pipeline.did_change(*typed("c"))
    client.generator.write(client.redone, "total_99")
    client.generator.end(client.redone)
    await turn()
    assert client.extended == []


async def test_an_answer_of_the_full_window_is_not_made_again(client: Client) -> None:
    await client.ask(TYPING, "count + 1", explicit=True)
    await client.rest()
    assert [request.priority for request in client.generator.generations] == [0, 1]  # the answer, and what follows it


async def test_what_was_not_sure_enough_is_generated_anew_for_a_user_who_asks_explicitly(client: Client) -> None:
    client.pipeline.set_settings(replace(UNHURRIED, confidence=0.3))
    asking = asyncio.ensure_future(client.pipeline.complete(TYPING, explicit=False))
    await turn()
    automatic = client.generator.generations[0]
    client.generator.end(automatic, "confidence")
    assert await asyncio.wait_for(asking, 5) is None
    assert await client.ask(TYPING, "count + 1", explicit=True) == "count + 1"
    explicit = next(one for one in client.generator.generations if one.priority == 0 and one is not automatic)
    assert automatic.stop.confidence > 0 == explicit.stop.confidence


async def test_closing_a_document_cancels_all_that_runs_for_it(late: Client) -> None:
    await late.shown(TYPING)
    late.pipeline.did_close(TYPING.uri)
    assert {request.id for request in late.generator.submitted} <= set(late.generator.cancelled)
    late.generator.end(late.generator.generations[0], "cancelled")
    await turn()
    assert late.extended == []

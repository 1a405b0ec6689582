"""Idle time: prefetch what follows accepting, prefill where typing may go on, and nothing that would be of no use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from completer.complete.control import Control
from completer.complete.generations import Generations
from completer.complete.idle import IdleWork
from completer.complete.open_document import OpenDocument
from completer.complete.site import Site
from completer.complete.state import ClientState
from completer.config import Settings
from completer.document.secrets import SecretScan
from completer.prompt.context.context import Context
from completer.prompt.memory.memory import Memory
from completer.suggest.entries import Entry
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from completer.tokens.tokenizer import Tokenizer
from completer.types import Replacement, Snapshot
from tests.by_hand import ByHand, model_of, snap, turn

LINES = "".join(f"total_{n} = count + {n}\n" for n in range(200))
TYPING = snap(f"{LINES}x = ‸\n{LINES}")


@dataclass
class Client:
    """Idle work for one document over a generator by hand. warmed: documents whose full window became warm, in order."""

    tokenizer: Tokenizer
    snapshot: Snapshot = TYPING

    def __post_init__(self) -> None:
        self.generator = ByHand(self.tokenizer)
        self.warmed: list[OpenDocument] = []
        model = model_of(self.generator, self.tokenizer)
        self.state = ClientState(model, Context(self.tokenizer, 0), Memory(on=False), Control(Settings(confidence=0.0)))
        self.idle = IdleWork(Generations(self.generator, self.tokenizer), self.state, self.warmed.append)
        tree = SyntaxTree(self.snapshot.language_id, self.snapshot.text)
        self.doc = self.state.docs[self.snapshot.uri] = OpenDocument(self.state.new_anchors(self.snapshot), tree, self.snapshot)

    def site(self) -> Site:
        """Return where a key is answered; its prompt is warm from now on."""
        anchor, prompt = self.doc.anchors.choose(self.snapshot)
        self.generator.held.append(prompt.ids)
        return Site(self.snapshot, cursor_context(self.snapshot), None, anchor, anchor.typed(self.snapshot), prompt)

    def prefetch(self, text: str, *, end_cp: int | None = None) -> None:
        """Do what follows showing `text`; end_cp: it replaces the text up to there."""
        at = self.snapshot.cursor_cp
        self.idle.prefetch(self.doc, self.site(), Replacement(text, at, at if end_cp is None else end_cp))

    async def prefilled(self) -> bool:
        """End the prefill that runs; return whether its window was full."""
        full = self.doc.prefill_anchor is not None and self.doc.prefill_anchor.full
        self.generator.end(self.generator.prefills[-1], "length")
        await turn()
        return full


async def test_what_follows_accepting_is_generated_in_the_background(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.prefetch("count")
    request = client.generator.generations[0]
    assert request.priority == 1
    assert tokenizer.bytes_of(request.prompt.ids[request.prompt.n_fixed :]) == b"x = count"
    assert client.doc.prefetch is not None and client.doc.prefetch.background
    hit = client.state.reuse.lookup(client.site().anchor.number, "x = count")
    assert hit is not None and hit.entry is client.doc.prefetch


async def test_what_is_generated_already_is_not_prefetched(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.state.reuse.put(Entry(client.site().anchor.number, "x = ", 1, text="count + 1"))
    client.prefetch("count")  # its rest is on the way
    assert client.generator.submitted == []


async def test_where_accepting_changes_the_text_after_the_anchor_nothing_is_prefetched(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer, snap(f"{LINES}x = ‸total\n{LINES}"))
    client.prefetch("count", end_cp=client.snapshot.cursor_cp + len("total"))
    assert client.generator.submitted == []


@pytest.mark.parametrize("rest", ["_1\n", " + y\n"])
async def test_where_nothing_is_suggested_after_accepting_nothing_is_prefetched(tokenizer: Tokenizer, rest: str) -> None:
    client = Client(tokenizer, snap(f"{LINES}x = ‸{rest}{LINES}"))
    client.prefetch("count")
    assert client.generator.submitted == []


async def test_a_prefetch_takes_the_place_of_the_one_before(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.prefetch("count")
    client.prefetch("total")
    first, second = client.generator.generations
    assert client.generator.cancelled == [first.id]
    assert client.doc.prefetch is not None and client.doc.prefetch.request_id == second.id


async def test_a_prefetch_that_is_over_is_not_cancelled(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.prefetch("count")
    client.generator.end(client.generator.generations[0])
    await turn()
    client.prefetch("total")
    assert client.generator.cancelled == []


async def test_a_cursor_at_rest_warms_a_small_window_then_the_full_one_and_tells_of_it_once(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.idle.prefill(client.doc, client.snapshot)
    assert client.generator.prefills[0].priority == 2
    assert not await client.prefilled()
    assert client.warmed == []
    assert await client.prefilled()
    assert client.warmed == [client.doc]
    assert (len(client.generator.submitted), client.doc.prefill_anchor) == (2, None)
    anchor, prompt = client.doc.anchors.choose(client.snapshot)
    assert anchor.full and client.generator.n_cached(prompt.ids) == len(prompt.ids)


async def test_a_prefill_that_is_on_its_way_is_not_begun_again(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.idle.prefill(client.doc, client.snapshot)
    client.idle.prefill(client.doc, client.snapshot)
    assert (len(client.generator.submitted), client.generator.cancelled) == (1, [])


@pytest.mark.parametrize("reason", ["cancelled", "length"])  # it may have come to its end just before
async def test_a_prefill_gives_way_to_one_where_the_cursor_went_and_is_not_adopted(tokenizer: Tokenizer, reason: str) -> None:
    client = Client(tokenizer)
    client.idle.prefill(client.doc, client.snapshot)
    elsewhere = replace(client.snapshot, cursor_cp=len(LINES) // 2)
    client.idle.prefill(client.doc, elsewhere)
    first, second = client.generator.prefills
    assert client.generator.cancelled == [first.id]
    going_on = client.doc.prefill_anchor
    client.generator.end(first, reason)  # type: ignore[arg-type]
    await turn()
    assert client.doc.prefill_anchor is going_on is not None and going_on.match(elsewhere) == "exact"
    assert client.doc.prefill_id == second.id and len(client.generator.submitted) == 2


@pytest.mark.parametrize("reason", ["cancelled", "error"])
async def test_after_a_prefill_that_failed_idle_time_rests(tokenizer: Tokenizer, reason: str) -> None:
    client = Client(tokenizer)
    client.idle.prefill(client.doc, client.snapshot)
    client.generator.end(client.generator.prefills[0], reason)  # type: ignore[arg-type]
    await turn()
    assert (len(client.generator.submitted), client.doc.prefill_anchor, client.warmed) == (1, None, [])


async def test_for_a_closed_or_secret_document_nothing_is_prefilled(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.doc.secrets = SecretScan(replace(TYPING, text=f'token = "ghp_{"a1B2" * 10}"\n', cursor_cp=0))
    client.idle.prefill(client.doc, client.snapshot)
    client.doc.secrets = None
    del client.state.docs[client.snapshot.uri]
    client.idle.prefill(client.doc, client.snapshot)
    assert client.generator.submitted == []


async def test_a_new_full_window_keeps_what_the_old_one_suggested(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    old, typed = client.doc.anchors.choose(client.snapshot, explicit=True).anchor, "y = count + total\n" * 100
    client.state.reuse.put(Entry(old.number, typed + "x = ", 1, text="count", reason="end"))
    text = client.snapshot.text[: old.anchor_cp] + typed + client.snapshot.text[old.anchor_cp :]
    later = replace(client.snapshot, version=2, text=text, cursor_cp=client.snapshot.cursor_cp + len(typed))
    client.doc.snapshot = later
    client.idle.prefill(client.doc, later)
    while client.doc.prefill_anchor is not None:
        await client.prefilled()
    new = client.doc.anchors.last_full("middle")
    assert new is not None and new.number != old.number and new.anchor_cp == old.anchor_cp + len(typed)
    hit = client.state.reuse.lookup(new.number, "x = ")
    assert hit is not None and hit.entry.text == "count"


async def test_a_rest_of_the_cursor_reads_the_document_for_drafts(tokenizer: Tokenizer) -> None:
    client = Client(tokenizer)
    client.idle.prefill(client.doc, client.snapshot)
    await client.prefilled()
    await asyncio.get_running_loop().shutdown_default_executor()
    await turn()
    assert tokenizer.text_of(client.doc.text_ids) == client.snapshot.text


async def test_a_large_document_is_parsed_in_another_thread_once_at_a_time(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("completer.syntax.tree.LARGE_BYTES", 100)
    client = Client(tokenizer)
    assert client.doc.tree.settled_root is None
    client.idle.prefill(client.doc, client.snapshot)
    parsing = client.doc.parsing
    assert parsing is not None
    client.idle.prefill(client.doc, replace(client.snapshot, cursor_cp=0))
    assert client.doc.parsing is parsing
    await parsing
    await turn()
    assert client.doc.tree.settled_root is not None

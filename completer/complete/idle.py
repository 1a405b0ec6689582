"""What is done while nobody waits: prefetch what follows accepting, prefill where typing may go on, parse what is overdue.

a suggestion is shown       ──> generate what follows it, so that accepting it shows the next one at once
the cursor rests somewhere  ──> small window, then the full one, then the full one after the context block
a full window is ready      ──> an answer from the small one is made again with it
a document changed          ──> nothing; the next answer, or the next rest of the cursor, leads here
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from completer.complete.generations import Generations
from completer.complete.open_document import OpenDocument
from completer.complete.site import Site
from completer.complete.state import ClientState
from completer.prompt.prompt import Anchor, build_prompt, lf
from completer.suggest.placeholder import wants_a_body
from completer.syntax.block import block_around
from completer.syntax.cursor import cursor_context
from completer.types import FinishReason, Prompt, Replacement, Snapshot

DRAFT_CP = 16_000
"""Characters on each side of the cursor in which drafts are looked up."""
PARSE_PAUSE = 10
"""A parse in another thread may take as long as a key; the next one waits so many times that."""


class IdleWork:
    """Owned by the event loop. The engine thread runs what is submitted here after everything that somebody waits for."""

    def __init__(self, generations: Generations, state: ClientState, on_full: Callable[[OpenDocument], None]) -> None:
        """on_full: called after a document's full window became warm."""
        self._generations = generations
        self._state = state
        self._on_full = on_full

    def prefetch(self, doc: OpenDocument, site: Site, shown: Replacement) -> None:
        """Generate what follows accepting `shown`, which only inserts. Mutates: doc, the reuse store."""
        snapshot, anchor = site.snapshot, site.anchor
        text = snapshot.text[: shown.start_cp] + shown.text + snapshot.text[shown.end_cp :]
        accepted = replace(snapshot, text=text, cursor_cp=shown.start_cp + len(shown.text))
        typed = lf(anchor.typed(accepted))
        if self._state.reuse.lookup(anchor.number, typed) is not None or anchor.match(accepted) is None:
            return
        if doc.prefetch is not None and doc.prefetch.reason is None:
            self._generations.cancel(doc.prefetch.request_id)
        cursor = cursor_context(accepted)
        block = block_around(accepted, cursor)
        if cursor.suppress or self._state.form_of(cursor, block) != anchor.form:
            return
        prompt = build_prompt(anchor, anchor.typed(accepted), self._state.model.tokenizer)
        next_site = Site(accepted, cursor, None, anchor, typed, prompt, wants_a_body(accepted, block))
        next_site = self._state.with_evidence(next_site)
        doc.prefetch = self._generations.start(next_site, self._state.stop_rule(cursor, accepted), background=True)
        self._state.reuse.put(doc.prefetch)

    def prefill(self, doc: OpenDocument, snapshot: Snapshot) -> None:
        """Prefill a better anchor for this place, if there is one. Mutates: doc."""
        context, docs = self._state.context, self._state.docs
        if snapshot.uri not in docs or doc.is_secret or not self._state.control.wants_idle_work(snapshot):
            return  # closed meanwhile, kept here, or quiet
        if doc.prefill_anchor is not None:
            if doc.prefill_anchor.form == self._state.place(doc, snapshot).form and doc.prefill_anchor.match(snapshot) == "exact":
                return  # it is on its way
            assert doc.prefill_id is not None
            self._generations.cancel(doc.prefill_id)
            doc.prefill_anchor = None
        self._catch_up(doc)
        if self._state.wants_memory(snapshot):
            self._state.memory.refresh(snapshot)
        anchor = doc.anchors.better(snapshot, context.lead_ids(snapshot.uri), self._state.place(doc, snapshot).form)
        if anchor is None:
            return
        others = [other.snapshot for other in docs.values() if other is not doc and not other.is_secret]
        if doc.wants_context:
            context.refresh(snapshot, others, lambda: self.prefill(doc, doc.snapshot))
        prompt = Prompt((*anchor.fixed_ids, *self._state.model.tokenizer.encode(lf(anchor.typed(snapshot)))))

        def done(reason: FinishReason) -> None:
            if doc.prefill_anchor is anchor:
                doc.prefill_anchor = None
                if reason == "length":
                    self._adopt(doc, anchor)
                    self.prefill(doc, snapshot)

        doc.prefill_anchor = anchor
        doc.prefill_id = self._generations.prefill(snapshot.uri, prompt, done)

    def _adopt(self, doc: OpenDocument, anchor: Anchor) -> None:
        """Put a prefilled anchor first. Mutates: doc, the reuse store.

        What a full window suggested stays valid after it. What a small one suggested does not, nor what another form of
        the prompt did: it is made again.
        """
        old = doc.anchors.last_full(anchor.form)
        if anchor.full and old is not None and anchor.anchor_cp >= old.anchor_cp:
            self._state.reuse.carry(old.number, anchor.number, anchor.anchor_cp - old.anchor_cp)
        doc.anchors.use(anchor)
        self._read_for_drafts(doc)
        if anchor.full:
            self._on_full(doc)

    def _read_for_drafts(self, doc: OpenDocument) -> None:
        """Tokenise the document in another thread: text from elsewhere in it is a draft of what is typed. Mutates: doc."""
        at, text = doc.snapshot.cursor_cp, doc.snapshot.text
        near = lf(text[max(0, at - DRAFT_CP) : at + DRAFT_CP])
        reading = asyncio.get_running_loop().run_in_executor(None, self._state.model.tokenizer.encode, near)

        def done(read: asyncio.Future[Any]) -> None:
            if not read.cancelled() and read.exception() is None:
                doc.text_ids = tuple(read.result())

        reading.add_done_callback(done)

    def _catch_up(self, doc: OpenDocument) -> None:
        """Parse a large document in another thread: no key waits for it. Mutates: the tree."""
        if doc.parsing is not None or (parse := doc.tree.overdue()) is None:
            return
        doc.parsing = asyncio.get_running_loop().run_in_executor(None, parse)
        started = time.monotonic()

        def done(parsed: asyncio.Future[Any]) -> None:
            if not parsed.cancelled() and parsed.exception() is None:
                doc.tree.catch_up(parsed.result())
            pause_s = PARSE_PAUSE * (time.monotonic() - started)
            asyncio.get_running_loop().call_later(pause_s, setattr, doc, "parsing", None)

        doc.parsing.add_done_callback(done)

"""What is done while nobody waits: prefetch what follows accepting, prefill where typing may go on, parse what is overdue.

a suggestion is shown       ──> generate behind it, so that accepting it shows the next one at once
the cursor rests somewhere  ──> small window, then the full one with its context block, on another slot
a document changed          ──> nothing; the next answer, or the next rest of the cursor, leads here
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from completer.complete.generations import Live
from completer.complete.open_document import OpenDocument
from completer.prompt.context.context import Context
from completer.prompt.prompt import Anchor, build_prompt, lf
from completer.suggest.entries import ReuseStore
from completer.suggest.trim import Trimmed
from completer.syntax.cursor import Place, place
from completer.tokens.tokenizer import Tokenizer
from completer.types import FinishReason, Prompt, Snapshot, StopRule

DRAFT_CP = 16_000
"""Characters on each side of the cursor in which drafts are looked up."""
PARSE_PAUSE = 10
"""A parse in another thread may take as long as a key; the next one waits so many times that."""


class IdleWork:
    """Owned by the event loop. The engine thread runs what is submitted here behind everything that somebody waits for."""

    def __init__(
        self, live: Live, tokenizer: Tokenizer, reuse: ReuseStore, context: Context, docs: Mapping[str, OpenDocument]
    ) -> None:
        """docs: the open documents by URI; a document that is gone from it is closed."""
        self._live = live
        self._tokenizer = tokenizer
        self._reuse = reuse
        self._context = context
        self._docs = docs

    def prefetch(
        self,
        doc: OpenDocument,
        snapshot: Snapshot,
        anchor: Anchor,
        shown: Trimmed,
        stop_rule: Callable[[Place, Snapshot], StopRule],
    ) -> None:
        """Generate what follows accepting `shown`, which only inserts. Mutates: doc, the reuse store."""
        text = snapshot.text[: shown.start_cp] + shown.text + snapshot.text[shown.end_cp :]
        accepted = replace(snapshot, text=text, cursor_cp=shown.start_cp + len(shown.text))
        typed = lf(anchor.typed(accepted))
        if self._reuse.lookup(anchor.number, typed) is not None or anchor.match(accepted) is None:
            return
        if doc.prefetch is not None and doc.prefetch.reason is None:
            self._live.cancel(doc.prefetch.request_id)
        where = place(accepted)
        if where.suppress:
            return
        prompt = build_prompt(anchor, anchor.typed(accepted), self._tokenizer)
        doc.prefetch = self._live.start(anchor, prompt, accepted, where, stop_rule(where, accepted), typed, background=True)
        self._reuse.put(doc.prefetch)

    def prefill(self, doc: OpenDocument, snapshot: Snapshot) -> None:
        """Prefill a better anchor for this place, if there is one. Mutates: doc."""
        if snapshot.uri not in self._docs or doc.is_secret:
            return  # closed meanwhile
        if doc.prefill_anchor is not None:
            if doc.prefill_anchor.match(snapshot) == "exact":
                return  # it is on its way
            assert doc.prefill_id is not None
            self._live.cancel(doc.prefill_id)
            doc.prefill_anchor = None
        self._catch_up(doc)
        anchor = doc.anchors.better(snapshot, self._context.lead_ids(snapshot.uri))
        if anchor is None:
            return
        others = [other.snapshot for other in self._docs.values() if other is not doc and not other.is_secret]
        if self._context.refresh(snapshot, others, lambda: self.prefill(doc, doc.snapshot)) and anchor.full:
            return  # it is prefilled with the block as that will be then
        prompt = Prompt((*anchor.fixed_ids, *self._tokenizer.encode(lf(anchor.typed(snapshot)))))

        def done(reason: FinishReason) -> None:
            if doc.prefill_anchor is anchor:
                doc.prefill_anchor = None
                if reason == "length":
                    self._adopt(doc, anchor)
                    if not anchor.full:
                        self.prefill(doc, snapshot)

        doc.prefill_anchor = anchor
        doc.prefill_id = self._live.prefill(snapshot.uri, prompt, done)

    def _adopt(self, doc: OpenDocument, anchor: Anchor) -> None:
        """Put a prefilled anchor first; what was suggested stays valid behind it. Mutates: doc, the reuse store."""
        old = doc.anchors.first
        if old is not None and anchor.anchor_cp >= old.anchor_cp:
            self._reuse.carry(old.number, anchor.number, anchor.anchor_cp - old.anchor_cp)
        doc.anchors.use(anchor)
        self._read_for_drafts(doc)

    def _read_for_drafts(self, doc: OpenDocument) -> None:
        """Tokenise the document in another thread: what stands elsewhere in it drafts for what is typed. Mutates: doc."""
        at, text = doc.snapshot.cursor_cp, doc.snapshot.text
        near = lf(text[max(0, at - DRAFT_CP) : at + DRAFT_CP])
        reading = asyncio.get_running_loop().run_in_executor(None, self._tokenizer.encode, near)

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

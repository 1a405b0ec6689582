"""The whole flow of a keystroke: reuse, prompt, generate, trim. What is done while nobody waits: completer.complete.idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from completer.complete.alternatives import Alternatives, Ranked
from completer.complete.cascade import Answered, Cascade, Larger
from completer.complete.generations import Live
from completer.complete.idle import IdleWork
from completer.complete.open_document import OpenDocument, draft_corpora
from completer.complete.question import Ask
from completer.complete.trace import Trace, TraceLog
from completer.config import Settings, context_parts
from completer.document.secrets import SecretScan
from completer.engines.base import CostCurve
from completer.engines.health import Health
from completer.generate.scheduler import Generator
from completer.prompt.anchors import Anchors, context_budget, full_window_cp
from completer.prompt.context.context import Context
from completer.prompt.prompt import Anchor, lf
from completer.suggest.block_end import stop_rule
from completer.suggest.entries import Entry, Hit, ReuseStore
from completer.suggest.trim import Selected, Trimmed
from completer.suggest.visible import answered_by, goes_on, suggestion_of
from completer.syntax.cursor import Place, place
from completer.syntax.tree import SyntaxTree
from completer.tokens.tokenizer import Tokenizer
from completer.types import Edit, Prompt, SelectedCompletion, Snapshot, StopRule, Suggestion

CURSOR_REST_S = 0.03
"""A cursor that moved is left alone for so long before its place is prefilled; editors wait themselves before they tell."""


class Pipeline:
    """Completes the documents of one client. Owned by its event loop; see `completer.complete.api.Completer`."""

    def __init__(
        self,
        generator: Generator,
        tokenizer: Tokenizer,
        costs: Callable[[], CostCurve],
        max_len: int,
        settings: Settings,
        names: dict[str, str],
        *,
        larger: Larger | None = None,
        leaves_machine: bool = False,
        health: Health | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """costs: returns what a forward costs, as far as is known then.  names: what `status` says of model and engine.

        larger: takes a second look.  leaves_machine: the engine is a server, and gets no secrets.
        health: what went wrong with the model, for `status`.  on_close: called once, when the client is gone.
        """
        self.settings = settings
        self.on_extend: Callable[[Suggestion], None] | None = None
        self._generator = generator
        self._tokenizer = tokenizer
        self._costs = costs
        self._max_len = max_len
        self._names = names
        self._larger = larger
        self._context = Context(tokenizer, context_budget(costs(), max_len), full_window_cp(costs(), max_len))
        self._context.set_parts(context_parts(settings))
        self._leaves_machine = leaves_machine
        self._health = health or Health()
        self._on_close = on_close
        self._reuse = ReuseStore()
        self._traces = TraceLog()
        self._docs: dict[str, OpenDocument] = {}

    async def complete(
        self, snapshot: Snapshot, *, explicit: bool, selected: SelectedCompletion | None = None, alternatives: bool = False
    ) -> Suggestion | None:
        """See `completer.complete.api.Completer.complete`."""
        started_s = time.perf_counter()
        doc = self._doc(snapshot)
        given = doc.given if doc.answered == snapshot.at else None
        doc.snapshot, doc.answered = snapshot, None
        self._cascade.moved(snapshot)
        where = place(snapshot, doc.tree)
        chosen = Selected(selected.text, selected.start_cp, selected.end_cp) if selected else None
        trace = self._traces.new(snapshot, where.kind)
        ask = Ask(snapshot, where, self.settings, trace, explicit, chosen, alternatives, given, started_s)
        wanted = not doc.is_secret and (explicit or self._wanted(snapshot, where))
        suggestion = await self._answer(ask, doc) if wanted else None
        trace.total_ms = ask.elapsed_ms
        self._traces.add(trace)
        return suggestion

    async def _answer(self, ask: Ask, doc: OpenDocument) -> Suggestion | None:
        snapshot = ask.snapshot
        anchor, prompt, _ = doc.anchors.choose(snapshot, self._context.lead_ids(snapshot.uri))
        ask.trace.n_context, ask.trace.tokenise_ms = anchor.n_context, ask.elapsed_ms
        typed = lf(anchor.typed(snapshot))
        hit = self._reuse.lookup(anchor.number, typed)
        fresh = hit is None or (ask.explicit and hit.entry.stops_unsure)  # the user wants to see what is not sure enough
        if hit is None or fresh:
            hit = Hit(self._start(ask, doc, anchor, prompt, typed), 0)
        hit.entry.asked_for |= ask.explicit
        await ask.wait(self._live, hit, fresh)
        shown = ask.show(hit, fresh)
        others: list[Trimmed] = []
        if ask.alternatives and shown is not None:
            hit, shown, others = await self._ranked(ask, doc, anchor, prompt, typed, hit, shown)
        if shown is not None and ask.is_complete(hit) and shown.start_cp == shown.end_cp:
            self._idle.prefetch(doc, snapshot, anchor, shown, self._stop_rule)
        self._idle.prefill(doc, snapshot)
        given = suggestion_of(shown, snapshot, answered_by(hit, fresh), ask.is_complete(hit), others) if shown else None
        doc.answered, doc.given, doc.shown_of, doc.see_more = snapshot.at, given, hit.entry, partial(ask.see, hit)
        rule = partial(self._stop_rule, ask.where, snapshot, hit.entry.asked_for)
        self._cascade.answered(Answered(doc, snapshot, ask.where, anchor, prompt, rule, hit, ask.see))
        return given

    async def _ranked(
        self, ask: Ask, doc: OpenDocument, anchor: Anchor, prompt: Prompt, typed: str, first: Hit, shown: Trimmed
    ) -> Ranked:
        """Return what is shown and what else could stand there, as time allows. Mutates: the trace, the reuse store."""
        if first.entry.reason is None or not self._generator.avoids:
            return Ranked(first, shown, [])
        began_ms = ask.elapsed_ms
        rule, corpora = self._stop_rule(ask.where, ask.snapshot, True), (*draft_corpora(doc, ()), tuple(first.entry.ids))
        start = partial(self._live.start, anchor, prompt, ask.snapshot, ask.where, rule, typed, corpora=corpora, tree=doc.tree)
        seen = ask.given is not None
        ranked = await self._alternatives.of(first, shown, anchor.number, typed, start, ask.see, ask.until_s, seen)
        ask.trace.alternatives_ms, ask.trace.n_chars = ask.elapsed_ms - began_ms, len(ranked.shown.text)
        return ranked

    # What the client tells.

    def set_folders(self, folders: Sequence[Path]) -> None:
        self._context.set_folders(folders)
        self._forget_anchors()

    def did_open(self, snapshot: Snapshot) -> None:
        self._doc(snapshot)
        self.did_move_cursor(snapshot)

    def did_change(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        doc = self._docs.get(snapshot.uri)
        if doc is None:
            return
        for edit in edits:
            doc.tree.edit(edit)
        doc.anchors.edited(edits)
        doc.snapshot = snapshot
        self._cascade.moved(snapshot)
        self._context.edited(snapshot.uri, edits)
        if doc.secrets is not None:
            doc.secrets.edit(snapshot, edits)

    def did_move_cursor(self, snapshot: Snapshot) -> None:
        doc = self._doc(snapshot)
        doc.snapshot = snapshot
        self._cascade.moved(snapshot)
        if doc.resting is not None:
            doc.resting.cancel()
        doc.resting = asyncio.get_running_loop().call_later(CURSOR_REST_S, self._rested, doc, snapshot)

    def _rested(self, doc: OpenDocument, snapshot: Snapshot) -> None:
        doc.resting = None
        self._idle.prefill(doc, snapshot)

    def did_close(self, uri: str) -> None:
        doc = self._docs.pop(uri, None)
        if doc is None:
            return
        self._context.closed(uri)
        self._cascade.closed(uri)
        if doc.resting is not None:
            doc.resting.cancel()
        for entry in (doc.running, doc.prefetch):
            if entry is not None and entry.reason is None:
                self._live.cancel(entry.request_id)
        if doc.prefill_id is not None:
            self._live.cancel(doc.prefill_id)

    def did_show(self, suggestion: Suggestion) -> None:
        """Nothing depends on it yet."""

    def did_accept(self, suggestion: Suggestion, n_chars: int) -> None:
        """Nothing to do: what follows was prefetched when the suggestion was answered."""

    def did_dismiss(self, suggestion: Suggestion) -> None:
        """Who sent it away wants no more of it."""
        self._cascade.stop()

    def set_settings(self, settings: Settings) -> None:
        if context_parts(settings) != context_parts(self.settings):
            self._context.set_parts(context_parts(settings))
            self._forget_anchors()
        self.settings = settings

    def metrics(self) -> list[dict[str, Any]]:
        return self._traces.as_dicts()

    def status(self) -> dict[str, Any]:
        latency = {f"latency_p{p}_ms": self._traces.latency_ms(p) for p in (50, 95)}
        message = self._health.message or self._generator.message or self._kept_here() or self._cascade.message
        return {**self._names, **latency, "message": message}

    def _forget_anchors(self) -> None:
        """Nothing of a context block that is no longer wanted may serve another prompt. Mutates: the documents."""
        for doc in self._docs.values():
            doc.anchors = self._new_anchors()

    async def settled(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do in idle time; return whether that came about. For tests and benchmarks."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if not self._context.busy and not any(doc.prefill_anchor or doc.resting for doc in self._docs.values()):
                return True
            await asyncio.sleep(0.01)
        return False

    async def close(self) -> None:
        for uri in list(self._docs):
            self.did_close(uri)
        await self._context.close()
        self._on_close()

    # Foreground.

    @cached_property
    def _live(self) -> Live:
        """Made at the first use, which is on the event loop: the pipeline itself is made in another thread."""
        return Live(self._generator, self._tokenizer)

    @cached_property
    def _alternatives(self) -> Alternatives:
        return Alternatives(self._live, self._tokenizer, self._reuse)

    @cached_property
    def _idle(self) -> IdleWork:
        return IdleWork(self._live, self._tokenizer, self._reuse, self._context, self._docs)

    @cached_property
    def _cascade(self) -> Cascade:
        return Cascade(self._larger, self._tokenizer, self._show_second)

    def _doc(self, snapshot: Snapshot) -> OpenDocument:
        doc = self._docs.get(snapshot.uri)
        if doc is None:
            secrets = SecretScan(snapshot) if self._leaves_machine else None
            tree = SyntaxTree(snapshot.language_id, snapshot.text)
            doc = self._docs[snapshot.uri] = OpenDocument(self._new_anchors(), tree, snapshot, secrets)
        return doc

    def _new_anchors(self) -> Anchors:
        return Anchors(self._tokenizer, self._costs(), self._generator.n_cached, self._max_len)

    def _kept_here(self) -> str:
        """Return which documents are not sent to the server, and why; "" when all may be."""
        kept = {uri.rpartition("/")[2]: doc.secrets.found for uri, doc in self._docs.items() if doc.secrets and doc.secrets.found}
        return "; ".join(f"{name} is not sent: it seems to hold a {kind}" for name, kind in kept.items())

    def _wanted(self, snapshot: Snapshot, where: Place) -> bool:
        return where.suppress != "word" and snapshot.language_id not in self.settings.disabled_languages

    def _start(self, ask: Ask, doc: OpenDocument, anchor: Anchor, prompt: Prompt, typed: str) -> Entry:
        """Start a foreground generation; those that it makes useless are cancelled. Mutates: doc, the reuse store."""
        snapshot, where = ask.snapshot, ask.where
        corpora = draft_corpora(doc, self._docs.values())
        for old in (doc.running, doc.prefetch):
            if old is not None and old.reason is None:
                self._live.cancel(old.request_id)
            if old is not None and old.ids:
                corpora = (*corpora, tuple(old.ids))  # the stale suggestion is a good draft of the new one
        doc.running = entry = self._live.start(
            anchor,
            prompt,
            snapshot,
            where,
            self._stop_rule(where, snapshot, ask.explicit),
            typed,
            corpora=corpora,
            tree=doc.tree,
            on_done=lambda done: self._over(doc, done, ask.trace),
        )
        self._reuse.put(entry)
        return entry

    def _stop_rule(self, where: Place, snapshot: Snapshot, asked_for: bool = False) -> StopRule:
        return stop_rule(self.settings, self._tokenizer.fim.end, where, snapshot, asked_for)

    def _over(self, doc: OpenDocument, entry: Entry, trace: Trace) -> None:
        """Tell the client when a suggestion that it has in part is complete, typed along as it may be. Mutates: the trace."""
        trace.in_all(entry.stats)
        if doc.shown_of is not entry or entry.reason in ("cancelled", "error"):
            return
        shown = doc.see_more()
        if shown is not None and goes_on(shown, doc.given):
            self._give_more(doc, doc.snapshot, shown)

    def _show_second(self, place: Answered, shown: Trimmed) -> None:
        self._give_more(place.doc, place.snapshot, shown)
        if place.doc.prefetch is not None:
            self._reuse.drop(place.doc.prefetch)  # it follows accepting what was shown before
        if shown.start_cp == shown.end_cp:
            self._idle.prefetch(place.doc, place.snapshot, place.anchor, shown, self._stop_rule)

    def _give_more(self, doc: OpenDocument, snapshot: Snapshot, shown: Trimmed) -> None:
        """Tell the client of more, where it was answered with less. Mutates: what the document was given."""
        if self.on_extend is None or doc.answered != snapshot.at or (doc.given and doc.given.text == shown.text):
            return
        doc.given = suggestion_of(shown, snapshot, "background")
        self.on_extend(doc.given)

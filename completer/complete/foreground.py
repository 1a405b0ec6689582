"""The way of a keystroke: site, reuse, generate, wait, show. What is done while nobody waits: completer.complete.idle."""

from __future__ import annotations

from completer.complete.alternatives import Alternatives
from completer.complete.generations import Generations
from completer.complete.idle import IdleWork
from completer.complete.open_document import LastAnswer, OpenDocument, draft_corpora
from completer.complete.question import Question
from completer.complete.site import Site
from completer.complete.state import ClientState
from completer.complete.trace import Trace
from completer.prompt.prompt import lf
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import answered_by, suggestion_of
from completer.types import FinishReason, Replacement, Suggestion

_BROKEN: tuple[FinishReason, ...] = ("cancelled", "error")


class Foreground:
    """Answers the questions of one client. Owned by the event loop."""

    def __init__(self, state: ClientState) -> None:
        """Mutates nothing. Must be called on the event loop, on which the engine's tokens will arrive."""
        self._state = state
        self._generations = Generations(state.model.generator, state.model.tokenizer)
        self._alternatives = Alternatives(self._generations, state)
        self.idle = IdleWork(self._generations, state, self._redo)

    async def answer(self, question: Question, doc: OpenDocument) -> Suggestion | None:
        """Return what to show, by the question's deadline. Mutates: doc, the reuse store, the question's trace."""
        site = self._site(question, doc)
        question.trace.n_context, question.trace.tokenise_ms = site.anchor.n_context, question.elapsed_ms
        hit = self._state.reuse.lookup(site.anchor.number, site.typed)
        fresh = hit is None or (question.explicit and hit.entry.stops_unsure)  # the user asked for what is not sure enough
        if hit is None or fresh:
            hit = Hit(self._start(question, doc, site), 0)
        hit.entry.asked_for |= question.explicit
        await question.wait(self._generations, hit, fresh)
        shown = question.show(hit, fresh)
        others = await self._others(question, site, hit, shown) if shown is not None else []
        complete = question.is_complete(hit)
        if shown is not None and complete and shown.start_cp == shown.end_cp:
            self.idle.prefetch(doc, site, shown)
        given = suggestion_of(shown, site.snapshot, answered_by(hit, fresh), complete, others) if shown else None
        doc.answer = LastAnswer(question, site, hit, given)
        self.idle.prefill(doc, site.snapshot)
        self._redo(doc)  # a full window may have become ready while the small one answered
        return given

    def cancel_all(self, doc: OpenDocument) -> None:
        """End what is still generated or prefilled for a document."""
        for entry in doc.unfinished:
            self._generations.cancel(entry.request_id)
        if doc.prefill_id is not None:
            self._generations.cancel(doc.prefill_id)

    def _site(self, question: Question, doc: OpenDocument) -> Site:
        """Return where the question is asked. Mutates: the document's anchors."""
        snapshot = question.snapshot
        context_ids = self._state.context.lead_ids(snapshot.uri)
        anchor, prompt = doc.anchors.choose(snapshot, context_ids, explicit=question.explicit)
        return Site(snapshot, question.cursor, doc.tree, anchor, lf(anchor.typed(snapshot)), prompt)

    def _start(self, question: Question, doc: OpenDocument, site: Site) -> Entry:
        """Start a generation for a key, and cancel those that it makes useless. Mutates: doc, the reuse store."""
        corpora = draft_corpora(doc, self._state.docs.values())
        stale = [entry for entry in (doc.running, doc.prefetch) if entry is not None]
        for entry in doc.unfinished:
            self._generations.cancel(entry.request_id)
        # A stale suggestion is a good draft of the new one.
        corpora = (*corpora, *(tuple(entry.ids) for entry in stale if entry.ids))
        doc.running = self._generations.start(
            site,
            self._state.stop_rule(site.cursor, site.snapshot, question.explicit),
            corpora=corpora,
            on_done=lambda done: self._over(doc, done, question.trace),
        )
        self._state.reuse.put(doc.running)
        return doc.running

    async def _others(self, question: Question, site: Site, first: Hit, shown: Replacement) -> list[Replacement]:
        """Return what else could be shown, if the user asks again while a suggestion is visible. Mutates: the trace."""
        wanted = question.explicit and first.entry.reason not in (None, *_BROKEN) and self._state.model.generator.avoids
        if not wanted:
            return []
        asked_again = question.given is not None and question.given.text == shown.text
        began_ms = question.elapsed_ms
        others = await self._alternatives.of(site, first, shown, question if asked_again else None)
        question.trace.alternatives_ms = question.elapsed_ms - began_ms
        seen = {shown.text: shown}
        for entry in others:
            if (other := question.see(Hit(entry, 0))) is not None:
                seen.setdefault(other.text, other)
        return list(seen.values())[1:]

    def _over(self, doc: OpenDocument, entry: Entry, trace: Trace) -> None:
        """Send the rest of a suggestion that the client has in part, typed along as it may be. Mutates: doc, the trace."""
        trace.in_all(entry.stats)
        answer = doc.answer
        if answer is None or answer.hit.entry is not entry or entry.reason in _BROKEN:
            return
        if (shown := answer.more()) is not None:
            self._give(doc, answer, answer.hit, shown)

    def _redo(self, doc: OpenDocument) -> None:
        """Repeat the last answer with the full window, if a small one gave it and the full one is warm by now.

        Mutates: doc, the reuse store.
        """
        answer = doc.answer
        if answer is None or answer.site.anchor.full or answer.question.snapshot.at != doc.snapshot.at:
            return
        site = self._site(answer.question, doc)
        if not site.anchor.full:
            return

        def replace(entry: Entry) -> None:
            hit = Hit(entry, 0)
            if doc.answer is answer and entry.reason not in _BROKEN and (shown := answer.question.see(hit)) is not None:
                self._give(doc, LastAnswer(answer.question, site, hit, answer.given), hit, shown)

        rule = self._state.stop_rule(site.cursor, site.snapshot, answer.question.explicit)
        doc.redo = self._generations.start(site, rule, background=True, on_done=replace)
        self._state.reuse.put(doc.redo)

    def _give(self, doc: OpenDocument, answer: LastAnswer, hit: Hit, shown: Replacement) -> None:
        """Send the client a better text for its last question, unless the document went on. Mutates: doc."""
        site, given = answer.site, answer.given
        if self._state.on_extend is None or site.snapshot.at != doc.snapshot.at:
            return
        if given is not None and given.text == shown.text:
            return
        better = suggestion_of(shown, site.snapshot, "background")
        doc.answer = LastAnswer(answer.question, site, hit, better)
        self._state.on_extend(better)

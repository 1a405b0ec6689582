"""The way of a keystroke: site, reuse, generate, wait, show. What is done while nobody waits: completer.complete.idle."""

from __future__ import annotations

import time

from completer.complete.alternatives import Alternatives
from completer.complete.at_rest import AtRest, whole_block
from completer.complete.generations import Generations
from completer.complete.idle import IdleWork
from completer.complete.open_document import LastAnswer, OpenDocument, draft_corpora
from completer.complete.question import Question
from completer.complete.site import Site
from completer.complete.state import ClientState
from completer.complete.trace import Trace
from completer.prompt.prompt import lf
from completer.suggest.entries import Entry, Hit
from completer.suggest.placeholder import wants_a_body
from completer.suggest.visible import answered_by, suggestion_of
from completer.types import Replacement, Suggestion


class Foreground:
    """Answers the questions of one client. Owned by the event loop."""

    def __init__(self, state: ClientState) -> None:
        """Mutates nothing. Must be called on the event loop, on which the engine's tokens will arrive."""
        self._state = state
        self._generations = Generations(state.model.generator, state.model.tokenizer)
        self._alternatives = Alternatives(self._generations, state)
        self.idle = IdleWork(self._generations, state, self._on_full)
        self.at_rest = AtRest(self._generations, state, self._site, self._send)

    async def answer(self, question: Question, doc: OpenDocument) -> Suggestion | None:
        """Return what to show, by the question's deadline. Mutates: doc, the reuse store, the question's trace."""
        timeline = question.timeline
        if (at_rest := self.at_rest.again(doc, question)) is not None:
            return at_rest
        self.at_rest.end(doc)
        site = self._typed_along(question, doc) or self._site(question, doc)
        timeline.ended("prompt")
        question.trace.n_context, question.trace.tokenise_ms = site.anchor.n_context, question.elapsed_ms
        hit = self._state.reuse.lookup(site.anchor.number, site.typed)
        fresh = hit is None or (question.explicit and self._says_less(hit.entry, site))
        timeline.ended("reuse")
        if hit is None or fresh:
            hit = Hit(self._start(question, doc, site), 0)
            timeline.ended("submit")
        hit.entry.asked_for |= question.explicit
        await question.wait(self._generations, hit, fresh)
        timeline.ended("wait")
        shown = question.show(hit, fresh)
        timeline.ended("trim")
        others = await self._others(question, site, hit, shown) if shown is not None else []
        if others:
            timeline.ended("alternatives")
        complete = question.is_complete(hit)
        if shown is not None and complete and shown.start_cp == shown.end_cp:
            self.idle.prefetch(doc, site, shown)
        given = suggestion_of(shown, site.snapshot, answered_by(hit, fresh), complete, others) if shown else None
        doc.answer = LastAnswer(question, site, hit, given)
        self.idle.prefill(doc, site.snapshot)
        self._redo(doc)  # a full window may have become ready while the small one answered
        self.at_rest.begin(doc)
        return given

    def cancel_all(self, doc: OpenDocument) -> None:
        """End what is still generated or prefilled for a document, and wait for nothing more."""
        self.at_rest.end(doc)
        for entry in doc.unfinished:
            self._generations.cancel(entry.request_id)
        if doc.prefill_id is not None:
            self._generations.cancel(doc.prefill_id)

    def _site(self, question: Question, doc: OpenDocument) -> Site:
        """Return where the question is asked. Mutates: the document's anchors."""
        snapshot = question.snapshot
        place = self._state.place(doc, snapshot, question.cursor)
        context_ids = self._state.context.lead_ids(snapshot.uri)
        anchor, prompt = doc.anchors.choose(snapshot, context_ids, explicit=question.explicit, form=place.form)
        typed, wanted = lf(anchor.typed(snapshot)), wants_a_body(snapshot, place.block)
        return Site(snapshot, question.cursor, doc.tree, anchor, typed, prompt, wanted)

    def _typed_along(self, question: Question, doc: OpenDocument) -> Site | None:
        """Return the site of a suggestion that is typed along where another form of the prompt begins; None without one.

        An explicit request gets the form that the place wants.
        """
        if question.explicit:
            return None
        snapshot = question.snapshot
        form = self._state.place(doc, snapshot, question.cursor).form
        for anchor in doc.anchors.others(snapshot, form):
            typed = lf(anchor.typed(snapshot))
            hit = self._state.reuse.lookup(anchor.number, typed)
            if hit is not None and 0 < hit.n_typed < len(hit.entry.text):
                return Site(snapshot, question.cursor, doc.tree, anchor, typed, doc.anchors.prompt(anchor, snapshot))
        return None

    def _says_less(self, entry: Entry, site: Site) -> bool:
        """Whether a user who asks would get more: what is not sure enough, or the block that a line begins."""
        block = site.cursor.takes_block and not self._state.stop_rule(site.cursor, site.snapshot, explicit=True).single_line
        return entry.stops_unsure or (block and not entry.asked_for)

    def _start(self, question: Question, doc: OpenDocument, site: Site) -> Entry:
        """Start a generation for a key, and cancel those that it makes useless. Mutates: doc, the reuse store."""
        corpora = draft_corpora(doc, self._state.docs.values())
        stale = [entry for entry in (doc.running, doc.prefetch) if entry is not None]
        for entry in doc.unfinished:
            self._generations.cancel(entry.request_id)
        # A stale suggestion is a good draft of the new one.
        corpora = (*corpora, *(tuple(entry.ids) for entry in stale if entry.ids))
        site = self._state.with_evidence(site)
        question.timeline.submitted_s = time.perf_counter()
        doc.running = self._generations.start(
            whole_block(site) if question.explicit else site,
            self._state.stop_rule(site.cursor, site.snapshot, question.explicit),
            corpora=corpora,
            on_done=lambda done: self._over(doc, done, question.trace),
        )
        doc.running.on_stats = question.timeline.arrived
        self._state.reuse.put(doc.running)
        return doc.running

    async def _others(self, question: Question, site: Site, first: Hit, shown: Replacement) -> list[Replacement]:
        """Return what else could be shown, if the user asks again while a suggestion is visible. Mutates: the trace."""
        wanted = (
            question.explicit
            and first.entry.reason is not None
            and not first.entry.is_broken
            and self._state.model.generator.avoids
        )
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
        if answer is None or answer.hit.entry is not entry or entry.is_broken:
            return
        if (shown := answer.more()) is not None:
            self._give(doc, answer, answer.hit, shown)

    def _on_full(self, doc: OpenDocument) -> None:
        """Make use of a full window that became warm. Mutates: doc, the reuse store."""
        self._redo(doc)
        self.at_rest.resume(doc)

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
            if doc.answer is answer and not entry.is_broken and (shown := answer.question.see(hit)) is not None:
                self._give(doc, LastAnswer(answer.question, site, hit, answer.given), hit, shown)

        rule = self._state.stop_rule(site.cursor, site.snapshot, answer.question.explicit)
        doc.redo = self._generations.start(self._state.with_evidence(site), rule, background=True, on_done=replace)
        self._state.reuse.put(doc.redo)

    def _give(self, doc: OpenDocument, answer: LastAnswer, hit: Hit, shown: Replacement) -> None:
        """Send the client a better text for its last question, unless the document went on. Mutates: doc."""
        site, given = answer.site, answer.given
        if given is None or given.text != shown.text:
            better = suggestion_of(shown, site.snapshot, "background")
            self._send(doc, LastAnswer(answer.question, site, hit, better))

    def _send(self, doc: OpenDocument, better: LastAnswer) -> None:
        """Send the client a better answer to its last question, unless the document went on. Mutates: doc."""
        if not better.question.explicit and self._state.control.of_document(better.site.snapshot) is not None:
            return  # switched off meanwhile
        if self._state.on_extend is not None and better.given is not None and better.site.snapshot.at == doc.snapshot.at:
            doc.answer = better
            self._state.on_extend(better.given)

"""A block for a user who stops typing where one belongs. It grows line by line until it ends, or is no longer probable.

    answer ── block_after_ms ── due ── decode in the background ── line ── line ── end
       │                         │                                   └──────┴────────┴── completer/didExtendSuggestion
       │                         └ no full window is warm yet: wait for it
       └ a key, a move, Escape: nothing of it happens, and what is decoded by then ends before its next forward

No key is answered from a block: what is typed is answered as if there were none, and the client keeps what is visible
as long as it is typed along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os.path import commonprefix

from completer.complete.generations import Generations
from completer.complete.open_document import LastAnswer, OpenDocument, RestBlock, draft_corpora
from completer.complete.question import Question
from completer.complete.site import Site
from completer.complete.state import ClientState
from completer.suggest.block_end import ends_block
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import goes_on, is_complete, suggestion_of
from completer.types import Replacement, Suggestion

SiteOf = Callable[[Question, OpenDocument], Site]
Send = Callable[[OpenDocument, LastAnswer], None]


class AtRest:
    """Owned by the event loop. What belongs to one document is kept there (`OpenDocument.rest`)."""

    def __init__(self, generations: Generations, state: ClientState, site_of: SiteOf, send: Send) -> None:
        """site_of: returns where a question is asked now.  send: sends the client a better answer to its last question."""
        self._generations = generations
        self._state = state
        self._site_of = site_of
        self._send = send

    def begin(self, doc: OpenDocument) -> None:
        """Wait for a rest after an answer, if a block may come of it. Mutates: doc."""
        answer, after_ms = doc.answer, self._state.settings_of(doc.snapshot).block_after_ms
        if answer is None or answer.question.explicit or after_ms < 0 or doc.rest.dismissed == doc.snapshot.at:
            return
        if answer.site.cursor.takes_block or doc.rest.hit is not None:
            doc.rest.timer = self._state.later(after_ms / 1e3, lambda: self._due(doc))

    def end(self, doc: OpenDocument) -> None:
        """Want no block any more: something was typed, or the cursor moved. Mutates: doc; what was decoded is kept."""
        rest = doc.rest
        if rest.timer is not None:
            rest.timer.cancel()
        rest.timer = rest.due = None
        if rest.running is not None:
            self._generations.cancel(rest.running.request_id)

    def dismiss(self, doc: OpenDocument) -> None:
        """Offer no block here until something changes. Mutates: doc."""
        self.end(doc)
        doc.rest.dismissed, doc.rest.block = doc.snapshot.at, None

    def again(self, doc: OpenDocument, question: Question) -> Suggestion | None:
        """Return what there is of a block, for a client that asks once more at the place of its rest; None without one.

        Mutates: doc, the question's trace.
        """
        block = doc.rest.block
        if block is None or question.explicit or block.site.snapshot.at != question.snapshot.at:
            return None
        hit = Hit(block.entry, 0)
        shown = question.show(hit, fresh=False)
        if shown is None:
            return None
        doc.answer = self._answer(question, block.site, hit, shown)
        return doc.answer.given

    def resume(self, doc: OpenDocument) -> None:
        """Show the block, or begin to decode it, if its time has come. Mutates: doc."""
        answer, rest = doc.answer, doc.rest
        if answer is None or rest.due != doc.snapshot.at or rest.running is not None:
            return
        site = self._site_of(answer.question, doc)
        if not site.anchor.full:
            return  # called again when it is; what a small window says stays provisional
        hit = rest.hit
        if hit is not None and hit.entry.reason is not None and not hit.entry.is_broken:
            self._show(doc, site, hit)
            return
        rule = self._state.stop_rule(site.cursor, site.snapshot, explicit=True)
        if rule.single_line or not site.cursor.takes_block:
            return
        corpora = draft_corpora(doc, self._state.docs.values())
        said = (tuple(doc.running.ids),) if doc.running is not None and doc.running.ids else ()
        site = self._state.with_evidence(site)  # as the line before it, which it must go on from
        entry = self._generations.start_block(
            whole_block(site), rule, (*corpora, *said), lambda entry: self._grown(doc, site, entry)
        )
        rest.block, rest.typed = RestBlock(entry, site), ""

    def _due(self, doc: OpenDocument) -> None:
        doc.rest.timer = None
        if self._state.control.of_document(doc.snapshot) is None:  # not switched off meanwhile
            doc.rest.due = doc.snapshot.at
            self.resume(doc)

    def _grown(self, doc: OpenDocument, site: Site, entry: Entry) -> None:
        """Show a block's new line; end the block if no more of it will be shown. Mutates: doc, the entry."""
        if entry.is_broken:
            return
        whole_lines = replace(entry, text=entry.text[: entry.text.rfind("\n") + 1])  # a line is judged when it is there
        if entry.reason is None and is_complete(Hit(whole_lines, 0), self._state.settings_of(site.snapshot).confidence):
            entry.reason = whole_lines.reason = "confidence"
            self._generations.cancel(entry.request_id)
        self._show(doc, site, Hit(entry if entry.reason else whole_lines, 0))

    def _show(self, doc: OpenDocument, site: Site, hit: Hit) -> None:
        """Send what can be shown of a block where the user rests, if that is more than what was given. Mutates: doc."""
        answer = doc.answer
        if answer is None or doc.rest.due != doc.snapshot.at or site.snapshot.at != doc.snapshot.at:
            return
        shown, given = answer.question.see(hit), answer.given
        if shown is None or (given is not None and len(shown.text) <= len(given.text)):
            return
        if answer.site.anchor.number == site.anchor.number and not goes_on(shown, given):
            return
        self._send(doc, self._answer(answer.question, site, hit, shown))

    @staticmethod
    def _answer(question: Question, site: Site, hit: Hit, shown: Replacement) -> LastAnswer:
        sure = question.see(Hit(replace(hit.entry, block=False), hit.n_typed))
        n_sure = len(commonprefix((sure.text, shown.text))) if sure is not None else 0
        given = suggestion_of(shown, site.snapshot, "background", question.is_complete(hit))
        return LastAnswer(question, site, hit, replace(given, n_sure=n_sure))


def whole_block(site: Site) -> Site:
    """Return the site for a block there: where nothing of the cursor's block follows, it may have several statements."""
    return replace(site, tree=None) if ends_block(site.snapshot, site.cursor) else site

"""Completes the documents of one client: hands questions to the foreground, and follows what the client tells."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from completer.complete.control import Control
from completer.complete.explanation import Explanation, explain
from completer.complete.foreground import Foreground
from completer.complete.open_document import OpenDocument
from completer.complete.question import Question
from completer.complete.quiet import Quiet
from completer.complete.state import ClientState, Model
from completer.complete.timeline import Timeline, chrome_trace
from completer.config import Settings
from completer.document.secrets import SecretScan
from completer.prompt.anchors import context_budget
from completer.prompt.context.context import Context
from completer.prompt.memory.memory import Memory
from completer.syntax.cursor import cursor_context
from completer.syntax.tree import SyntaxTree
from completer.types import Edit, Replacement, Snapshot, Suggestion

log = logging.getLogger(__name__)

CURSOR_REST_S = 0.03
"""A cursor that moved is left alone for so long before its place is prefilled; editors wait themselves before they tell."""

MAX_RESTING = 8
"""Documents whose place is prefilled at once. An editor that opens a hundred files has its cursor in one of them."""


class Pipeline:
    """Owned by its client's event loop; see `completer.complete.api.Completer`."""

    def __init__(self, model: Model, settings: Settings, *, on_close: Callable[[], None] = lambda: None) -> None:
        """on_close: called once, when the client is gone."""
        costs = model.costs()
        context = Context(model.tokenizer, context_budget(costs, model.max_len))
        memory = Memory(on=settings.memory and model.generator.avoids)
        self._state = ClientState(model, context, memory, Control(settings))
        self._on_close = on_close
        self._resting: dict[str, OpenDocument] = {}  # by the time of the last move

    async def complete(self, snapshot: Snapshot, *, explicit: bool, selected: Replacement | None = None) -> Suggestion | None:
        """See `completer.complete.api.Completer.complete`."""
        timeline = Timeline()
        doc = self._doc(snapshot)
        doc.snapshot = snapshot
        given, doc.answer = doc.given, None
        cursor = cursor_context(snapshot, doc.tree)
        timeline.ended("syntax")
        trace = self._state.traces.new(snapshot, cursor.kind)
        settings = self._state.settings_of(snapshot)
        question = Question(snapshot, cursor, settings, trace, explicit, selected, given, timeline)
        doc.quiet = self._quiet(doc, question)
        trace.reason = doc.quiet.reason if doc.quiet else ""
        suggestion = await self._foreground.answer(question, doc) if doc.quiet is None else None
        timeline.ended("plan")
        trace.total_ms = question.elapsed_ms
        self._state.traces.add(trace, explicit=explicit)
        log.info("%s", trace)
        return suggestion

    # What the client tells.

    def set_folders(self, folders: Sequence[Path]) -> None:
        self._state.context.set_folders(folders)
        self._state.memory.set_folders(folders)
        self._forget_anchors()

    def did_open(self, snapshot: Snapshot) -> None:
        self._doc(snapshot)
        self.did_move_cursor(snapshot)

    def did_change(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        doc = self._state.docs.get(snapshot.uri)
        if doc is None:
            return
        self._foreground.at_rest.end(doc)
        for edit in edits:
            doc.tree.edit(edit)
        doc.rest.edited(edits)
        doc.only_deleted = bool(edits) and all(not edit.new_text for edit in edits)
        doc.anchors.edited(edits)
        doc.snapshot = snapshot
        if doc.secrets is not None:
            doc.secrets.edit(snapshot, edits)

    def did_move_cursor(self, snapshot: Snapshot) -> None:
        doc = self._doc(snapshot)
        if snapshot.at != doc.snapshot.at:
            self._foreground.at_rest.end(doc)
            doc.only_deleted = False
        doc.snapshot = snapshot
        self._stop_resting(doc)
        doc.resting = asyncio.get_running_loop().call_later(CURSOR_REST_S, self._rested, doc, snapshot)
        self._resting[snapshot.uri] = doc
        if len(self._resting) > MAX_RESTING:
            self._stop_resting(next(iter(self._resting.values())))

    def _rested(self, doc: OpenDocument, snapshot: Snapshot) -> None:
        self._stop_resting(doc)
        self._foreground.idle.prefill(doc, snapshot)

    def _stop_resting(self, doc: OpenDocument) -> None:
        """Mutates: the document, whose timer ends."""
        self._resting.pop(doc.snapshot.uri, None)
        if doc.resting is not None:
            doc.resting.cancel()
            doc.resting = None

    def did_close(self, uri: str) -> None:
        self._state.control.closed(uri)
        self._free(uri)

    def _free(self, uri: str) -> None:
        doc = self._state.docs.pop(uri, None)
        if doc is None:
            return
        self._state.context.closed(uri)
        self._state.memory.closed(uri)
        self._stop_resting(doc)
        self._foreground.cancel_all(doc)

    def did_accept(self, suggestion: Suggestion, n_chars: int) -> None:
        """Nothing to do: what follows was prefetched when the suggestion was answered."""

    def did_dismiss(self, suggestion: Suggestion) -> None:
        if (doc := self._state.docs.get(suggestion.uri)) is not None:
            self._foreground.at_rest.dismiss(doc)

    # Settings, figures, the end.

    @property
    def settings(self) -> Settings:
        return self._state.settings

    def set_settings(self, settings: Settings) -> None:
        self._state.control.set_settings(settings)
        for doc in self._state.docs.values():
            wants_context = self._state.wants_context(doc.snapshot)
            if doc.wants_context != wants_context:
                doc.wants_context = wants_context
                self._state.context.closed(doc.snapshot.uri)
                doc.anchors = self._state.new_anchors(doc.snapshot)
        wanted = settings.memory or any(map(self._state.wants_memory, self._snapshots()))
        self._state.memory.switch(wanted and self._state.model.generator.avoids)

    def _snapshots(self) -> Iterator[Snapshot]:
        return (doc.snapshot for doc in self._state.docs.values())

    @property
    def control(self) -> Control:
        return self._state.control

    @control.setter
    def control(self, control: Control) -> None:
        settings, self._state.control = self.settings, control
        self.set_settings(settings)

    @property
    def on_extend(self) -> Callable[[Suggestion], None] | None:
        return self._state.on_extend

    @on_extend.setter
    def on_extend(self, on_extend: Callable[[Suggestion], None] | None) -> None:
        self._state.on_extend = on_extend

    def explain(self, uri: str) -> Explanation | Quiet | str:
        doc = self._state.docs.get(uri)
        if doc is None:
            return "the document is not open"
        if doc.quiet is not None:
            return doc.quiet
        if doc.answer is not None:
            return explain(doc.answer, self._state.model.tokenizer)
        return self._state.control.of_document(doc.snapshot) or "nothing was requested here yet"

    def chrome_trace(self, uri: str) -> dict[str, Any] | None:
        """Return the steps of the last answer for a document; see `completer.complete.timeline.chrome_trace`."""
        doc = self._state.docs.get(uri)
        question = doc.answer.question if doc is not None and doc.answer is not None else None
        return chrome_trace(question.timeline, question.trace) if question is not None else None

    def metrics(self) -> list[dict[str, Any]]:
        return self._state.traces.as_dicts()

    def status(self) -> dict[str, Any]:
        model = self._state.model
        latency = {f"latency_p{p}_ms": self._state.traces.latency_ms(p) for p in (50, 95)}
        trouble = model.health.message or model.generator.message or self._late()
        message = trouble or self._kept_here()
        memory = {"memory_mb": round(self._state.memory.n_bytes / 1e6, 1), "indexing": self._state.memory.busy}
        return {"model": model.name, "engine": model.engine, **latency, **memory, "message": message, "slow": bool(trouble)}

    async def settled(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do in idle time; return whether that came about. For tests and benchmarks."""
        end = time.monotonic() + timeout_s
        docs = self._state.docs
        while time.monotonic() < end:
            busy = any(doc.prefill_anchor or doc.resting or doc.rest.timer or doc.unfinished for doc in docs.values())
            if not self._state.context.busy and not self._state.memory.busy and not busy:
                return True
            await asyncio.sleep(0.01)
        return False

    async def close(self) -> None:
        for uri in list(self._state.docs):
            self._free(uri)  # the documents are still open, for the next completer of the client
        await self._state.context.close()
        await self._state.memory.close()
        self._on_close()

    @cached_property
    def _foreground(self) -> Foreground:
        """Made at the first use, which is on the event loop: the pipeline itself is made in another thread."""
        return Foreground(self._state)

    def _doc(self, snapshot: Snapshot) -> OpenDocument:
        doc = self._state.docs.get(snapshot.uri)
        if doc is None:
            secrets = SecretScan(snapshot) if self._state.model.leaves_machine else None
            tree, anchors = SyntaxTree(snapshot.language_id, snapshot.text), self._state.new_anchors(snapshot)
            doc = self._state.docs[snapshot.uri] = OpenDocument(anchors, tree, snapshot, secrets)
            doc.wants_context = self._state.wants_context(snapshot)
        return doc

    def _forget_anchors(self) -> None:
        """Nothing of a context block that is no longer wanted may serve another prompt. Mutates: the documents."""
        for doc in self._state.docs.values():
            doc.anchors = self._state.new_anchors(doc.snapshot)

    def _late(self) -> str:
        """Return a sentence if answers while typing often miss the budget, else ""."""
        budget_ms = self.settings.budget_ms
        p95_ms = self._state.traces.p95_above_ms(budget_ms)
        if p95_ms is None:
            return ""
        return f"one answer in 20 takes {p95_ms:.0f} ms or more, the budget is {budget_ms:g} ms: choose a smaller model"

    def _kept_here(self) -> str:
        """Return which documents are not sent to the server, and why; "" when all may be."""
        found = {uri: doc.secrets.found for uri, doc in self._state.docs.items() if doc.secrets and doc.secrets.found}
        return "; ".join(f"{uri.rpartition('/')[2]} is not sent: it seems to hold a {kind}" for uri, kind in found.items())

    def _quiet(self, doc: OpenDocument, question: Question) -> Quiet | None:
        """Return why nothing is asked of the model, or None."""
        if doc.is_secret:
            return Quiet("secret")
        if question.explicit:
            return None
        return self._state.control.of_place(question.snapshot, question.cursor, deleted=doc.only_deleted)

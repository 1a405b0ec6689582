"""What the work for one client shares: the model, the settings, the open documents, the finished suggestions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from completer.complete.control import Control
from completer.complete.open_document import OpenDocument, Place, Timer
from completer.complete.site import Site
from completer.complete.trace import TraceLog
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.engines.health import Health
from completer.generate.generator import Generator
from completer.prompt.anchors import Anchors
from completer.prompt.context.context import Context
from completer.prompt.memory.memory import Memory
from completer.suggest.block_end import stop_rule
from completer.suggest.entries import ReuseStore
from completer.suggest.placeholder import is_placeholder
from completer.syntax.block import Block, block_around
from completer.syntax.cursor import CursorContext, cursor_context
from completer.tokens.tokenizer import Tokenizer
from completer.types import PromptForm, Snapshot, StopRule, Suggestion


@dataclass(frozen=True, slots=True)
class Model:
    """A model at work, shared by all clients.

    costs: returns what a forward costs, as far as is known by then.  max_len: tokens that a slot holds.
    name, engine: for `status`.  leaves_machine: the engine is a server, so it is sent no secrets.
    health: what went wrong with the model, though it runs.
    """

    generator: Generator
    tokenizer: Tokenizer
    costs: Callable[[], CostCurve]
    max_len: int
    name: str = ""
    engine: str = ""
    leaves_machine: bool = False
    health: Health = field(default_factory=Health)


Later = Callable[[float, Callable[[], None]], Timer]
"""Does something after so many seconds, unless that is cancelled."""


def call_later(delay_s: float, do: Callable[[], None]) -> Timer:
    """Do something on the running event loop, `delay_s` seconds from now."""
    return asyncio.get_running_loop().call_later(delay_s, do)


@dataclass(slots=True)
class ClientState:
    """Owned by the event loop. docs: the open documents by URI.  on_extend: see `completer.complete.api.Completer`.

    later: the clock that tells when a user rests.
    """

    model: Model
    context: Context
    memory: Memory
    control: Control
    docs: dict[str, OpenDocument] = field(default_factory=dict)
    reuse: ReuseStore = field(default_factory=ReuseStore)
    traces: TraceLog = field(default_factory=TraceLog)
    on_extend: Callable[[Suggestion], None] | None = None
    later: Later = call_later

    def new_anchors(self, snapshot: Snapshot) -> Anchors:
        """Return the anchors of a document that was just opened, or whose context changed."""
        model, name_ids = self.model, self.context.name_ids(snapshot)
        return Anchors(model.tokenizer, model.costs(), model.generator.n_cached, model.max_len, name_ids)

    @property
    def settings(self) -> Settings:
        """Return the settings of documents in folders that have none of their own."""
        return self.control.settings

    def settings_of(self, snapshot: Snapshot) -> Settings:
        """Return the settings that hold in a document."""
        return self.control.settings_of(snapshot)

    def wants_context(self, snapshot: Snapshot) -> bool:
        """Whether other files may tell the model something in a document."""
        return self.settings_of(snapshot).context == "auto"

    def wants_memory(self, snapshot: Snapshot) -> bool:
        """Whether other places of the workspace may tell how a line of a document goes on."""
        return self.settings_of(snapshot).memory

    def place(self, doc: OpenDocument, snapshot: Snapshot, cursor: CursorContext | None = None) -> Place:
        """Return what a place is to the prompt. Mutates: what the document remembers of its last place."""
        if doc.place is None or doc.place.at != snapshot.at:
            cursor = cursor or cursor_context(snapshot, doc.tree)
            block = block_around(snapshot, cursor)
            doc.place = Place(snapshot.at, block, self.form_of(cursor, block))
        return doc.place

    def form_of(self, cursor: CursorContext, block: Block) -> PromptForm:
        """Return the form at a place whose surroundings are known.

        Inside a literal the model must see where that ends. Files that are no programs were not measured.
        """
        measured = cursor.inside in ("code", "line_comment") and cursor.language.statement_ends
        return self.model.tokenizer.fim.format.forms.at(block.rest) if measured else "middle"

    def with_evidence(self, site: Site) -> Site:
        """Return a site with what the workspace says about its line. That bodies are empty elsewhere is no evidence."""
        wanted = site.cursor.inside == "code" and self.wants_memory(site.snapshot)
        evidence = self.memory.recall(site.snapshot) if wanted else None
        empty = evidence is not None and site.wants_body and is_placeholder(evidence.text.decode(errors="replace"))
        return site if empty else replace(site, evidence=evidence)

    def stop_rule(self, cursor: CursorContext, snapshot: Snapshot, explicit: bool = False) -> StopRule:
        """Return when decoding ends at a place."""
        return stop_rule(self.settings_of(snapshot), self.model.tokenizer.fim.end, cursor, snapshot, explicit)

"""What the work for one client shares: the model, the settings, the open documents, the finished suggestions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from completer.complete.open_document import OpenDocument
from completer.complete.trace import TraceLog
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.engines.health import Health
from completer.generate.generator import Generator
from completer.prompt.anchors import Anchors
from completer.prompt.context.context import Context
from completer.suggest.block_end import stop_rule
from completer.suggest.entries import ReuseStore
from completer.syntax.cursor import CursorContext
from completer.tokens.tokenizer import Tokenizer
from completer.types import Snapshot, StopRule, Suggestion


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


@dataclass(slots=True)
class ClientState:
    """Owned by the event loop. docs: the open documents by URI.  on_extend: see `completer.complete.api.Completer`."""

    model: Model
    settings: Settings
    context: Context
    docs: dict[str, OpenDocument] = field(default_factory=dict)
    reuse: ReuseStore = field(default_factory=ReuseStore)
    traces: TraceLog = field(default_factory=TraceLog)
    on_extend: Callable[[Suggestion], None] | None = None

    def new_anchors(self, snapshot: Snapshot) -> Anchors:
        """Return the anchors of a document that was just opened, or whose context changed."""
        model, name_ids = self.model, self.context.name_ids(snapshot)
        return Anchors(model.tokenizer, model.costs(), model.generator.n_cached, model.max_len, name_ids)

    def stop_rule(self, cursor: CursorContext, snapshot: Snapshot, explicit: bool = False) -> StopRule:
        """Return when decoding ends at a place."""
        return stop_rule(self.settings, self.model.tokenizer.fim.end, cursor, snapshot, explicit)

"""What belongs to one open document while its client is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from completer.complete.question import Question
from completer.complete.quiet import Quiet
from completer.complete.site import Site
from completer.document.secrets import SecretScan
from completer.prompt.anchors import Anchors
from completer.prompt.prompt import Anchor, lf
from completer.suggest.entries import Entry, Hit
from completer.suggest.visible import goes_on
from completer.syntax.block import Block
from completer.syntax.tree import SyntaxTree
from completer.types import Edit, PromptForm, Replacement, Snapshot, Suggestion

MAX_CORPORA = 4
"""Texts in which drafts are looked up, tens of thousands of characters each."""


class Timer(Protocol):
    """Something that will be done later, as `asyncio.TimerHandle` is."""

    def cancel(self) -> None:
        """See to it that it is not done."""
        ...


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What the client was answered last: `given`, as much of `hit` as could be shown then."""

    question: Question
    site: Site
    hit: Hit
    given: Suggestion | None

    def more(self) -> Replacement | None:
        """Return what can be shown by now, if it goes on with what was given."""
        shown = self.question.see(self.hit)
        return shown if shown is not None and goes_on(shown, self.given) else None


class RestBlock(NamedTuple):
    """A block for a user who rested at `site`."""

    entry: Entry
    site: Site


@dataclass(slots=True)
class Rest:
    """What a rest of the user may lead to; see `completer.complete.at_rest`.

    timer: until a block is due.  due: where it is (`Snapshot.at`).
    block: the last one.  typed: what has been typed since where it begins.
    dismissed: where the user sent what was visible away.
    """

    timer: Timer | None = None
    due: tuple[str, int, int] | None = None
    block: RestBlock | None = None
    typed: str = ""
    dismissed: tuple[str, int, int] | None = None

    @property
    def running(self) -> Entry | None:
        """The block that is being decoded."""
        return self.block.entry if self.block is not None and self.block.entry.reason is None else None

    @property
    def hit(self) -> Hit | None:
        """How far the last block has been typed; None if something else was typed, or it has no more."""
        entry, typed = self.block.entry if self.block else None, lf(self.typed)
        agrees = entry is not None and len(entry.text) > len(typed) and entry.text.startswith(typed)
        return Hit(entry, len(typed)) if agrees and entry else None

    def edited(self, edits: Sequence[Edit]) -> None:
        """Follow what is typed where the block begins, and deleted again. Mutates: typed; any other edit drops the block."""
        for edit in edits:
            if self.block is None:
                return
            start_cp = self.block.site.snapshot.cursor_cp
            n_left, at_end = edit.start_cp - start_cp, edit.old_end_cp == start_cp + len(self.typed)
            if at_end and n_left >= 0:
                self.typed = self.typed[:n_left] + edit.new_text
            else:
                self.block, self.typed = None, ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place (`Snapshot.at`), the blocks around it, and the form that the prompt has there."""

    at: tuple[str, int, int]
    block: Block
    form: PromptForm


@dataclass(slots=True)
class OpenDocument:
    """Owned by the event loop.

    snapshot: the latest.  secrets: None if nothing leaves the machine.  running, prefetch: the last generation for a key,
    and for what follows accepting.  redo: the last one that repeats an answer with a full window.
    prefill_anchor: what idle time is prefilling, by the request prefill_id.
    answer: the last one, None while a request waits for one.
    quiet: why the last request was not passed on to the model.
    only_deleted: the last change only deleted text, and the cursor is still there.
    wants_context: other files may tell the model something here.
    resting: the timer of a cursor that moved.  rest: of a user who stopped typing.  parsing: a parse in another thread.
    text_ids: tokens of its text as it was when the cursor last rested in it, in which drafts are looked up.
    place: the last one for which the form of the prompt was worked out.
    """

    anchors: Anchors
    tree: SyntaxTree
    snapshot: Snapshot
    secrets: SecretScan | None = None
    running: Entry | None = None
    prefetch: Entry | None = None
    redo: Entry | None = None
    answer: LastAnswer | None = None
    prefill_id: int | None = None
    prefill_anchor: Anchor | None = None
    quiet: Quiet | None = None
    only_deleted: bool = False
    wants_context: bool = True
    resting: asyncio.TimerHandle | None = None
    rest: Rest = field(default_factory=Rest)
    parsing: asyncio.Future[Any] | None = None
    text_ids: tuple[int, ...] = ()
    place: Place | None = None

    @property
    def is_secret(self) -> bool:
        """Whether it must not be sent to a server."""
        return self.secrets is not None and self.secrets.found is not None

    @property
    def given(self) -> Suggestion | None:
        """What the client was given at the place where the document is now."""
        here = self.answer is not None and self.answer.question.snapshot.at == self.snapshot.at
        return self.answer.given if here and self.answer else None

    @property
    def unfinished(self) -> list[Entry]:
        """The generations that still run for it."""
        mine = (self.running, self.prefetch, self.redo, self.rest.running)
        return [entry for entry in mine if entry is not None and entry.reason is None]


def draft_corpora(doc: OpenDocument, docs: Iterable[OpenDocument]) -> tuple[tuple[int, ...], ...]:
    """Return the tokens in which drafts are looked up: those of `doc`, then of others in its language, MAX_CORPORA at most."""
    others = (other for other in docs if other is not doc and other.snapshot.language_id == doc.snapshot.language_id)
    return tuple(ids for ids in (doc.text_ids, *(other.text_ids for other in others)) if ids)[:MAX_CORPORA]

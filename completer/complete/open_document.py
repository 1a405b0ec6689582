"""What belongs to one open document while its client is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from completer.document.secrets import SecretScan
from completer.prompt.anchors import Anchors
from completer.prompt.prompt import Anchor
from completer.suggest.entries import Entry
from completer.suggest.trim import Trimmed
from completer.syntax.tree import SyntaxTree
from completer.types import Snapshot, Suggestion

MAX_CORPORA = 4
"""Texts in which drafts are looked up, tens of thousands of characters each."""


@dataclass(slots=True)
class OpenDocument:
    """Owned by the event loop.

    snapshot: the latest.  secrets: None where nothing leaves the machine.  running, prefetch: the last generation for a key, and
    for what follows accepting.  prefill_anchor: what idle time is prefilling, by the request prefill_id.
    answered: where the client was last answered (`Snapshot.at`), None while it waits.  given: what it has got there so far, of
    the entry `shown_of`; `see_more` says what of that can be shown there by now.
    resting: the timer of a cursor that moved.  parsing: a parse in another thread.
    text_ids: tokens of its text as it was when the cursor last rested in it, where drafts are looked up.
    """

    anchors: Anchors
    tree: SyntaxTree
    snapshot: Snapshot
    secrets: SecretScan | None = None
    running: Entry | None = None
    prefetch: Entry | None = None
    answered: tuple[str, int, int] | None = None
    given: Suggestion | None = None
    shown_of: Entry | None = None
    see_more: Callable[[], Trimmed | None] = lambda: None
    prefill_id: int | None = None
    prefill_anchor: Anchor | None = None
    resting: asyncio.TimerHandle | None = None
    parsing: asyncio.Future[Any] | None = None
    text_ids: tuple[int, ...] = ()

    @property
    def is_secret(self) -> bool:
        """Whether it must not be sent to a server."""
        return self.secrets is not None and self.secrets.found is not None


def draft_corpora(doc: OpenDocument, docs: Iterable[OpenDocument]) -> tuple[tuple[int, ...], ...]:
    """Return the tokens in which drafts are looked up: those of `doc`, then of others in its language, MAX_CORPORA at most."""
    others = (other for other in docs if other is not doc and other.snapshot.language_id == doc.snapshot.language_id)
    return tuple(ids for ids in (doc.text_ids, *(other.text_ids for other in others)) if ids)[:MAX_CORPORA]

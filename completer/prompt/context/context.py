"""The context of one client's documents: keeps a block for each, and makes it grow in a thread of its own when idle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from completer.document.secrets import find_secret
from completer.prompt.context.block import Block, BlockMaker
from completer.prompt.context.document_name import document_name
from completer.prompt.context.gather import Gatherer, GatherRequest
from completer.tokens.tokenizer import Tokenizer
from completer.types import Snapshot

log = logging.getLogger(__name__)

REFRESH_S = 2.0
"""A document's block is not looked at again sooner than this."""


@dataclass(slots=True)
class _Doc:
    """A document's block and what leads to the document: block and path as tokens, () without a block."""

    block: Block = field(default_factory=Block)
    lead_ids: tuple[int, ...] = ()
    started: float | None = None
    gathered_for: tuple[int, int] | None = None  # version and cursor
    gathering: bool = False


class Context:
    """Owned by the event loop. Its thread gets snapshots and gives pieces; it shares nothing else with the loop."""

    def __init__(self, tokenizer: Tokenizer, budget: int) -> None:
        """budget: most tokens of a block; 0: none is made."""
        self._maker = BlockMaker(tokenizer, budget)
        self._docs: dict[str, _Doc] = {}
        self._gatherer = Gatherer(())
        self._folders: tuple[Path, ...] = ()
        self._thread: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Take the workspace folders; nothing outside them is ever read. Mutates: all blocks are empty and due."""
        self._gatherer.stop.set()
        self._gatherer, self._folders = Gatherer(folders), tuple(folders)
        self._docs.clear()

    def closed(self, uri: str) -> None:
        """Forget a document."""
        self._docs.pop(uri, None)

    def name_ids(self, snapshot: Snapshot) -> tuple[int, ...]:
        """Return the tokens that name a document, for its prompts without a block. No file is looked at."""
        name = document_name(snapshot.uri, snapshot.language_id, self._folders)
        return tuple(self._maker.file_ids(name, snapshot.language_id))

    def lead_ids(self, uri: str) -> tuple[int, ...]:
        """Return the tokens in front of a document's prompt: its block, then the document's own name; () without a block."""
        doc = self._docs.get(uri)
        return doc.lead_ids if doc is not None else ()

    def block(self, uri: str) -> Block:
        """Return the block of a document as it is now."""
        doc = self._docs.get(uri)
        return doc.block if doc is not None else Block()

    @property
    def busy(self) -> bool:
        """Whether something is being gathered."""
        return bool(self._tasks)

    def refresh(self, snapshot: Snapshot, others: Sequence[Snapshot], on_ready: Callable[[], None]) -> bool:
        """Begin to bring a document's block up to date; return whether that is under way, False where nothing is to do.

        others: the other open documents.  on_ready: called once on the event loop when it is over, whatever came of it;
        of several calls meanwhile only the first one's.
        """
        if self._maker.budget <= 0:
            return False
        doc = self._docs.setdefault(snapshot.uri, _Doc())
        if doc.gathering:
            return True
        now, state = time.monotonic(), (snapshot.version, snapshot.cursor_cp)
        if doc.gathered_for == state or (doc.started is not None and now - doc.started < REFRESH_S):
            return False
        doc.started, doc.gathered_for, doc.gathering = now, state, True
        place = GatherRequest(snapshot, tuple(others), self._maker.budget)
        task = asyncio.get_running_loop().create_task(self._refresh(doc, place, on_ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Stop gathering."""
        self._gatherer.stop.set()
        for task in list(self._tasks):
            task.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _refresh(self, doc: _Doc, place: GatherRequest, on_ready: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="context")
        loop, gatherer = asyncio.get_running_loop(), self._gatherer
        try:
            block = await loop.run_in_executor(self._thread, _grown, gatherer, self._maker, place, doc.block)
            lead = (*block.ids, *self.name_ids(place.snapshot)) if block.pieces else ()
            # A document that was forgotten meanwhile, for new folders or settings, keeps nothing of this.
            doc.block, doc.lead_ids = block, lead
        except Exception:
            # Reading strangers' files can fail in more ways than one can list; without context we still complete.
            log.exception("no context for a document")
        finally:
            doc.gathering = False
        on_ready()


def _grown(gatherer: Gatherer, maker: BlockMaker, place: GatherRequest, block: Block) -> Block:
    """Runs in the context thread."""
    found = gatherer.gather(place)
    # Whatever the engine is: a secret of another file has no place in a suggestion for this one.
    pieces = [piece for piece in found.pieces if find_secret(piece.text) is None]
    return maker.grow(block, pieces, found.name)

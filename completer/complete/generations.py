"""Suggestions in the making: starts generations, gathers their tokens on the event loop, and knows when a rule ends one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from completer.complete.site import Site
from completer.generate.scheduler import Generator
from completer.suggest.block_end import sibling_stop
from completer.suggest.confidence import Piece
from completer.suggest.entries import Entry
from completer.tokens.tokenizer import Tokenizer, whole_characters
from completer.types import FinishReason, GenerateRequest, Prompt, StopRule, Token

_ids = itertools.count(1)


class Generations:
    """The running generations of one client. Owned by the event loop; the engine's thread only posts to it."""

    def __init__(self, generator: Generator, tokenizer: Tokenizer) -> None:
        self._generator = generator
        self._tokenizer = tokenizer
        self._progress = asyncio.Condition()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self,
        site: Site,
        stop: StopRule,
        *,
        background: bool = False,
        corpora: tuple[tuple[int, ...], ...] = (),
        avoid: tuple[bytes, ...] = (),
        on_done: Callable[[Entry], None] = lambda _: None,
    ) -> Entry:
        """Submit a generation and return its entry, which grows from now on. on_done: called once, on the event loop."""
        n_healed = len(site.prompt.heal_bytes)
        entry = Entry(site.anchor.number, site.typed, next(_ids), background=background, n_healed_bytes=n_healed)
        request = GenerateRequest(
            entry.request_id,
            site.snapshot.uri,
            site.prompt,
            stop,
            priority=1 if background else 0,
            corpus_ids=corpora,
            avoid=avoid,
        )

        def grow(tokens: list[Token]) -> None:
            if entry.reason is None:
                self._grow(entry, tokens, site, stop)

        def finish(reason: FinishReason) -> None:
            entry.reason = entry.reason or reason
            on_done(entry)
            self._notify()

        entry.stats = self._generator.submit(
            request,
            lambda tokens: self._post(lambda: grow(tokens)),
            lambda reason, _: self._post(lambda: finish(reason)),
        )
        return entry

    def prefill(self, uri: str, prompt: Prompt, on_done: Callable[[FinishReason], None]) -> int:
        """Bring a slot to `prompt` in idle time; return the request's id. on_done: called once, on the event loop."""
        request = GenerateRequest(next(_ids), uri, prompt, StopRule(max_tokens=0), priority=2)
        self._generator.submit(request, lambda _: None, lambda reason, _: self._post(lambda: on_done(reason)))
        return request.id

    def cancel(self, request_id: int) -> None:
        """End a generation before its next forward; what it fed stays in the slot."""
        self._generator.cancel(request_id)

    async def wait(self, enough: Callable[[], bool], timeout_s: float) -> None:
        """Return when `enough()` holds, asked at each progress of any generation, or when the time is up."""
        try:
            async with asyncio.timeout(max(timeout_s, 0.0)), self._progress:
                await self._progress.wait_for(enough)
        except TimeoutError:
            return

    def _grow(self, entry: Entry, tokens: list[Token], site: Site, stop: StopRule) -> None:
        """Take new tokens; the syntax may end a block that the engine would go on with. Mutates: entry."""
        text = entry.text
        for token in tokens:
            entry.ids.append(token.id)
            text = whole_characters(self._tokenizer.bytes_of(entry.ids)[entry.n_healed_bytes :])
            entry.pieces.append(Piece(len(text), token.prob))
        if stop.single_line:
            text = text.partition("\n")[0]
        elif "\n" in text[len(entry.text) :]:
            cut = sibling_stop(site.snapshot, site.cursor, text, site.tree)
            if cut is not None:
                text = text[:cut]
                entry.reason = "block"
                self._generator.cancel(entry.request_id)
        entry.text = text
        self._notify()

    def _post(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    def _notify(self) -> None:
        async def notify() -> None:
            async with self._progress:
                self._progress.notify_all()

        task = self._loop.create_task(notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

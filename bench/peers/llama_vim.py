"""llama.vim against a llama.cpp server, event by event as the plugin does it.

At every movement in insert mode: hide the hint; look for one in the cache, show it, and ask ahead for what
follows it; then ask for the place itself unless an answer is known. While a request runs no other is sent; the
latest one wished for is tried again after 100 ms. A request is never cancelled. Answers go into the cache, and the hint of
the place where the cursor is then is shown.

Source: ggml-org/llama.vim, autoload/llama.vim (`s:on_move`, `llama#fim`, `s:fim_on_response`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bench.client import Json
from bench.document import Change, Document
from bench.peers.base import HttpPeer, fill_stages
from bench.peers.http import LlamaServer, PeerError
from bench.peers.llama_vim_ring import Ring
from bench.peers.llama_vim_rules import (
    MAX_LINE_SUFFIX,
    N_PREFIX,
    N_SUFFIX,
    Context,
    Hint,
    ResultCache,
    cache_keys,
    local_context,
    render,
)
from bench.screen import Record
from bench.trace import Event

RETRY_S = 0.1
RING_UPDATE_S = 1.0
STILL_MS = 3000.0
REQUEST: Json = {
    "id_slot": 0,
    "n_predict": 128,
    "stop": [],
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "response_fields": [
        "content",
        "timings/prompt_n",
        "timings/prompt_ms",
        "timings/prompt_per_token_ms",
        "timings/prompt_per_second",
        "timings/predicted_n",
        "timings/predicted_ms",
        "timings/predicted_per_token_ms",
        "timings/predicted_per_second",
        "truncated",
        "tokens_cached",
    ],
}
FIRST_PREDICT_MS = 250
AHEAD_PREDICT_MS = 1000


@dataclass(frozen=True, slots=True)
class _Ask:
    """A request wished for: at the cursor, or (`ahead`) at a fixed place as if `shown` had been accepted."""

    row: int = -1
    column: int = -1
    shown: tuple[str, ...] = ()

    @property
    def ahead(self) -> bool:
        return bool(self.shown)


class LlamaVim(HttpPeer):
    """The peer. One buffer at a time; the cursor is always in insert mode.

    lean: ask only where no hint is shown, and never ahead. The plugin does more than that, but in a closed loop, where no
    time passes between keys, the rest would only be in the way of the next key: this is the kindest reading of it.
    """

    def __init__(self, server: LlamaServer, name: str = "llama.vim", *, lean: bool = False) -> None:
        super().__init__(name, server)
        self._lean = lean
        self._cache = ResultCache()
        self._ring = Ring()
        self._document: Document | None = None
        self._lines: list[str] = [""]
        self._record: Record | None = None
        self._running = False
        self._in_flight: Record | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._hint: Hint | None = None
        self._last_indent = 0
        self._last_move_ms = 0.0
        self._resting = True
        self._ring_task: asyncio.Task[None] | None = None

    async def start(self, origin_s: float) -> None:
        """Start the server, and the timer that feeds it extra context in still moments."""
        await super().start(origin_s)
        self._ring_task = asyncio.create_task(self._update_ring())

    async def stop(self) -> None:
        """End everything."""
        if self._ring_task is not None:
            self._ring_task.cancel()
        if self._retry is not None:
            self._retry.cancel()
        await super().stop()

    def open(self, document: Document) -> None:
        """Enter a buffer: the text around the cursor is a candidate for the ring."""
        self._document = document
        self._lines = document.text.split("\n")
        row, _ = self._cursor()
        self._ring.pick(self._lines[max(0, row - 32) : row + 33], evicts=True)

    def event(self, event: Event, record: Record, document: Document, change: Change | None) -> None:
        """The cursor moved (every edit moves it): hint from the cache, then a request."""
        if (last := self._record) is not None and last is not self._in_flight and last.answered_ms is None:
            last.cancelled = last.asked_ms is not None  # its turn never came
        self._document, self._record = document, record
        if change is not None:
            self._lines = document.text.split("\n")
        self.screen.event(event, record.index, record.t_ms)
        self._last_move_ms, self._resting = record.t_ms, False
        self._hint = None
        self._try_hint()
        if not (self._lean and self._hint is not None):
            self._fim(_Ask())

    async def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way. The time until the next event is not the person's: no ring updates."""
        done = await super().settle(timeout_s)
        self._resting = True
        return done

    def _busy(self) -> bool:
        return bool(self._tasks) or self._retry is not None

    def _cursor(self) -> tuple[int, int]:
        assert self._document is not None, "a document is opened first"
        text, cursor = self._document.text, self._document.cursor
        return text.count("\n", 0, cursor), cursor - (text.rfind("\n", 0, cursor) + 1)

    def _try_hint(self) -> None:
        row, column = self._cursor()
        content = self._cache.lookup(local_context(self._lines, row, column))
        if content is None:
            return
        self._hint = render(content, self._lines, row, column)
        if (record := self._record) is not None:
            now_ms = self._now_ms()
            self.screen.show(self._hint.ghost, record.index, now_ms)
            if record.answered_ms is None:
                record.answered_ms, record.ghost = now_ms, self._hint.ghost
                waited = "extended" if record.asked_ms is not None else "typed-through"
                record.answered_by = record.answered_by or waited
        if not self._lean:
            self._fim(_Ask(row, column, self._hint.lines))

    def _fim(self, ask: _Ask) -> None:
        if self._running:
            if self._retry is not None:
                self._retry.cancel()
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._again, ask)
            if not ask.ahead:
                self._asked()
            return
        row, column = (ask.row, ask.column) if ask.ahead else self._cursor()
        row = min(row, len(self._lines) - 1)
        context = local_context(self._lines, row, column, ask.shown, self._last_indent)
        if len(context.line_suffix) > MAX_LINE_SUFFIX:
            return
        keys = cache_keys(context)
        if any(self._cache.get(key) is not None for key in keys):
            return
        self._last_indent = context.indent
        self._ring.evict_like(self._lines, row)
        record = None if ask.ahead else self._record
        if record is not None:
            self._asked()
        self._running, self._in_flight = True, record
        body = self._body(context, ahead=ask.ahead)
        self._begin(asyncio.create_task(self._send(body, keys, record)))
        self._ring.pick_around(self._lines, row, N_PREFIX, N_SUFFIX)

    def _asked(self) -> None:
        if self._record is not None and self._record.asked_ms is None and self._record.answered_ms is None:
            self._record.asked_ms = self._now_ms()

    def _again(self, ask: _Ask) -> None:
        self._retry = None
        self._fim(ask)

    def _body(self, context: Context, *, ahead: bool) -> Json:
        filename = self._document.uri.rsplit("/", 1)[-1] if self._document else ""
        return {
            **REQUEST,
            "input_prefix": context.prefix,
            "input_suffix": context.suffix,
            "input_extra": self._ring.extra(filename),
            "prompt": context.middle,
            "n_indent": context.indent,
            "t_max_predict_ms": AHEAD_PREDICT_MS if ahead else FIRST_PREDICT_MS,
        }

    async def _send(self, body: Json, keys: list[tuple[str, str]], record: Record | None) -> None:
        try:
            answer = await self.server.post("/infill", body)
            if record is not None:
                fill_stages(record, answer)
            self._take(str(answer.get("content", "")), keys, record)
        except PeerError as error:
            if record is not None:
                record.error = str(error)
        finally:
            # The plugin hears of the end of its curl after the answer, so what it wishes for meanwhile is put off.
            self._running, self._in_flight = False, None

    def _take(self, content: str, keys: list[tuple[str, str]], record: Record | None) -> None:
        for key in keys:
            self._cache.insert(key, content)
        if self._hint is None or not self._hint.can_accept:
            self._try_hint()
        if record is not None and record.answered_ms is None:  # the cursor has gone on: too late to be shown
            record.answered_ms, record.ghost = self._now_ms(), content

    async def _update_ring(self) -> None:
        while True:
            await asyncio.sleep(RING_UPDATE_S)
            still = not self._resting and self._now_ms() - self._last_move_ms >= STILL_MS
            if not still or not self._ring.advance():
                continue
            filename = self._document.uri.rsplit("/", 1)[-1] if self._document else ""
            body = {"input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 0, "temperature": 0.0}
            limits = {"t_max_prompt_ms": 1, "t_max_predict_ms": 1, "response_fields": [""]}
            common = {"id_slot": 0, "samplers": [], "stream": False, "cache_prompt": True}
            with_extra = {**body, **limits, **common, "input_extra": self._ring.extra(filename)}
            await asyncio.gather(self.server.post("/infill", with_extra), return_exceptions=True)

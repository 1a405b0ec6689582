"""The typist: plays the events of a segment into a tool, on the clock of the trace or as fast as it answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import Protocol

from bench.client import Json
from bench.document import Change, Document
from bench.screen import Record, Screen
from bench.trace import Event, Segment, Trace

SPIN_MS = 1.5
"""The event loop wakes up to a millisecond late; the last stretch before a key is waited out by yielding."""


class Tool(Protocol):
    """What is typed into: an editor with a language server, or a peer driven as its own plugin drives it."""

    name: str
    screen: Screen
    info: Json

    @property
    def pid(self) -> int | None:
        """The root of the server's process tree, None where it cannot be seen."""

    async def start(self, origin_s: float) -> None:
        """Start the server. `origin_s`: perf_counter at which the run's clock reads 0."""

    async def stop(self) -> None:
        """End the server and everything under way."""

    def open(self, document: Document) -> None:
        """A document is opened."""

    def close(self, document: Document) -> None:
        """A document is closed."""

    def event(self, event: Event, record: Record, document: Document, change: Change | None) -> None:
        """Something happened to `document` (already applied); returns at once, fills `record` as answers come."""

    async def settle(self, timeout_s: float) -> bool:
        """Wait for what is under way; False when the time was not enough."""

    async def stages(self) -> list[Json]:
        """The server's own stage traces since the start, if it keeps any."""


@dataclass(slots=True)
class Typist:
    """Types one trace into one tool, segment by segment, and keeps the records.

    closed: each key waits for the answer to the one before (timeout_s at most) instead of keeping the clock.
    rest_s: in the closed loop, how long the person looks around after opening a file or moving the cursor.
    """

    tool: Tool
    trace: Trace
    origin_s: float
    closed: bool = False
    timeout_s: float = 30.0
    rest_s: float = 0.0
    prefix: str = ""
    records: list[Record] = field(default_factory=list)
    documents: dict[int, Document] = field(default_factory=dict)
    _following: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._following = self.trace.following()

    async def play(self, segment: Segment) -> list[Record]:
        """Play one segment and wait until the tool is at rest; return its records."""
        begun_ms, first_ms = self._now_ms(), segment.events[0].t_ms
        first = len(self.records)
        for offset, event in enumerate(segment.events):
            due_ms = self._now_ms() if self.closed else begun_ms + event.t_ms - first_ms
            if not self.closed:
                await self._wait_until(due_ms)
            self._happen(event, due_ms, self._following[segment.first + offset])
            if self.closed:
                await self.tool.settle(self.timeout_s)
                if event.kind in ("open", "move"):
                    await asyncio.sleep(self.rest_s)
        await self.tool.settle(self.timeout_s)
        self._end_of(first)
        return self.records[first:]

    def finish(self) -> None:
        """Close all documents."""
        for document in self.documents.values():
            self.tool.close(document)

    def _happen(self, event: Event, due_ms: float, following: str) -> None:
        begun_s, now_ms = thread_time(), self._now_ms()
        if self.records:
            last = self.records[-1]
            last.next_ms, last.visible = now_ms, self.tool.screen.text
        document = self._document(event)
        change = document.apply(event) if event.kind != "open" else None
        record = Record(
            index=len(self.records),
            kind=event.kind,
            tool=self.tool.name,
            trace=self.trace.name,
            language=document.language,
            version=document.version,
            due_ms=due_ms,
            t_ms=now_ms,
            following=following,
            uri=document.uri,
            text=event.text if event.kind == "key" else "",
        )
        self.records.append(record)
        self.tool.event(event, record, document, change)
        record.work_ms = (thread_time() - begun_s) * 1e3

    def _end_of(self, first: int) -> None:
        """The last event of a segment has no next one: what stands there now is what was visible."""
        if len(self.records) > first:
            self.records[-1].visible = self.tool.screen.text

    def _document(self, event: Event) -> Document:
        if event.kind == "open":
            uri = f"file:///bench/{self.prefix}{event.doc}/{event.file or 'untitled'}"
            document = Document(uri, event.language or "plaintext", event.text, event.pos)
            self.documents[event.doc] = document
            self.tool.open(document)
        return self.documents[event.doc]

    async def _wait_until(self, due_ms: float) -> None:
        if (rest_ms := due_ms - self._now_ms() - SPIN_MS) > 0:
            await asyncio.sleep(rest_ms / 1e3)
        while self._now_ms() < due_ms:
            await asyncio.sleep(0)

    def _now_ms(self) -> float:
        return (perf_counter() - self.origin_s) * 1e3

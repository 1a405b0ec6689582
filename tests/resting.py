"""A client that may rest: a pipeline over a generator that the test moves by hand, and a clock that rings when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from completer.complete.pipeline import Pipeline
from completer.types import Request, Snapshot, Suggestion
from tests.by_hand import ByHand, turn


@dataclass
class Clock:
    """Runs what is to be done later when the test says so. waits: seconds, in order.  waiting: not cancelled, not run."""

    waits: list[float] = field(default_factory=list)
    waiting: list[Alarm] = field(default_factory=list)

    def later(self, delay_s: float, do: Callable[[], None]) -> Alarm:
        self.waits.append(delay_s)
        self.waiting.append(alarm := Alarm(self, do))
        return alarm

    def ring(self) -> None:
        """Do all that waits."""
        due, self.waiting = self.waiting, []
        for alarm in due:
            alarm.do()


@dataclass(eq=False)
class Alarm:
    clock: Clock
    do: Callable[[], None]

    def cancel(self) -> None:
        if self in self.clock.waiting:
            self.clock.waiting.remove(self)


@dataclass
class Client:
    """One client over a generator by hand, with full windows only. extended: what was sent after an answer."""

    pipeline: Pipeline
    generator: ByHand
    clock: Clock = field(default_factory=Clock)
    extended: list[Suggestion] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pipeline.on_extend = self.extended.append
        self.pipeline._state.later = self.clock.later

    async def ask(self, snapshot: Snapshot, text: str = "", prob: float = 1.0, *, explicit: bool = False) -> str:
        """Return what is shown if the model writes `text` and ends; then all other work but blocks ends."""
        n_asked = len(self.foreground)
        asking = asyncio.ensure_future(self.pipeline.complete(snapshot, explicit=explicit))
        await turn()
        for request in self.foreground[n_asked:]:
            self.generator.write(request, text, prob)
            self.generator.end(request, "end" if text else "confidence")
        shown = await asyncio.wait_for(asking, 5)
        await self.prefilled()
        return shown.text if shown else ""

    async def prefilled(self) -> None:
        n_ended = 0
        while len(self.generator.prefills) > n_ended:
            n_ended = len(self.generator.prefills)
            self.generator.end(self.generator.prefills[-1], "length")
            await turn()
        for request in self.generator.generations:
            if request.priority == 1 and not request.scratch:
                self.generator.end(request, "confidence")
        await turn()

    async def open(self, snapshot: Snapshot) -> None:
        """Open the document and let its full window get warm."""
        self.pipeline.did_open(snapshot)
        self.pipeline._foreground.idle.prefill(self.pipeline._state.docs[snapshot.uri], snapshot)
        await self.prefilled()

    async def rest(self) -> None:
        """Let the clock ring."""
        self.clock.ring()
        await turn()

    async def write(self, text: str, prob: float = 1.0) -> None:
        self.generator.write(self.block, text, prob)
        await turn()

    async def end(self) -> None:
        self.generator.end(self.block)
        await turn()

    async def write_whole(self, text: str) -> None:
        """Let the model write a block and end it."""
        await self.write(text)
        await self.end()

    @property
    def foreground(self) -> list[Request]:
        return [request for request in self.generator.generations if request.priority == 0]

    @property
    def blocks(self) -> list[Request]:
        return [request for request in self.generator.generations if request.scratch]

    @property
    def block(self) -> Request:
        return self.blocks[-1]

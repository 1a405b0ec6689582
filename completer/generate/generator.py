"""The seam between completion and the engine: requests down, events up, cancel by id.

All that crosses it is frozen plain data (completer.types), so the engine can live in a process of its own. Three
implementations: `scheduler.LocalGenerator` decodes over a StepEngine, `stream.StreamGenerator` relays what a
StreamEngine decodes, `completer.worker.generator.WorkerGenerator` stands for one of them in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from completer.types import Done, Request, Tokens

OnEvent = Callable[[Tokens | Done], None]


class Generator(Protocol):
    """All methods return at once and may be called from any thread."""

    @property
    def message(self) -> str:
        """What the user should know of the engine's state now; "" when all is well."""
        ...

    @property
    def avoids(self) -> bool:
        """Whether it sees the model's probabilities, so that it honours `Request.avoid` and `Request.evidence`."""
        ...

    def submit(self, request: Request, on_event: OnEvent) -> None:
        """Queue `request`; its events follow: any number of `Tokens`, then exactly one `Done`.

        on_event: called from another thread, or from this one if the generator is closed.
        """
        ...

    def cancel(self, request_id: int) -> None:
        """End a request before its next forward; it is done with the reason "cancelled".

        Unknown ids are ignored.
        """
        ...

    def n_cached(self, ids: Sequence[int]) -> int:
        """Return how many tokens of a prompt some slot holds already.

        A hint: it may be outdated when the request runs.
        """
        ...

    def close(self) -> None:
        """Cancel everything, stop the thread, free the engine."""
        ...

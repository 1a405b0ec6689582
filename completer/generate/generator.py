"""The seam between completion and the engine: plain data in, a stream of tokens out, cancel by id.

Two implementations: `scheduler.LocalGenerator` decodes over a StepEngine, `stream.StreamGenerator` relays a StreamEngine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from completer.types import FinishReason, GenerateRequest, GenerateStats, Token

OnTokens = Callable[[list[Token]], None]
OnDone = Callable[[FinishReason, GenerateStats], None]


class Generator(Protocol):
    """All methods return at once and may be called from any thread.

    message: what the user should know of the engine's state now; "" when all is well.
    avoids: whether it honours `GenerateRequest.avoid`.
    """

    message: str
    avoids: bool

    def submit(self, request: GenerateRequest, on_tokens: OnTokens, on_done: OnDone) -> GenerateStats:
        """Queue `request`; return its counts, which grow while it runs.

        on_tokens and on_done are called from another thread; on_done exactly once, and last.
        """
        ...

    def cancel(self, request_id: int) -> None:
        """End a request before its next forward; its on_done gets "cancelled". Unknown ids are ignored."""
        ...

    def n_cached(self, ids: Sequence[int]) -> int:
        """Return how many tokens of a prompt some slot holds already. A hint: it may be outdated when the request runs."""
        ...

    def close(self) -> None:
        """Cancel everything, stop the thread, free the engine."""
        ...

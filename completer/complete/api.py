"""The seam between a front (the language server, the command line) and what completes. Plain data in and out.

The server owns documents and the protocol; a `Completer` owns prompts, reuse and the engine. One client, one
`Completer`: its settings and documents are that client's. Its engine may be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from completer.complete.control import Control
from completer.complete.explanation import Explanation
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.types import Edit, Replacement, Snapshot, Suggestion

Report = Callable[[str, float | None], None]
"""Called while a model gets ready, from any thread: (what happens now, its fraction in [0, 1] or None).

A text that begins with "download" (in any case) makes the state "downloading", every other one "loading".
Raises: DownloadCancelled when the client is gone, so that the work ends.
"""


class Completer(Protocol):
    """Answers for the documents of one client. All methods are called on the event loop and return at once.

    They may do a little work there, never wait: `complete` awaits whatever takes longer.
    """

    on_extend: Callable[[Suggestion], None] | None
    """Set by the server; called on the event loop when a better text is ready after the answer has gone out: more of the
    same, or, if the answer came from little context, what the whole context gives."""

    control: Control
    """Where and when the user wants automatic suggestions; the server puts its own here, which outlives a model."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        ...

    async def complete(self, snapshot: Snapshot, *, explicit: bool, selected: Replacement | None = None) -> Suggestion | None:
        """Return what to show at the snapshot's cursor, or None, within `settings.budget_ms`.

        explicit: the user asked with a key, and waits for the whole line, up to `settings.explicit_budget_ms`. A second
        explicit request at the same place wants other suggestions, too (`Suggestion.alternatives`).
        selected: what the suggestion must begin with, if anything.
        Cancelled as a task; must leave everything valid then. Raises: CompleterError.
        """
        ...

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Take the workspace folders: files below them, and no others, may serve as context."""
        ...

    def did_open(self, snapshot: Snapshot) -> None:
        """A document was opened; its cursor is not known yet (0)."""
        ...

    def did_change(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document changed; the cursor is at the end of the last edit. edits: each in the text before it.

        The same goes for a notebook's cell, which is a document of its own while it is in another language; nobody opens it.
        """
        ...

    def did_move_cursor(self, snapshot: Snapshot) -> None:
        """The cursor moved without a change: a good moment for idle prefill."""
        ...

    def did_close(self, uri: str) -> None:
        """A document was closed: free all that belongs to it."""
        ...

    def did_accept(self, suggestion: Suggestion, n_chars: int) -> None:
        """The first `n_chars` code points of the suggestion's text were accepted in all; grows with each part."""
        ...

    def did_dismiss(self, suggestion: Suggestion) -> None:
        """A suggestion was sent away: no block is offered at that place until something changes."""
        ...

    def set_settings(self, settings: Settings) -> None:
        """Take new settings. What names the model or its engine never changes here: then a new Completer is made."""
        ...

    def explain(self, uri: str) -> Explanation | Quiet | str:
        """Return why the last answer for a document is what it is; the rule, or a sentence, if the model was not asked."""
        ...

    def metrics(self) -> list[dict[str, Any]]:
        """Return the stage traces of recent requests, oldest first; never any text of a document."""
        ...

    def status(self) -> dict[str, Any]:
        """Return the state: model, engine, latency_p50_ms, latency_p95_ms, message; perhaps slow.

        slow: it works, but worse than it should, and `message` tells why.
        """
        ...

    async def close(self) -> None:
        """Free what belongs to this client. Not called twice."""
        ...


MakeCompleter = Callable[[Settings, Report], Completer]
"""Makes the Completer of one client. Runs in a thread of its own and may take minutes (download, conversion, load).

With several clients it is called once for each, perhaps at the same time. Raises: CompleterError.
"""

RELOAD_SETTINGS = (
    *("model", "draft_model", "engine", "llama_server", "weights", "threads", "kv_memory_mb", "kv_bits"),
    *("worker_python", "worker_unload_min", "worker_end_min"),
    *("endpoints", "dialect", "token_env", "token_command", "tls_ca", "session_header"),
)
"""A change of one of these closes the Completer and makes a new one."""

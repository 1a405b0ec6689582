"""What the server knows of one client, and the server object that its handlers share."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache
from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer

from completer import __version__
from completer.complete.api import Completer, MakeCompleter
from completer.complete.control import Control
from completer.config import Settings
from completer.document.documents import Documents
from completer.engines.registry import leaves_machine
from completer.history.offers import Offers
from completer.next_edit.offer import NextEdit
from completer.next_edit.state import NextEdits
from completer.server.changes import Changes
from completer.server.layers import Layers, Resolved
from completer.server.messages import make_converter
from completer.server.protocol import CompleterProtocol
from completer.server.recorder import Recorder
from completer.types import Snapshot, Suggestion

logger = logging.getLogger(__name__)
T = TypeVar("T")

_N_REMEMBERED = 64
_N_EDITS_REMEMBERED = 256


class Asked(NamedTuple):
    """The last request for a document: what it asked, in the client's words and in ours. Gone at the next change."""

    uri: str
    position: lsp.Position
    snapshot: Snapshot


class CompleterServer(LanguageServer):
    """The state of one connection. Owned by the event loop; nothing here is touched by another thread.

    completer: None while the model loads, and after loading failed; then requests are answered empty.
    state, state_message, percent: of the loading, for `completer/status`.
    active: the document that the user is in, as far as the client tells.  watched: what the client hears of its status.
    given: the suggestions sent last, by id.  latest: the last id of each URI.  accepted: code points of each, by id.
    folders: those of the workspace.  layers: settings by origin; settings: those of them that hold.
    next_edits: what follows from the last changes.  given_edits: those that the client knows, by id.
    wants_next_edits: whether it hears of them unasked.  next_edit_timer: runs until the next pause.
    speaks_copilot: whether the client is made for Copilot's server.
    control: where the user wants automatic suggestions.  projects: the settings of workspace folders that have some of
    their own; n_project_reads: how often their files were read.
    asked: by the URI of the snapshot, which for a cell is its notebook.
    offers: what is noted of suggestions, if the user wants that; None if nothing can be.
    """

    protocol: CompleterProtocol

    def __init__(self, make_completer: MakeCompleter, layers: Layers | None = None) -> None:
        super().__init__(
            "completer",
            __version__,
            notebook_document_sync=lsp.NotebookDocumentSyncOptions(
                notebook_selector=[lsp.NotebookDocumentFilterWithNotebook(notebook="*")]
            ),
            protocol_cls=CompleterProtocol,
            converter_factory=make_converter,
        )
        self.make_completer = make_completer
        self.layers = layers or Layers()
        self.settings = Settings()
        self.control = Control()
        self.projects: dict[Path, dict[str, Any]] = {}
        self.n_project_reads = 0
        self.documents = Documents()
        self.recorder: Recorder | None = None
        self.offers: Offers | None = None
        self.folders: tuple[Path, ...] = ()
        self.completer: Completer | None = None
        self.state = "loading"
        self.state_message = ""
        self.percent: int | None = None
        self.active: str | None = None
        self.watched: list[Changes] = []
        self.loading = False
        self.closed = False
        self.given: LRUCache[str, Suggestion] = LRUCache(_N_REMEMBERED)
        self.accepted: LRUCache[str, int] = LRUCache(_N_REMEMBERED)
        self.latest: dict[str, str] = {}
        self.asked: dict[str, Asked] = {}
        self.next_edits = NextEdits()
        self.given_edits: LRUCache[str, NextEdit] = LRUCache(_N_EDITS_REMEMBERED)
        self.speaks_copilot = False
        self.wants_next_edits = False
        self.next_edit_timer: asyncio.TimerHandle | None = None
        self._ids = itertools.count(1)
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._said: set[str] = set()

    @property
    def history(self) -> Offers | None:
        """Where to note what is shown and accepted; None unless the user wants that."""
        return self.offers if self.settings.history else None

    @property
    def is_remote(self) -> bool:
        """Whether prompts are sent to a server."""
        return self.settings.engine != "auto" and leaves_machine(self.settings.engine)

    def remember(self, uri: str, suggestion: Suggestion) -> str:
        """Give a suggestion the id under which the client will speak of it. Mutates: given, latest[uri]."""
        suggestion_id = str(next(self._ids))
        self.given[suggestion_id] = suggestion
        self.latest[uri] = suggestion_id
        return suggestion_id

    def remember_edit(self, edit: NextEdit) -> str:
        """Give a next edit the id under which the client will speak of it. Mutates: given_edits."""
        edit_id = f"next-{next(self._ids)}"
        self.given_edits[edit_id] = edit
        return edit_id

    async def newest(self, uri: str, work: Coroutine[Any, Any, T]) -> T | None:
        """Await `work` and cancel what still runs for the same document; None when this one was overtaken itself.

        A cancellation by the client ($/cancelRequest) goes through, to `work` and to the caller.
        """
        task = asyncio.ensure_future(work)
        self.cancel(uri)
        self._running[uri] = task
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return None
        finally:
            if self._running.get(uri) is task:
                del self._running[uri]

    def cancel(self, uri: str) -> None:
        """End what runs for a document; its request is answered empty."""
        if (running := self._running.get(uri)) is not None:
            running.cancel()

    def forget(self, uri: str) -> None:
        """Free what is kept for a document that was closed."""
        if uri == self.active:
            self.active = None
        self.cancel(uri)
        self.latest.pop(uri, None)
        self.asked.pop(uri, None)

    def status_changed(self) -> None:
        """Tell the client soon, if it wants to know and the status is another."""
        for changes in self.watched:
            changes.look()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the handlers until it ends or the connection does."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def apply(self, resolved: Resolved) -> None:
        """Make settings the current ones and tell the user of those that are not. Mutates: settings, control."""
        self.settings = resolved.settings
        self._control_settings()
        for problem in resolved.problems:
            self.say_once(f"completer: {problem}; the other settings hold", lsp.MessageType.Warning)

    def settings_changed(self) -> None:
        """The settings of a workspace folder are others now. Mutates: control, the completer."""
        self._control_settings()
        if self.completer is not None:
            self.completer.set_settings(self.settings)

    def _control_settings(self) -> None:
        self.control.set_settings(self.settings, self.layers.of_folders(self.projects))
        self.status_changed()

    def say_once(self, message: str, kind: lsp.MessageType = lsp.MessageType.Error) -> None:
        """Show the user a message, the same one only once per connection.

        Parts of it may come from a workspace or a server: some editors make a link that runs a command of `[text](link)`.
        """
        message = "".join(c if c.isprintable() else " " for c in message).replace("](", "] (")
        if message not in self._said:
            self._said.add(message)
            self.window_show_message(lsp.ShowMessageParams(kind, message))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log a handler's error. Unlike pygls we show no window: the user can do nothing about it."""
        logger.error("%s: %s", getattr(source, "__name__", source), error)

    async def end(self) -> None:
        """Free everything that belongs to this client. Mutates: all; nothing may be sent afterwards."""
        self.closed = True
        if self.next_edit_timer is not None:
            self.next_edit_timer.cancel()
        for changes in self.watched:
            changes.close()
        for task in (*self._running.values(), *self._background):
            task.cancel()
        completer, self.completer = self.completer, None
        if completer is not None:
            completer.on_extend = None
            await completer.close()

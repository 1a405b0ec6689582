"""Getting the model ready in a thread while the client is told how far it is. Nothing waits for it."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable

from lsprotocol import types as lsp

from completer.complete.api import RELOAD_SETTINGS, Completer
from completer.config import Settings
from completer.errors import CompleterError, DownloadCancelled
from completer.server.feedback import send_extension
from completer.server.session import CompleterServer
from completer.types import Suggestion

logger = logging.getLogger(__name__)

_TOKEN = "completer/loading"
_REPORT_EVERY_S = 0.2


def needs_reload(old: Settings, new: Settings) -> bool:
    """Whether another model or engine must be loaded to go from `old` to `new`."""
    return any(getattr(old, name) != getattr(new, name) for name in RELOAD_SETTINGS)


def start_loading(ls: CompleterServer) -> None:
    """Begin to make the completer that the settings name, instead of the one there is. Mutates: completer, state.

    Settings that change meanwhile count: the one being made is dropped and the next one begun. For the same reason a
    second call during the first does nothing.
    """
    if not ls.loading:
        ls.loading = True
        _set_state(ls, "loading")
        ls.spawn(_load(ls))


def _set_state(ls: CompleterServer, state: str, message: str = "", percent: int | None = None) -> None:
    ls.state, ls.state_message, ls.percent = state, message, percent
    ls.status_changed()


async def _load(ls: CompleterServer) -> None:
    try:
        made = await _load_until_settled(ls)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # the user hears of it, the server lives on
        _failed(ls, error)
    else:
        _ready(ls, made)
    finally:
        ls.loading = False


async def _load_until_settled(ls: CompleterServer) -> Completer:
    progress = _Progress(ls)
    try:
        while True:
            old, ls.completer = ls.completer, None
            if old is not None:
                await old.close()
            ls.apply(ls.layers.resolve())  # the user's file may have changed
            wanted = ls.settings
            _set_state(ls, "loading")
            await progress.begin()
            try:
                made = await _in_thread(ls, functools.partial(_make, ls, wanted, progress))
            except Exception:  # DownloadCancelled, or settings that were mended meanwhile
                if not needs_reload(wanted, ls.settings):
                    raise
                continue
            if not needs_reload(wanted, ls.settings):
                return made
            await made.close()
    finally:
        progress.end()


def _make(ls: CompleterServer, wanted: Settings, progress: _Progress) -> Completer:
    """Runs in the loading thread; reads only `closed` and `settings` of the server."""

    def report(text: str, fraction: float | None) -> None:
        if ls.closed or needs_reload(wanted, ls.settings):
            raise DownloadCancelled("nobody waits for this model any more")
        progress.report_from_thread(text, fraction)

    return ls.make_completer(wanted, report)


def _ready(ls: CompleterServer, made: Completer) -> None:
    loop = asyncio.get_running_loop()

    def on_extend(suggestion: Suggestion) -> None:
        loop.call_soon_threadsafe(send_extension, ls, suggestion)

    made.on_extend, made.control = on_extend, ls.control
    if made.settings != ls.settings:
        made.set_settings(ls.settings)
    ls.completer = made
    _set_state(ls, "ready")
    made.set_folders(ls.folders)
    for snapshot in ls.documents.snapshots():
        made.did_open(snapshot)


def _failed(ls: CompleterServer, error: Exception) -> None:
    """Tell the user once; anything but our own errors is a bug, whose traceback belongs into the log."""
    if isinstance(error, CompleterError):
        message = str(error)
    else:
        logger.error("loading the model failed", exc_info=error)
        message = f"the model could not be loaded: {type(error).__name__}: {error}; see the server's log"
    _set_state(ls, "error", message)
    ls.say_once(message)


async def _in_thread(ls: CompleterServer, function: Callable[[], Completer]) -> Completer:
    """Run `function` in a daemon thread, which a client that leaves need not wait for.

    A result that comes after the wait was cancelled is closed.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Completer] = loop.create_future()

    def settle(made: Completer | None, error: BaseException | None) -> None:
        if future.done():
            if made is not None:
                ls.spawn(made.close())
        elif made is not None:
            future.set_result(made)
        else:
            future.set_exception(error or RuntimeError("no completer was made"))

    def run() -> None:
        made: Completer | None = None
        failure: BaseException | None = None
        try:
            made = function()
        except BaseException as error:  # it is raised again on the loop
            failure = error
        try:
            loop.call_soon_threadsafe(settle, made, failure)
        except RuntimeError:  # the loop is closed: the process is about to end
            return

    threading.Thread(target=run, name="completer-load", daemon=True).start()
    return await future


class _Progress:
    """The client's progress bar, where it has one, and the same in its status."""

    def __init__(self, ls: CompleterServer) -> None:
        self._ls = ls
        self._loop = asyncio.get_running_loop()
        window = ls.client_capabilities.window
        self._can_show = bool(window and window.work_done_progress)
        self._shown = False
        self._last: tuple[str, float] = ("", 0.0)

    async def begin(self) -> None:
        """Ask for a bar and show it, without waiting for the client's consent. Once is enough."""
        if not self._can_show:
            return
        self._can_show = False
        create = lsp.WorkDoneProgressCreateParams(_TOKEN)
        self._ls.protocol.send_request(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE, create)
        self._shown = True
        self._notify(lsp.WorkDoneProgressBegin(title="completer", message="loading the model", percentage=0))

    def report_from_thread(self, text: str, fraction: float | None) -> None:
        """Show where the work is; calls that come too soon after one with the same text are dropped."""
        stage, when = self._last
        now = time.monotonic()
        if text == stage and now - when < _REPORT_EVERY_S and fraction != 1.0:
            return
        self._last = (text, now)
        self._loop.call_soon_threadsafe(self._report, text, fraction)

    def end(self) -> None:
        if self._shown:
            self._shown = False
            self._notify(lsp.WorkDoneProgressEnd())

    def _report(self, text: str, fraction: float | None) -> None:
        percentage = None if fraction is None else round(100 * min(max(fraction, 0.0), 1.0))
        if self._ls.loading:
            state = "downloading" if text.lower().startswith("download") else "loading"
            _set_state(self._ls, state, text if fraction is None else f"{text} ({fraction:.0%})", percentage)
        if self._shown:
            self._notify(lsp.WorkDoneProgressReport(message=text, percentage=percentage))

    def _notify(self, value: object) -> None:
        self._ls.protocol.notify(lsp.PROGRESS, lsp.ProgressParams(_TOKEN, value))

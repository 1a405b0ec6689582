"""`WorkerGenerator`: the seam between completion and the engine, with the engine in another process.

    ready       ──the worker crashed──────> down      pending requests end as errors; started again, see system/backoff.py
    ready       ──"the model is idle"─────> parked    nothing is done until the next request
    down, parked  ──attached and loaded───> ready     nothing is submitted again: the next key asks anew

While it is not ready, each request ends at once as an error, so that the front answers.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence

from completer.complete.api import Report
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.errors import CompleterError, DownloadCancelled, WorkerLost
from completer.generate.generator import OnEvent
from completer.system.backoff import Backoff
from completer.types import Done, Request, Stats
from completer.worker import start
from completer.worker.session import Ending, Session
from completer.worker.wire import Ready

log = logging.getLogger(__name__)

CLOSE_S = 2.0

Attach = Callable[[], socket.socket]
"""Returns a connection to the worker, which is started if there is none. Raises: CompleterError."""


class WorkerGenerator:
    """See `completer.generate.generator.Generator`. Events come from its thread, which also watches over the worker."""

    def __init__(self, attach: Attach, settings: Settings, last_words: Callable[[], str] = lambda: "") -> None:
        """settings: name the model.  last_words: of a worker that crashed, for the user."""
        self._attach = attach
        self._settings = settings
        self._last_words = last_words
        self._session: Session | None = None
        self._trouble = ""
        self._backoff = Backoff()
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, report: Report) -> Ready:
        """Attach to a worker and have the model loaded; return what it is. Blocks. Called once, before anything else.

        Raises: CompleterError; WorkerLost if the worker is the reason, and then it may be tried again.
        """
        report("starting the engine process", None)
        self._ready = self._open(report)
        self._thread = threading.Thread(target=self._run, name="worker-watch", daemon=True)
        self._thread.start()
        return self._ready

    @property
    def avoids(self) -> bool:
        return self._ready.avoids

    @property
    def costs(self) -> CostCurve:
        """What a forward costs, as far as is known by now."""
        session = self._session
        return session.costs if session is not None and session.costs is not None else self._ready.costs

    @property
    def message(self) -> str:
        session = self._session
        if session is None or self._trouble:
            return self._trouble
        if session.is_stalled:
            return f"the engine process (process {session.pid}) does not answer: let it go on, or {start.MEND}"
        return session.message

    def submit(self, request: Request, on_event: OnEvent) -> None:
        session = self._session
        if session is not None and session.submit(request, on_event):
            return
        self._wanted.set()
        on_event(Done(request.id, "cancelled" if self._closed.is_set() else "error", Stats()))

    def cancel(self, request_id: int) -> None:
        if (session := self._session) is not None:
            session.cancel(request_id)

    def n_cached(self, ids: Sequence[int]) -> int:
        session = self._session
        return session.mirror.n_cached(ids) if session is not None else 0

    def close(self) -> None:
        self._closed.set()
        self._wanted.set()
        if (session := self._session) is not None:
            session.close()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    # On its thread.

    def _run(self) -> None:
        while not self._closed.is_set():
            session = self._session
            if session is None:
                self._revive()
                continue
            began_s = time.monotonic()
            self._wanted.clear()
            ending = self._watch(session)
            if ending == "lost":  # first: whoever hears of a failed request may ask why
                self._crashed(time.monotonic() - began_s, WorkerLost("the engine process ended unexpectedly"))
            self._session = None
            session.free()
            if ending == "unloaded" and not self._closed.is_set():
                self._trouble = ""
                self._wanted.wait()
        if self._session is not None:  # it came about while this was closed
            self._session.free()

    def _watch(self, session: Session) -> Ending:
        try:
            return session.watch()
        except Exception:  # a bug: this thread must survive it, or no request would ever be answered again
            log.exception("the connection to the engine process failed")
            return "lost"

    def _revive(self) -> None:
        """Try once to bring the model back, when its time has come. Mutates: the session, or what the trouble is."""
        self._closed.wait(self._backoff.delay_s)
        if self._backoff.is_hopeless:
            self._wanted.clear()
            self._wanted.wait()
        if self._closed.is_set():
            return
        self._trouble = self._trouble or "the model is being loaded again: it was idle"
        try:
            ready = self._open(self._loading_again)
        except DownloadCancelled:
            return
        except Exception as error:
            self._crashed(0.0, error)
            return
        if ready.vocabulary.checksum != self._ready.vocabulary.checksum or ready.max_len < self._ready.max_len:
            self._changed()

    def _open(self, report: Report) -> Ready:
        """Attach and load. Mutates: the session, which is set when all went well. Raises: as `begin`."""
        session = Session(self._attach())
        try:
            ready = session.load(self._settings, report)
        except WorkerLost as error:
            session.free()
            raise WorkerLost(f"{error}: {self._last_words()}") from error
        except BaseException:
            session.free()
            raise
        self._session, self._trouble = session, ""
        return ready

    def _loading_again(self, label: str, fraction: float | None) -> None:
        if self._closed.is_set():
            raise DownloadCancelled("the front is gone")
        share = "" if fraction is None else f" ({fraction:.0%})"
        self._trouble = f"the engine process is being started again: {label}{share}"

    def _crashed(self, lived_s: float, error: Exception) -> None:
        self._backoff.failed(lived_s)
        expected = isinstance(error, CompleterError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        log.warning("%s", text, exc_info=None if expected else error)
        again = f"it is started again in {self._backoff.delay_s:.0f} s" if self._backoff.n > 1 else "it is started again"
        if self._backoff.is_hopeless:
            again = f"{self._backoff.n} failures in a row, tried again at the next key; {self._last_words()}"
        self._trouble = f"{text}; {again}"

    def _changed(self) -> None:
        """The model on the disk is another one now: its tokens are not those of our tokenizer. Mutates: the session."""
        session, self._session = self._session, None
        if session is not None:
            session.free()
        self._backoff.failed(0.0)
        self._trouble = "the model was replaced by another one: restart the language server"

"""The front's end of one connection to the worker: requests that are under way, what the slots hold, whether it answers."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Literal

from completer import __version__, errors
from completer.complete.api import Report
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.errors import CompleterError, EngineError, WorkerLost
from completer.generate.generator import OnEvent
from completer.types import Done, Request, Stats, Tokens
from completer.worker.channel import Channel
from completer.worker.held import Mirror
from completer.worker.wire import (
    MAX_PENDING,
    MAX_TEXT_TOKENS,
    MAX_TEXTS,
    WIRE,
    Broken,
    Bye,
    Cancel,
    Ended,
    Failed,
    Grew,
    Held,
    Hello,
    Load,
    Loading,
    Message,
    Ping,
    Ready,
    State,
    Submit,
    Text,
    Unloaded,
    Up,
    Welcome,
    reads_worker,
)

log = logging.getLogger(__name__)

Ending = Literal["lost", "unloaded", "closed"]
"""Why a session is over: the worker is gone; it is fine, but the model is not in memory; the front closed it."""

SHORT_TEXT = 256
"""Tokens up to which a text is sent with its request instead of being left under a number."""
BEAT_S = 0.5
DOZE_S = 10.0
AWAKE_S = 5.0
"""After the last request: until then the next one need not wake the thread that watches."""
QUIET_S = 1.0
"""Without a word from the worker, though something is under way: it is asked for a sign of life."""
STALLED_S = 2.5
"""Without it for so long: the requests are given up, and the user is told."""
GREETING_S = 5.0
LOADING_QUIET_S = 30.0
"""While a model is loaded, libraries are imported that let nothing else run for seconds."""


class Session:
    """Made, loaded and watched by one thread; `submit`, `cancel` and the mirror are for any.

    message: what the worker says of the model.  costs: what a forward costs by now.  is_stalled: it does not answer.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.mirror = Mirror()
        self.message = ""
        self.pid = 0
        self.ready: Ready | None = None
        self.costs: CostCurve | None = None
        self.is_stalled = False
        self._ending: Ending | None = None
        self._failure: Failed | None = None
        self._progress: tuple[str, float | None] = ("starting the engine process", None)
        self._texts: OrderedDict[int, tuple[int, tuple[int, ...]]] = OrderedDict()  # id() of a text -> its number, itself
        self._pending: dict[int, OnEvent] = {}
        self._lock = threading.Lock()
        self._heard_s = time.monotonic()
        self._dozing = False
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._channel: Channel[Up] = Channel(connected, reads_worker(), self._wake)

    # From any thread.

    def submit(self, request: Request, on_event: OnEvent) -> bool:
        """Send a request; return False when that is impossible, and then nothing follows."""
        if self._ending is not None or self.is_stalled or len(self._pending) >= MAX_PENDING:
            return False
        with self._lock:  # a text and the request that names it stay together
            numbers, texts = self._numbered(request.corpus_ids)
            short = tuple(ids for ids in request.corpus_ids if len(ids) <= SHORT_TEXT)
            if not self._pending:
                self._heard_s = time.monotonic()  # until now there was nothing to be heard
            self._pending[request.id] = on_event
            sent = self._channel.send(*texts, Submit(replace(request, corpus_ids=short), numbers))
        if self._dozing:
            self._wake()
        # Whoever takes it out of what is pending reports it: the watching thread may have done so meanwhile.
        return sent or self._pending.pop(request.id, None) is None

    def cancel(self, request_id: int) -> None:
        if request_id in self._pending:
            self._channel.send(Cancel(request_id))

    def close(self) -> None:
        """End the connection; the watching thread takes note."""
        self._ending = self._ending or "closed"
        self._wake()

    # On the watching thread.

    def load(self, settings: Settings, report: Report) -> Ready:
        """Greet, and have the model loaded that the settings name; return what it is.

        Raises: WorkerLost; what loading raised; what `report` raises.
        """
        self._channel.send(Hello(WIRE, __version__))
        self._until(lambda: bool(self.pid), GREETING_S, report)
        self._channel.send(Load(asdict(settings)))
        self._until(lambda: self.ready is not None or self._failure is not None, LOADING_QUIET_S, report)
        if self._failure is not None:
            raise _error(self._failure)
        assert self.ready is not None
        return self.ready

    def watch(self) -> Ending:
        """Take what comes until the session is over; return why. What is left then ends when it is freed."""
        while self._ending is None:
            self._dozing = not self._pending and time.monotonic() - self._heard_s > AWAKE_S
            wait_s = DOZE_S if self._dozing else BEAT_S
            began_s = time.monotonic()
            self._pump(wait_s, lambda *_: None)
            self._dozing = False
            if time.monotonic() - began_s > wait_s + QUIET_S:  # not the worker slept, but the machine or this process
                self._heard_s = time.monotonic()
            self._feel_pulse()
        return self._ending

    def free(self) -> None:
        """Close what belongs to the connection; every request that is left ends as an error.

        Called once, when nothing is watched any more.
        """
        self._channel.close()
        self._give_up()
        self._wake_in.close()
        self._wake_out.close()

    def _until(self, reached: Callable[[], bool], quiet_s: float, report: Report) -> None:
        self._heard_s = asked_s = time.monotonic()
        while not reached():
            if self._ending is not None:
                raise WorkerLost("the engine process ended before the model was loaded")
            self._pump(BEAT_S, report)
            now = time.monotonic()
            if now - self._heard_s > quiet_s:
                raise WorkerLost(f"the engine process{self._name} does not answer")
            if self.pid and now - max(self._heard_s, asked_s) > QUIET_S:
                asked_s = now
                self._channel.send(Ping())
            report(*self._progress)

    def _pump(self, timeout_s: float, report: Report) -> None:
        """Wait for the socket, for `_wake`, or for the time, and handle what came."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.is_full else 0)
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._wake_in, selectors.EVENT_READ)
            waiting.register(self._channel.socket, wanted)
            events = {key.fd: mask for key, mask in waiting.select(timeout_s)}
        if self._wake_in.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4096)
        happened = events.get(self._channel.socket.fileno(), 0)
        if happened & selectors.EVENT_WRITE:
            self._channel.flush()
        if happened & selectors.EVENT_READ:
            self._receive(report)

    def _receive(self, report: Report) -> None:
        messages = self._channel.receive()
        if messages is None:
            self._ending = self._ending or "lost"
            return
        self._heard_s, self.is_stalled = time.monotonic(), False
        try:
            for message in messages:
                self._take(message, report)
        except Broken:
            self._ending = self._ending or "lost"

    def _take(self, message: Up, report: Report) -> None:
        match message:
            case Grew(event):
                if (on_event := self._pending.get(event.request_id)) is not None:
                    _tell(on_event, event)
            case Ended(done):
                if (on_event := self._pending.pop(done.request_id, None)) is not None:
                    _tell(on_event, done)
            case Held():
                self.mirror.take(message)
            case State(text, costs):
                self.message, self.costs = text, costs
            case Loading(label, done, total):
                self._progress = label, done / total if total else None
                report(*self._progress)
            case Welcome(_, version, pid):
                if version != __version__:
                    raise WorkerLost(f"the engine process is completer {version}, this is {__version__}: check 'worker_python'")
                self.pid = pid
            case Ready():
                self.ready, self.costs = message, message.costs
            case Failed():
                self._failure = message
            case Unloaded() | Bye():
                self._ending = self._ending or "unloaded"

    def _feel_pulse(self) -> None:
        """Ask for a sign of life when one is overdue; give up what waits for a worker that gives none."""
        quiet_s = time.monotonic() - self._heard_s
        if self._pending and quiet_s > STALLED_S:
            self.is_stalled = True
            for request_id in list(self._pending):
                self._channel.send(Cancel(request_id))
            self._give_up()
        elif self._pending and quiet_s > QUIET_S:
            self._channel.send(Ping())

    def _give_up(self) -> None:
        """Finish every request as an error, once."""
        for request_id in list(self._pending):
            if (on_event := self._pending.pop(request_id, None)) is not None:
                _tell(on_event, Done(request_id, "error", Stats()))

    def _numbered(self, corpora: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], list[Message]]:
        """Return the numbers of the long texts, and what must be sent so that the worker knows them.

        A text is known by identity: it is kept here, so that no other can take its place in memory. Mutates: the texts.
        """
        numbers, texts = [], list[Message]()
        for ids in corpora:
            if len(ids) <= SHORT_TEXT:
                continue
            known = self._texts.get(id(ids))
            if known is None:
                n = len(self._texts)
                number = n if n < MAX_TEXTS else self._texts.popitem(last=False)[1][0]
                known = self._texts[id(ids)] = (number, ids)
                texts.append(Text(number, ids[:MAX_TEXT_TOKENS]))
            self._texts.move_to_end(id(ids))
            numbers.append(known[0])
        return tuple(numbers), texts

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # enough wakes wait already, or it is closed
            self._wake_out.send(b"\0")

    @property
    def _name(self) -> str:
        return f" (process {self.pid})" if self.pid else ""


def _tell(on_event: OnEvent, event: Tokens | Done) -> None:
    """Pass an event on; a receiver that fails (an event loop that was closed) does no harm."""
    try:
        on_event(event)
    except Exception:
        log.exception("request %d: the receiver of its events failed", event.request_id)


def _error(failed: Failed) -> CompleterError:
    """Return the error that loading raised in the worker, as the same kind."""
    kind = getattr(errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, CompleterError):
        return kind(failed.text)
    return EngineError(failed.text)

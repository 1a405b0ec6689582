"""The worker's event loop: accepts fronts of the same user, hands their messages on, and ends when nobody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

from completer import __version__
from completer.config import Settings
from completer.system.private import foreign_peer
from completer.worker.channel import Channel
from completer.worker.connection import Connection
from completer.worker.models import LoadModel, Models, Shared
from completer.worker.wire import Broken, Bye, LoadedModel, Report, reads_fronts

log = logging.getLogger(__name__)

MAX_FRONTS = 64
GREETING_S = 5.0
UNUSED_S = 60.0
"""Until the first front wants a model."""
PUBLISH_EVERY_S = 0.03
"""While the engine works: how far the fronts' copies of the slots may lag."""
TICK_S = 2.0
ACCEPT_AGAIN_S = 1.0
"""Without a free file descriptor."""


class Patience(NamedTuple):
    """Seconds without a request after which a model is unloaded, and after which the worker ends."""

    unload_s: float
    end_s: float

    @staticmethod
    def of(settings: Settings) -> Patience:
        return Patience(settings.worker_unload_min * 60.0, settings.worker_end_min * 60.0)


class Server:
    """One worker. Owned by the event loop that runs `serve`."""

    def __init__(
        self, listening: socket.socket, load: LoadModel, patience_of: Callable[[Settings], Patience] = Patience.of
    ) -> None:
        """listening: in an owner-only folder.  patience_of: asked with the settings of the front that came last."""
        self.pid = os.getpid()
        self._listening = listening
        self._load = load
        self._patience_of = patience_of
        self._patience = patience_of(Settings())
        self._connections: dict[Connection, None] = {}  # in the order in which they came
        self._numbers = itertools.count(1)
        self._began_s = self._used_s = time.monotonic()
        self._was_used = False
        self._n_refused = 0

    async def serve(self) -> None:
        """Serve until somebody stops the worker, it was idle for long, or it is terminated."""
        self._loop = asyncio.get_running_loop()
        self._models = Models(self._load)
        self._stopped = asyncio.Event()
        self._publishing = False
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # another thread than the main one
            self._loop.add_signal_handler(signal.SIGTERM, self.stop)
        self._listening.setblocking(False)
        self._file = _file_of(self._listening)
        self._listen()
        try:
            while not self._stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), min(TICK_S, self._patience.unload_s / 4))
                self._tick()
        finally:
            await self._end()

    def stop(self) -> None:
        self._stopped.set()

    def wants(self, connection: Connection, settings: Settings) -> None:
        self._was_used = True
        self._used_s = time.monotonic()
        self._patience = self._patience_of(settings)
        self._models.leave(connection)
        self._models.want(connection, settings)

    def works(self, shared: Shared) -> None:
        self._used_s = shared.used_s = time.monotonic()
        if not self._publishing:
            self._publishing = True
            self._loop.call_later(PUBLISH_EVERY_S, self._publish)

    def report(self) -> Report:
        now = time.monotonic()
        models = []
        for shared in self._models.loaded:
            assert shared.hosted is not None
            about, held = shared.hosted.description, shared.hosted.generator.held()
            n_fronts, idle_s = len(shared.followers), now - shared.used_s
            models.append(LoadedModel(about.name, about.engine, n_fronts, idle_s, len(held), sum(map(len, held))))
        memory_mb = psutil.Process().memory_info().rss / 2**20
        n_fronts = len({connection for shared in self._models.loaded for connection in shared.followers})
        return Report(self.pid, __version__, now - self._began_s, memory_mb, n_fronts, tuple(models))

    # Connections.

    def _listen(self) -> None:
        if not self._stopped.is_set():
            self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        try:
            connected, _ = self._listening.accept()
        except OSError as error:  # gone already, or no file descriptor left: then it would be ready again at once, for ever
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._loop.remove_reader(self._listening)
                self._loop.call_later(ACCEPT_AGAIN_S, self._listen)
            return
        uid = foreign_peer(connected)
        if uid is not None or not self._has_room():
            self._refuse(f"user {uid or 'ours'}, {len(self._connections)} fronts are connected")
            connected.close()
            return

        def on_waiting() -> None:
            self._loop.call_soon_threadsafe(self._watch_writable, connection)

        channel = Channel(connected, reads_fronts(), on_waiting)
        connection = Connection(next(self._numbers), self, channel)
        self._connections[connection] = None
        self._loop.add_reader(connected, self._readable, connection)
        self._loop.call_later(GREETING_S, self._expect_greeting, connection)

    def _has_room(self) -> bool:
        """Return whether one more can be served; the oldest that has said nothing gives way. Mutates: the connections."""
        if len(self._connections) < MAX_FRONTS:
            return True
        silent = next((connection for connection in self._connections if not connection.greeted), None)
        if silent is not None:
            self._drop(silent)
        return silent is not None

    def _readable(self, connection: Connection) -> None:
        messages = connection.channel.receive()
        if messages is None:
            self._drop(connection)
            return
        try:
            for message in messages:
                connection.handle(message)
        except Broken as error:
            self._refuse(str(error))
            self._drop(connection)
        except Exception:  # a bug: it may cost this front its connection, which it makes anew, and the others nothing
            log.exception("a message could not be handled")
            self._drop(connection)

    def _watch_writable(self, connection: Connection) -> None:
        if connection in self._connections and connection.channel.socket.fileno() >= 0:
            self._loop.add_writer(connection.channel.socket, self._writable, connection)

    def _writable(self, connection: Connection) -> None:
        if not connection.channel.flush():
            self._loop.remove_writer(connection.channel.socket)

    def _expect_greeting(self, connection: Connection) -> None:
        if not connection.greeted and connection in self._connections:
            self._refuse(f"nothing within {GREETING_S:g} s")
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        """Mutates: the connections; what belonged to this one is freed."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        if connection.channel.socket.fileno() >= 0:
            self._loop.remove_reader(connection.channel.socket)
            self._loop.remove_writer(connection.channel.socket)
        self._models.leave(connection)
        connection.end()

    def _refuse(self, why: str) -> None:
        """Log the first connections that were closed; thousands of them must not fill the disk."""
        self._n_refused += 1
        if self._n_refused <= 20:
            log.warning("closed a connection: %s", why)

    # Time.

    def _publish(self) -> None:
        busy = False
        for shared in self._models.loaded:
            assert shared.hosted is not None
            if shared.publisher is not None and shared.followers:
                shared.publisher.publish()
            busy = busy or shared.hosted.generator.is_busy
        self._publishing = busy
        if busy:
            self._loop.call_later(PUBLISH_EVERY_S, self._publish)

    def _tick(self) -> None:
        for shared in self._models.loaded:
            if (state := shared.state()) is not None:
                shared.tell(state)
        self._models.unload_idle(self._patience.unload_s)
        if _file_of(self._listening) != self._file:
            log.warning("ended: the socket was removed or replaced, so no new front would find this process")
            self.stop()
        busy = self._models.loaded or self._models.is_loading
        # Whoever started it may have gone before it listened; then nobody knows that it is there.
        patience_s = self._patience.end_s if self._was_used else UNUSED_S
        if not busy and time.monotonic() - self._used_s >= patience_s:
            log.info("ended: idle for %.0f s", patience_s)
            self.stop()

    async def _end(self) -> None:
        self._loop.remove_reader(self._listening)
        for connection in self._connections:
            connection.send(Bye())
        await self._models.close()
        for connection in list(self._connections):
            self._drop(connection)


def _file_of(listening: socket.socket) -> tuple[int, int] | None:
    """Return what identifies the file at the name of a socket; None without one."""
    try:
        info = os.stat(listening.getsockname())
    except (OSError, TypeError):
        return None
    return info.st_dev, info.st_ino

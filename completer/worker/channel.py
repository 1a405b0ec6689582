"""One end of a connection: messages out from any thread, messages in on the thread that watches the socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from completer.worker.wire import Message, Reader, framed

M = TypeVar("M")

_READ_BYTES = 1 << 18
_SOCKET_BYTES = 1 << 20
MAX_WAITING_BYTES = 32 << 20
"""What may wait for a peer that reads nothing; then it is given up."""


class Channel(Generic[M]):
    """A connected socket and what waits to be sent on it. Whoever watches it calls `receive` and `flush`."""

    def __init__(self, connected: socket.socket, reader: Reader[M], on_waiting: Callable[[], None] = lambda: None) -> None:
        """on_waiting: called, in the sender's thread, when the socket takes no more and `flush` must be called later."""
        self.socket = connected
        self._reader = reader
        self._on_waiting = on_waiting
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._closed = False
        connected.setblocking(False)
        with contextlib.suppress(OSError):  # where the system allows no more, more waits here
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)

    def send(self, *messages: Message) -> bool:
        """Send messages in this order, now or as the peer takes them. Never blocks.

        Returns: False when the connection is closed, lost, or too much waits already.  Raises: Broken for one too large.
        """
        data = b"".join(map(framed, messages))
        with self._lock:
            if self._closed or len(self._waiting) + len(data) > MAX_WAITING_BYTES:
                return False
            if self._waiting:
                self._waiting += data
                return True
            n_sent = self._try_send(data)
            if n_sent < 0:
                return False
            if n_sent < len(data):
                self._waiting += data[n_sent:]
                self._on_waiting()
        return True

    def flush(self) -> bool:
        """Send what waits, as far as the socket takes it; return whether something still waits."""
        with self._lock:
            n_sent = self._try_send(self._waiting)
            if n_sent < 0:
                self._waiting.clear()
            else:
                del self._waiting[:n_sent]
            return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether something waits until the peer reads."""
        return bool(self._waiting)

    def receive(self) -> Iterator[M] | None:
        """Return the messages that came; None when the peer has closed or was lost. Raises: Broken, while iterating."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return iter(())
        except OSError:
            return None
        return self._reader.take(data) if data else None

    def abort(self) -> None:
        """End the connection from any thread: whoever watches the socket reads its end."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket. What waits is lost."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self.abort()
            self.socket.close()

    def _try_send(self, data: bytes | bytearray) -> int:
        """Return how many bytes the socket took, -1 when it is lost."""
        try:
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return -1

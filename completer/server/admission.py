"""Who may speak: what a connection must show before a server is made for it. Refusing one costs next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from lsprotocol.types import INITIALIZE, ErrorCodes

from completer.server.envelope import BadMessage, decode
from completer.server.framing import BadFrame, read_body
from completer.server.messages import AUTHENTICATE
from completer.system.private import foreign_peer

logger = logging.getLogger(__name__)

_FAREWELL_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """n_waiting: connections that have not shown yet who they are; of more than that, the oldest is closed."""

    n_clients: int = 32
    n_waiting: int = 32
    first_message_s: float = 10.0
    first_message_bytes: int = 64 << 10


class Refused(Exception):
    """A connection that must be closed. answer: the error response to send before, None: none."""

    def __init__(self, reason: str, answer: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.answer = answer


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, dict[str, Any] | None], Awaitable[None]]
"""Serves a client until it leaves. The message, if there is one, comes before those of the reader. Raises: BadFrame."""


class Gate:
    """Admits or refuses connections. Owned by the event loop."""

    def __init__(self, serve: Serve, token: str | None, limits: Limits) -> None:
        """token: what the first message must carry; None: the socket itself is private, its peer's user is checked."""
        self._serve = serve
        self._token = token
        self._limits = limits
        self._waiting: dict[asyncio.StreamWriter, None] = {}  # in the order in which they came
        self._n_clients = 0
        self._refusals = Refusals()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection to its end. Never raises."""
        try:
            message = await self._admit(reader, writer)
            if message is not None:
                await self._serve_counted(reader, writer, message)
        except Refused as error:
            self._refusals.note(str(error))
            if error.answer is not None:
                await _farewell(reader, writer, error.answer)
        except BadFrame as error:
            self._refusals.note(str(error))
        except (OSError, asyncio.CancelledError):  # reset by the peer; or the server ends, and asyncio would log a traceback
            pass
        finally:
            writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any] | None:
        """Return the first message; None when the peer left before it. Raises: Refused, BadFrame, OSError."""
        if self._token is None:
            _check_user(writer.get_extra_info("socket"))
        if len(self._waiting) >= self._limits.n_waiting:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.transport.abort()
            self._refusals.note("too many connections without a first message, closed the oldest")
        self._waiting[writer] = None
        try:
            async with asyncio.timeout(self._limits.first_message_s):
                body = await read_body(reader, self._limits.first_message_bytes)
        except TimeoutError as error:
            raise Refused(f"no message within {self._limits.first_message_s:g} s") from error
        finally:
            self._waiting.pop(writer, None)
        if body is None:
            return None
        try:
            return decode(body)
        except BadMessage as error:
            raise Refused(str(error), error_response(error.id, error.code, str(error))) from error

    async def _serve_counted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: dict[str, Any]) -> None:
        message_id = first.get("id") if "method" in first else None
        if self._token is not None and not hmac.compare_digest(_take_token(first), self._token.encode()):
            reason = "the token is missing or wrong: send completer/authenticate with the one in the token file"
            raise Refused(reason, error_response(message_id, ErrorCodes.InvalidRequest, reason))
        if self._n_clients >= self._limits.n_clients:
            reason = f"{self._n_clients} clients are connected already"
            raise Refused(reason, error_response(message_id, ErrorCodes.InvalidRequest, reason))
        self._n_clients += 1
        try:
            if first.get("method") != AUTHENTICATE:
                await self._serve(reader, writer, first)
                return
            if message_id is not None:
                writer.write(framed({"jsonrpc": "2.0", "id": message_id, "result": None}))
            await self._serve(reader, writer, None)
        finally:
            self._n_clients -= 1


class Refusals:
    """Writes one line to the log for the first of a burst of refusals, and one with the number of the others."""

    WINDOW_S = 10.0

    def __init__(self) -> None:
        self._n_others = 0
        self._window: asyncio.TimerHandle | None = None

    def note(self, reason: str) -> None:
        if self._window is not None:
            self._n_others += 1
            return
        logger.warning("closed a connection: %s", reason)
        self._window = asyncio.get_running_loop().call_later(self.WINDOW_S, self._end_window)

    def _end_window(self) -> None:
        self._window = None
        if self._n_others:
            logger.warning("closed %d more connections within %g s", self._n_others, self.WINDOW_S)
            self._n_others = 0


def _check_user(connection: socket.socket) -> None:
    if (uid := foreign_peer(connection)) is not None:
        raise Refused(f"user {uid} may not connect")


def _take_token(message: dict[str, Any]) -> bytes:
    """Return the token in a first message, b"" for none. Mutates: message, the server must not take it for a setting."""
    params = message.get("params")
    if not isinstance(params, dict):
        return b""
    holders: list[Any] = []
    if message.get("method") == AUTHENTICATE:
        holders = [params]
    elif message.get("method") == INITIALIZE and isinstance(options := params.get("initializationOptions"), dict):
        holders = [options, options.get("completer")]
    tokens = [holder.pop("token") for holder in holders if isinstance(holder, dict) and "token" in holder]
    return tokens[0].encode("utf-8", "surrogatepass") if tokens and isinstance(tokens[0], str) else b""


def error_response(message_id: str | int | None, code: ErrorCodes, reason: str) -> dict[str, Any]:
    """Return an error response; message_id None: the message could not be read far enough to know it."""
    return {"jsonrpc": "2.0", "id": message_id, "error": {"code": int(code), "message": reason}}


def framed(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


async def _farewell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    """Send the last message and wait a moment until the peer has read it: closing over unread bytes would reset it."""
    writer.write(framed(answer))
    with contextlib.suppress(OSError):
        writer.write_eof()
        async with asyncio.timeout(_FAREWELL_S):
            while await reader.read(1 << 16):
                pass

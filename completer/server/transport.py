"""Bytes in and out: one client over stdin and stdout, or many over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from lsprotocol import types as lsp
from pygls.io_ import StdoutWriter

from completer.complete.api import MakeCompleter
from completer.errors import ConfigError
from completer.server import complete, configure, feedback, sync
from completer.server.layers import Layers, MakeLayers
from completer.server.recorder import Recorder
from completer.server.session import CompleterServer

logger = logging.getLogger(__name__)


def make_server(make_completer: MakeCompleter, layers: Layers) -> CompleterServer:
    """Return the server of one connection, with all its handlers."""
    ls = CompleterServer(make_completer, layers)
    for group in (configure, sync, complete, feedback):
        group.register(ls)
    return ls


def run_stdio(make_completer: MakeCompleter, recorder: Recorder | None = None, make_layers: MakeLayers = Layers) -> int:
    """Serve the client at stdin and stdout until it leaves; return the exit status.

    recorder: keeps a log of the session.  make_layers: makes the settings that the client's are added to.
    From here on, whatever the process prints to stdout goes to stderr: only protocol may reach the client. Ends the
    process at once when the model is still loading, because a download cannot be interrupted everywhere.
    """
    _quiet_pygls()
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    code = asyncio.run(_serve_stdio(make_server(make_completer, make_layers()), stdout, recorder))
    if any(thread.name == "completer-load" for thread in threading.enumerate()):
        sys.stderr.flush()
        os._exit(code)
    return code


def run_tcp(
    host: str, port: int, make_completer: MakeCompleter, *, allow_remote: bool = False, make_layers: MakeLayers = Layers
) -> int:
    """Serve any number of clients until interrupted; return the exit status.

    port: 0 takes a free one. The address is printed to stderr.  make_layers: as for `run_stdio`, for each connection.
    Raises: ConfigError for an address that other machines reach (nothing is encrypted and nobody is asked who they are),
    unless allow_remote; OSError when it is in use.
    """
    if not allow_remote and not _is_loopback(host):
        raise ConfigError(f"{host} can be reached from other machines: use 127.0.0.1, or allow it explicitly")
    _quiet_pygls()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_tcp(host, port, lambda: make_server(make_completer, make_layers())))
    return 0


async def _serve_stdio(ls: CompleterServer, stdout: BinaryIO, recorder: Recorder | None) -> int:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()

    def feed() -> None:
        """Read raw bytes: a thread blocked in `sys.stdin` would hold its lock when the interpreter ends."""
        try:
            while data := os.read(sys.stdin.fileno(), 1 << 16):
                loop.call_soon_threadsafe(reader.feed_data, data)
            loop.call_soon_threadsafe(reader.feed_eof)
        except RuntimeError:  # the loop is closed: the client said exit
            return

    threading.Thread(target=feed, name="completer-stdin", daemon=True).start()
    ls.protocol.set_writer(StdoutWriter(stdout))
    ls.recorder = recorder
    return await serve(ls, reader)


async def _serve_tcp(host: str, port: int, make_session: Callable[[], CompleterServer]) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ls = make_session()
        ls.protocol.set_writer(writer)  # asyncio's writer is a plain Writer: write() is no coroutine
        try:
            await serve(ls, reader)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, host, port)
    for socket in server.sockets:
        address, bound_port = socket.getsockname()[:2]
        print(f"completer: listening on {address}:{bound_port}", file=sys.stderr, flush=True)
    async with server:
        await server.serve_forever()


async def serve(ls: CompleterServer, reader: asyncio.StreamReader) -> int:
    """Handle one client's messages in their order until it leaves; return its exit status. Closes the session."""
    try:
        while ls.protocol.exit_code is None and (body := await _read_body(reader)) is not None:
            _receive(ls, body)
            # A handler runs up to its first await before the next message is handled: a request sees the document
            # as it was when the request was sent.
            await asyncio.sleep(0)
    except ConnectionError:
        logger.info("the client is gone")
    finally:
        await ls.end()
    return ls.protocol.exit_code or 0


def _receive(ls: CompleterServer, body: bytes) -> None:
    try:
        data = json.loads(body)
    except ValueError as error:
        ls.protocol.refuse(None, lsp.ErrorCodes.ParseError, f"not JSON: {error}")
        return
    if not isinstance(data, dict) or "jsonrpc" not in data:
        ls.protocol.refuse(None, lsp.ErrorCodes.InvalidRequest, "a message must be one JSON-RPC object")
        return
    if ls.recorder is not None:
        ls.recorder.take(data, ls.documents.encoding)
    try:
        ls.protocol.handle_message(ls.protocol.structure_message(data))
    except ConnectionError:
        raise
    except Exception as error:  # one bad message must not end the connection
        logger.error("a message could not be handled: %s", error)


async def _read_body(reader: asyncio.StreamReader) -> bytes | None:
    """Return the body of the next message, or None at the end of the stream or when it is no longer understood."""
    n_bytes: int | None = None
    try:
        while header := await reader.readline():
            name, _, value = header.partition(b":")
            if name.strip().lower() == b"content-length":
                n_bytes = int(value)
            elif not header.strip() and n_bytes is not None:
                return await reader.readexactly(n_bytes)
    except asyncio.IncompleteReadError:
        return None
    except ValueError as error:
        logger.error("unreadable header, closing the connection: %s", error)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _quiet_pygls() -> None:
    """pygls logs whole messages, with the user's code in them; errors come to us by `report_server_error`."""
    logging.getLogger("pygls").setLevel(logging.CRITICAL)

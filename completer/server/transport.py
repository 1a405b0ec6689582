"""From bytes to handlers: one client's messages in their order, and the client at stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

import psutil
from pygls.io_ import StdoutWriter

from completer.complete.api import MakeCompleter
from completer.history.offers import Offers
from completer.history.writer import HistoryWriter
from completer.server import complete, configure, control, copilot, feedback, next_edit, project, status, sync
from completer.server.envelope import BadMessage, decode
from completer.server.framing import MAX_HEADER_BYTES, BadFrame, read_body
from completer.server.layers import Layers, MakeLayers
from completer.server.recorder import Recorder
from completer.server.session import CompleterServer

logger = logging.getLogger(__name__)

EDITOR_POLL_S = 3.0


def make_server(make_completer: MakeCompleter, layers: Layers, history: HistoryWriter | None = None) -> CompleterServer:
    """Return the server of one connection, with all its handlers. history: takes what is noted if the user wants that."""
    ls = CompleterServer(make_completer, layers)
    ls.offers = Offers(history.put) if history is not None else None
    for group in (configure, sync, complete, feedback, status, control, project, next_edit, copilot):
        group.register(ls)
    return ls


@dataclass(frozen=True, slots=True)
class Sessions:
    """What the server of each connection is made of. history: shared by all of them."""

    make_completer: MakeCompleter
    make_layers: MakeLayers = Layers
    history: HistoryWriter | None = None

    def new(self) -> CompleterServer:
        """Return the server of a new connection."""
        return make_server(self.make_completer, self.make_layers(), self.history)


def run_stdio(sessions: Sessions, recorder: Recorder | None = None) -> int:
    """Serve the client at stdin and stdout until it leaves; return the exit status.

    recorder: keeps a log of the session.
    From here on, whatever the process prints to stdout goes to stderr: only protocol may reach the client. Ends the
    process at once when the model is still loading, because a download cannot be interrupted everywhere.
    """
    quiet_pygls()
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return leave(asyncio.run(_serve_stdio(sessions.new(), stdout, recorder)))


async def _serve_stdio(ls: CompleterServer, stdout: BinaryIO, recorder: Recorder | None) -> int:
    reader = asyncio.StreamReader(limit=MAX_HEADER_BYTES)
    loop = asyncio.get_running_loop()

    def feed() -> None:
        """Read raw bytes: a thread blocked in `sys.stdin` would hold its lock when the interpreter ends."""
        try:
            while data := os.read(sys.stdin.fileno(), 1 << 16):
                loop.call_soon_threadsafe(reader.feed_data, data)
            loop.call_soon_threadsafe(reader.feed_eof)
        except RuntimeError:  # the loop is closed: the client sent `exit`
            return

    threading.Thread(target=feed, name="completer-stdin", daemon=True).start()
    ls.protocol.set_writer(StdoutWriter(stdout))
    ls.recorder = recorder
    serving, watching = asyncio.ensure_future(serve(ls, reader)), asyncio.ensure_future(_editor_is_gone(ls))
    await asyncio.wait((serving, watching), return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, watching):
        task.cancel()
    await asyncio.wait((serving, watching))
    if serving.cancelled():
        return 0
    if isinstance(error := serving.exception(), BadFrame):
        logger.error("closed the connection: %s", error)
        return 1
    return serving.result()


async def _editor_is_gone(ls: CompleterServer) -> None:
    """Return when the process that the client named in `initialize` has ended; some other process may hold stdin open."""
    while ls.process_id is None:
        await asyncio.sleep(EDITOR_POLL_S)
    with contextlib.suppress(psutil.NoSuchProcess, ValueError):
        editor = psutil.Process(ls.process_id)
        while _lives(editor):
            await asyncio.sleep(EDITOR_POLL_S)
    logger.warning("the editor, process %d, is gone", ls.process_id)


def _lives(process: psutil.Process) -> bool:
    """Raises: psutil.NoSuchProcess."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:  # it runs with more rights than we do, on Windows for instance "as administrator"
        return True


async def serve(ls: CompleterServer, reader: asyncio.StreamReader, first: dict[str, Any] | None = None) -> int:
    """Handle one client's messages in their order until it leaves; return its exit status. Closes the session.

    first: a message that was read before those of `reader`.  Raises: BadFrame.
    """
    try:
        if first is not None:
            _handle(ls, first)
            await asyncio.sleep(0)
        while ls.protocol.exit_code is None and (body := await read_body(reader)) is not None:
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
        data = decode(body)
    except BadMessage as error:
        ls.protocol.refuse(error.id, error.code, str(error))
    else:
        _handle(ls, data)


def _handle(ls: CompleterServer, data: dict[str, Any]) -> None:
    try:
        if ls.recorder is not None:
            ls.recorder.take(data, ls.documents.encoding)
        ls.protocol.handle_message(ls.protocol.structure_message(data))
    except ConnectionError:
        raise
    except Exception as error:  # one bad message must not end the connection
        logger.error("a message could not be handled: %s", error)
    ls.status_changed()


def leave(code: int) -> int:
    """Return `code`, or end the process with it when a model is still loading: its thread cannot be stopped."""
    if any(thread.name == "completer-load" for thread in threading.enumerate()):
        sys.stderr.flush()
        os._exit(code)
    return code


def quiet_pygls() -> None:
    """pygls logs whole messages, with the user's code in them; errors come to us by `report_server_error`."""
    logging.getLogger("pygls").setLevel(logging.CRITICAL)

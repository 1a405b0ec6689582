"""Many clients at once: over TCP, where each must know a secret, or over a Unix socket that only its owner reaches."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from completer.errors import ConfigError
from completer.server.admission import Gate, Limits
from completer.server.framing import MAX_HEADER_BYTES
from completer.server.transport import Sessions, leave, quiet_pygls, serve
from completer.system.private import default_folder, listening_socket, token_file

DEFAULT_LIMITS = Limits()


def run_tcp(
    host: str,
    port: int,
    sessions: Sessions,
    *,
    token_path: Path | None = None,
    allow_remote: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> int:
    """Serve any number of clients that know the token until interrupted or terminated; return the exit status.

    port: 0 takes a free one.  token_path: where the token is written; None: `tcp-PORT.token` in the default folder.
    Prints the address and the token's path to stderr. Raises: ConfigError for an address that other machines reach
    (nothing is encrypted), unless allow_remote, and for a path that cannot be used; OSError when the address is in use.
    """
    if not allow_remote and not _is_loopback(host):
        raise ConfigError(f"{host} can be reached from other machines: use 127.0.0.1, or allow it explicitly")

    async def listen() -> None:
        token = secrets.token_hex(32)
        gate = _gate(sessions, token, limits)
        server = await asyncio.start_server(gate.connected, host, port, limit=MAX_HEADER_BYTES, start_serving=False)
        addresses = [listener.getsockname()[:2] for listener in server.sockets]
        path = token_path or default_folder() / f"tcp-{addresses[0][1]}.token"
        with token_file(path, token):
            await _serve_until_terminated(server, [f"{address}:{port_}, token in {path}" for address, port_ in addresses])

    return _run(listen())


def run_socket(path: Path | None, sessions: Sessions, *, limits: Limits = DEFAULT_LIMITS) -> int:
    """Serve any number of clients of this user until interrupted or terminated; return the exit status.

    path: of the Unix socket; None: `completer.sock` in the default folder. It is printed to stderr.
    Raises: ConfigError on Windows, for a folder that others may write to, and when a server listens there; OSError.
    """
    if sys.platform == "win32":
        raise ConfigError(
            "--socket needs Unix sockets, which Python lacks on Windows: use --tcp 127.0.0.1:0, "
            "and the token from the file that it names"
        )

    async def listen() -> None:
        where = path or default_folder() / "completer.sock"
        with listening_socket(where) as bound:
            gate = _gate(sessions, None, limits)
            server = await asyncio.start_unix_server(gate.connected, sock=bound, limit=MAX_HEADER_BYTES, start_serving=False)
            await _serve_until_terminated(server, [str(where)])

    return _run(listen())


def _gate(sessions: Sessions, token: str | None, limits: Limits) -> Gate:
    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: dict[str, Any] | None) -> None:
        ls = sessions.new()
        ls.protocol.set_writer(writer)  # asyncio's writer is a plain Writer: write() is no coroutine
        await serve(ls, reader, first)

    return Gate(serve_one, token, limits)


async def _serve_until_terminated(server: asyncio.Server, places: list[str]) -> None:
    """Print where the server listens, and return after SIGTERM, which would else end the process and leave its files."""
    terminated = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    await server.start_serving()
    for place in places:
        print(f"completer: listening on {place}", file=sys.stderr, flush=True)
    try:
        await terminated.wait()
    finally:
        server.close()  # the clients end with the loop, which cancels what serves them


def _run(listening: Coroutine[Any, Any, None]) -> int:
    quiet_pygls()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(listening)
    return leave(0)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

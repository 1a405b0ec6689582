"""`completer lsp`: the language server over stdio, a Unix socket or TCP."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from completer.cli.makers import Makers
from completer.errors import ConfigError
from completer.history.writer import HistoryWriter
from completer.server import Sessions, layers_of_process, run_socket, run_stdio, run_tcp
from completer.server.recorder import Recorder
from completer.system.programs import NEUTRAL_FOLDER

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen; nothing set: at stdin.  tcp: HOST:PORT.  socket: a path or "auto".  The other two belong to tcp."""

    stdio: bool = False
    tcp: str = ""
    socket: str = ""
    token_file: Path | None = None
    allow_remote: bool = False

    @property
    def serves_many(self) -> bool:
        return bool(self.tcp or self.socket)

    def checked(self) -> Endpoint:
        """Return it with absolute paths. Raises: ConfigError for options that exclude each other, or mean nothing."""
        if sum((self.stdio, bool(self.tcp), bool(self.socket))) > 1:
            raise ConfigError("--stdio, --socket and --tcp exclude each other: choose one")
        if (self.token_file or self.allow_remote) and not self.tcp:
            raise ConfigError("--token-file and --allow-remote belong to --tcp")
        socket = self.socket if self.socket in ("", AUTO) else str(Path(self.socket).absolute())
        return replace(self, socket=socket, token_file=self.token_file and self.token_file.absolute())


def serve(
    command_line: Mapping[str, Any],
    endpoint: Endpoint,
    log_file: Path | None,
    verbose: bool,
    record: Path | None = None,
    lengths_only: bool = False,
    in_process: bool = False,
) -> None:
    """Serve until the client leaves, then exit with the protocol's status.

    command_line: checked settings; they win over the user's file, a client's win over them.
    record: where to keep a log of the session.  in_process: the engine runs here, not in the worker.
    Mutates: the working folder of the process, which an editor chose: a workspace. Relative paths of the command line
    count from there, those of the user's file and of clients from nowhere.
    Raises: ConfigError for a wrong address, and for recording several clients at once; OSError for a log that cannot be written.
    """
    endpoint = endpoint.checked()
    if record and endpoint.serves_many:
        raise ConfigError("--record keeps the session of one client: use it without --socket and --tcp")
    recorder = Recorder(record, lengths_only) if record else None
    _start_logging(log_file, verbose)
    make_layers = layers_of_process(absolute_paths(command_line))
    os.chdir(NEUTRAL_FOLDER)
    makers, history = Makers(in_process), HistoryWriter()
    sessions = Sessions(makers.make, make_layers, history)
    try:
        if endpoint.tcp:
            host, port = parse_address(endpoint.tcp)
            token_path, allow_remote = endpoint.token_file, endpoint.allow_remote
            code = run_tcp(host, port, sessions, token_path=token_path, allow_remote=allow_remote)
        elif endpoint.socket:
            code = run_socket(None if endpoint.socket == AUTO else Path(endpoint.socket), sessions)
        else:
            code = run_stdio(sessions, recorder)
    finally:
        history.close()
        makers.close()
        if recorder is not None:
            recorder.close()
    sys.exit(code)


def absolute_paths(command_line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with paths that no longer depend on the working folder; ids of models stay as they are."""
    models = {name: command_line[name] for name in ("model", "draft_model") if name in command_line}
    paths = {name: path for name, path in models.items() if path.startswith(".") or path.endswith(".gguf")}
    if command_line.get("tls_ca"):
        paths["tls_ca"] = command_line["tls_ca"]
    return {**command_line, **{name: os.path.abspath(os.path.expanduser(path)) for name, path in paths.items()}}


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT. Raises: ConfigError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{address!r} is not HOST:PORT: write for instance 127.0.0.1:9257")
    return host.strip("[]"), int(port)


def _start_logging(log_file: Path | None, verbose: bool) -> None:
    handler = (
        logging.FileHandler(log_file, encoding="utf-8", errors="backslashreplace")
        if log_file
        else logging.StreamHandler(sys.stderr)
    )
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s")

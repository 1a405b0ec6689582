"""`completer lsp`: the language server over stdio, a Unix socket or TCP."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from completer.assemble import Engines
from completer.complete.api import RELOAD_SETTINGS, Completer, Report
from completer.config import Settings
from completer.errors import ConfigError, DeadlineOver, ServerUnreachable
from completer.server import run_socket, run_stdio, run_tcp
from completer.server.recorder import Recorder
from completer.system.programs import NEUTRAL_FOLDER

AUTO = "auto"
RETRY_S = 5.0
"""How long to leave a server alone that did not answer when the engine was loaded."""


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
    defaults: Settings,
    endpoint: Endpoint,
    log_file: Path | None,
    verbose: bool,
    record: Path | None = None,
    lengths_only: bool = False,
) -> None:
    """Serve until the client leaves, then exit with the protocol's status.

    Mutates: the working folder of the process, which an editor chose: a workspace. Relative paths of the command line
    count from there, those of clients from nowhere.
    defaults: settings for clients that do not name their own.  record: where to keep a log of the session.
    Raises: ConfigError for a wrong address, and for recording several clients at once; OSError for a log that cannot be written.
    """
    endpoint = endpoint.checked()
    if record and endpoint.serves_many:
        raise ConfigError("--record keeps the session of one client: use it without --socket and --tcp")
    recorder = Recorder(record, lengths_only) if record else None
    _start_logging(log_file, verbose)
    defaults = absolute_paths(defaults)
    os.chdir(NEUTRAL_FOLDER)
    engines = Engines()

    def make_completer(settings: Settings, report: Report) -> Completer:
        wanted = filled(settings, defaults)
        while True:
            try:
                return engines.make_completer(wanted, report)
            except (ServerUnreachable, DeadlineOver) as error:  # a network that is not up yet, a server that is being restarted
                _wait(f"{error}; tried again every {RETRY_S:.0f} s", report)

    try:
        if endpoint.tcp:
            host, port = parse_address(endpoint.tcp)
            token_path, allow_remote = endpoint.token_file, endpoint.allow_remote
            code = run_tcp(host, port, make_completer, token_path=token_path, allow_remote=allow_remote)
        elif endpoint.socket:
            code = run_socket(None if endpoint.socket == AUTO else Path(endpoint.socket), make_completer)
        else:
            code = run_stdio(make_completer, recorder)
    finally:
        engines.close()
        if recorder is not None:
            recorder.close()
    sys.exit(code)


def _wait(why: str, report: Report) -> None:
    """Sleep for RETRY_S, and say why. Raises: DownloadCancelled when nobody waits any more."""
    end = time.monotonic() + RETRY_S
    while time.monotonic() < end:
        report(why, None)
        time.sleep(0.2)


def filled(settings: Settings, defaults: Settings) -> Settings:
    """Return a client's settings; those that choose model and engine and were left as they are come from the command line."""
    plain = Settings()
    left = [name for name in RELOAD_SETTINGS if getattr(settings, name) == getattr(plain, name)]
    return replace(settings, **{name: getattr(defaults, name) for name in left})


def absolute_paths(settings: Settings) -> Settings:
    """Return the settings with paths that no longer depend on the working folder; ids of models stay as they are."""
    models = {name: getattr(settings, name) for name in ("model", "draft_model")}
    paths = {name: path for name, path in models.items() if path.startswith(".") or path.endswith(".gguf")}
    if settings.tls_ca:
        paths["tls_ca"] = settings.tls_ca
    return replace(settings, **{name: os.path.abspath(os.path.expanduser(path)) for name, path in paths.items()})


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

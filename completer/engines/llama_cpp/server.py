"""One running server of llama.cpp: the process, where it listens, and the key that it wants."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import psutil

from completer.engines.llama_cpp.child import Order
from completer.engines.remote.bearer import Bearer
from completer.engines.remote.link import Link
from completer.errors import CompleterError, EngineUnavailable
from completer.models.store import cache_dir
from completer.system.private import default_folder
from completer.system.programs import NEUTRAL_FOLDER, own_command, passed_on

START_S = 180.0
"""Until a model is loaded: the 5 GB of a 7B model from a slow disk."""
STOP_S = 2.0
_POLL_S = 0.05
_ASK_S = 2.0
_TAIL_BYTES = 4000
_KEPT_LOGS = 3
"""Of servers that crashed or were killed; one that is stopped deletes its own."""
_MAX_PATH_BYTES = 100
"""Systems allow 104 to 108 in the name of a socket."""
_COMMAND = ("worker", "llama-server")

_MENDS = (
    ("unknown model architecture", "upgrade llama.cpp ('pip install -U xllamacpp', or a newer llama-server)"),
    ("out of memory", "choose a smaller model, or less 'kv_memory_mb'"),
    ("failed to allocate", "choose a smaller model, or less 'kv_memory_mb'"),
    ("invalid magic", "pull or download the model again"),
    ("corrupted", "pull or download the model again"),
    ("unknown argument", "install a newer llama-server, or the package xllamacpp"),
)
"""What llama.cpp writes, and what helps."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has loaded its model. socket: "" if it listens on a port of loopback, which `url` names."""

    process: subprocess.Popen[bytes]
    url: str
    socket: str
    key: str = field(repr=False)
    log: Path | None

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def link(self) -> Link:
        """Return a link to it; nothing is connected yet."""
        return Link((self.url,), Bearer(token=self.key), socket=self.socket)

    def stop(self) -> None:
        """End the process, and remove what it leaves, but for the log of a crash. Blocks for STOP_S at most."""
        has_crashed = not self.is_alive
        _end(self.process)
        _remove(self.socket, None if has_crashed else self.log)

    def last_words(self) -> str:
        """Return why it ended, in one line."""
        return _last_words(self.process, self.log)


def start(order: Order, tick: Callable[[], None], use_socket: bool = True) -> Server:
    """Start a server and return it when its model is loaded. Blocks for START_S at most.

    order: without host and key, which are chosen here.  tick: called while it loads; what it raises ends the server.
    use_socket: listen at a Unix socket, where the system and the library can; else at a free port of loopback.
    Raises: EngineUnavailable, with llama.cpp's reason and what helps; what `tick` raises.
    """
    stem = f"llama-{os.getpid()}-{secrets.token_hex(4)}"
    _clean_up()
    log = _log_file(stem)
    socket = _socket_path(stem) if use_socket else ""
    order = replace(order, host=socket or "127.0.0.1", key=secrets.token_urlsafe(32))
    process = _launch(order, log)
    try:
        url = _await_model(process, order, socket, tick)
    except BaseException:
        _end(process)
        _remove(socket, log)
        raise
    if url:
        return Server(process, url, socket, order.key, log)
    why = _last_words(process, log) if process.poll() is not None else f"it was not loaded within {START_S:.0f} s"
    _end(process)
    _remove(socket, None)
    raise EngineUnavailable(f"llama.cpp cannot serve {order.model}: {why}{_mend(why)}")


def _await_model(process: subprocess.Popen[bytes], order: Order, socket: str, tick: Callable[[], None]) -> str:
    """Return the URL at which the server answers; "" if it ended, or did not answer in time."""
    end = time.monotonic() + START_S
    with _client(socket, order.key) as client:
        while process.poll() is None and time.monotonic() < end:
            url = "http://localhost" if socket else _listening_url(process)
            with contextlib.suppress(httpx.HTTPError):
                if url and client.get(f"{url}/health").status_code == 200:
                    return url
            tick()
            time.sleep(_POLL_S)
    return ""


def _client(socket: str, key: str) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=socket) if socket else httpx.HTTPTransport()
    return httpx.Client(transport=transport, headers={"Authorization": f"Bearer {key}"}, timeout=_ASK_S, trust_env=False)


def _listening_url(process: subprocess.Popen[bytes]) -> str:
    """Return the URL of the port at which the process or one of its children listens; "" if there is none yet.

    The system is asked, and nobody else can have taken the port that it names: prompts go to our own child.
    """
    with contextlib.suppress(psutil.Error):
        child = psutil.Process(process.pid)
        for one in (child, *child.children(recursive=True)):
            for connection in one.net_connections("tcp4"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.ip == "127.0.0.1":
                    return f"http://127.0.0.1:{connection.laddr.port}"
    return ""


def _launch(order: Order, log: Path | None) -> subprocess.Popen[bytes]:
    """Start the process of child.py, in a session of its own, so that Ctrl-C in a terminal is not for it."""
    command = [*own_command(), *_COMMAND]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                command,
                cwd=NEUTRAL_FOLDER,
                env=passed_on(),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                bufsize=0,
                start_new_session=True,
                creationflags=flags,
            )
        except OSError as error:
            raise EngineUnavailable(f"llama.cpp's server cannot be started with {command[0]}: {error.strerror}") from error
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it ended at once: its last words tell why
        process.stdin.write(order.to_line())
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process by what also ends it if ours is killed: its standard input is closed."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _socket_path(stem: str) -> str:
    """Return where the server can listen at a Unix socket in an owner-only folder; "" if it cannot."""
    if sys.platform == "win32":
        return ""
    try:
        path = default_folder() / f"{stem}.sock"
    except (CompleterError, OSError):
        return ""
    return str(path) if len(os.fsencode(path)) <= _MAX_PATH_BYTES else ""


def _log_file(stem: str) -> Path | None:
    """Return an empty file that only the user can read; None where none can be made."""
    try:
        folder = cache_dir() / "llama.cpp"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{stem}.log"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except (CompleterError, OSError):
        return None
    return path


def _clean_up() -> None:
    """Remove the sockets of processes that were killed, and all but the last logs of theirs and of our own crashes."""
    with contextlib.suppress(CompleterError, OSError):
        for path in default_folder().glob("llama-*.sock"):
            if not psutil.pid_exists(_owner(path)):
                path.unlink(missing_ok=True)
    with contextlib.suppress(CompleterError, OSError):
        logs = (cache_dir() / "llama.cpp").glob("llama-*.log")
        left = [path for path in logs if _owner(path) == os.getpid() or not psutil.pid_exists(_owner(path))]
        left.sort(key=lambda path: path.lstat().st_mtime, reverse=True)
        for path in left[_KEPT_LOGS:]:
            path.unlink(missing_ok=True)


def _owner(path: Path) -> int:
    """Return the process that a file was made for; 0 for one that we did not make, and nothing removes it."""
    pid = path.name.split("-")[1]
    return int(pid) if pid.isdecimal() else 0


def _remove(socket: str, log: Path | None) -> None:
    for path in (Path(socket) if socket else None, log):
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _last_words(process: subprocess.Popen[bytes], log: Path | None) -> str:
    """Return the line of the log that tells best why the server ended, or its status if there is none."""
    status = f"it ended with status {process.returncode}"
    if log is None:
        return status
    with contextlib.suppress(OSError):
        lines = log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").splitlines()
        known = [line for line in lines if any(sign in line.lower() for sign, _ in _MENDS)]
        said = known or [line for line in lines if " E " in line or "error" in line.lower()]
        if said:
            return f"{status}: {_plain(said[0])} (see {log})"
    return f"{status} (see {log})"


def _plain(line: str) -> str:
    """Return a line of the log without its time and level."""
    return line.partition(" E ")[2].strip() or line.strip()


def _mend(why: str) -> str:
    found = next((mend for sign, mend in _MENDS if sign in why.lower()), None)
    return f": {found}" if found else ": choose another engine or model (see 'completer doctor')"

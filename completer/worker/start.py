"""Where the user's worker listens, and how it is started: once, whoever starts it, and out of every editor's hands."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

import completer
from completer.errors import ConfigError, WorkerLost
from completer.models.store import cache_dir
from completer.system.private import default_folder, foreign_peer, peer_pid, unix_socket
from completer.system.programs import NEUTRAL_FOLDER, find_program, own_command, passed_on
from completer.worker.wire import WIRE

START_S = 30.0
"""Until a new worker listens. It loads nothing before."""
CONNECT_S = 5.0
_POLL_S = 0.02
_MAX_PATH_BYTES = 100
"""Systems allow 104 to 108 in the name of a socket."""
_TAIL_BYTES = 2000
MEND = "run 'completer worker restart'"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker is, or will be. interpreter: that of the setting `worker_python`, "" for our own.

    errors: what it writes to standard error, above all when it crashes.
    """

    socket: Path
    log: Path
    errors: Path
    interpreter: str = ""


def is_possible() -> bool:
    """Return whether this system has what a worker needs: Unix sockets."""
    return hasattr(socket, "AF_UNIX") and sys.platform != "win32"


def place_of(worker_python: str = "") -> Place:
    """Return the place of the worker that belongs to this program, its cache folder and its interpreter.

    Another version, another wire form, another copy of the program or another cache folder: another worker.
    Raises: ConfigError for a folder that others may write to, or too long a path; CacheError; OSError.
    """
    cache = cache_dir()
    program = os.path.dirname(os.path.realpath(completer.__file__))
    parts = (completer.__version__, str(WIRE), str(cache), program, worker_python or sys.executable)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    name = f"worker-{completer.__version__}-{digest[:12]}"
    path = default_folder() / f"{name}.sock"
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise ConfigError(f"{path} is too long for a socket: set XDG_RUNTIME_DIR to a shorter folder")
    return Place(path, cache / "worker" / f"{name}.log", cache / "worker" / f"{name}.err", worker_python)


def connect(place: Place) -> socket.socket | None:
    """Return a connection to the worker; None when there is none.

    Raises: WorkerLost when it takes no connection, or belongs to another user.
    """
    connection = unix_socket()
    connection.settimeout(CONNECT_S)
    try:
        connection.connect(str(place.socket))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise WorkerLost(f"the engine process takes no connection ({error}): {MEND}") from error
    if (uid := foreign_peer(connection)) is not None:
        connection.close()
        raise WorkerLost(f"{place.socket} belongs to a process of user {uid}: remove it")
    return connection


def listener_pid(place: Place) -> int | None:
    """Return the process that listens at the socket; None without one, or where the system does not tell."""
    connection = connect(place)
    if connection is None:
        return None
    with connection:
        return peer_pid(connection)


def attach(place: Place) -> socket.socket:
    """Return a connection to the worker, which is started if there is none. Blocks until it listens.

    Raises: WorkerLost when it cannot be started; the message holds its last words.
    """
    connection = connect(place)
    if connection is not None:
        return connection
    try:
        with FileLock(f"{place.socket}.start", timeout=2 * START_S):  # of fronts that begin at once, one starts it
            return connect(place) or _start(place)
    except Timeout as error:
        raise WorkerLost(f"another process has been starting the engine process for {2 * START_S:.0f} s") from error


def _start(place: Place) -> socket.socket:
    process = _launch(place)
    threading.Thread(target=process.wait, name="worker-reaper", daemon=True).start()  # so that it leaves no zombie
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if (connection := connect(place)) is not None:
            return connection
        if process.poll() is not None:
            break
        time.sleep(_POLL_S)
    why = "did not listen in time" if process.poll() is None else f"ended with status {process.returncode}"
    raise WorkerLost(f"the engine process {why}: {last_words(place)}")


def _launch(place: Place) -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own, so that it outlives the editor; what it prints goes to a file."""
    begin = _command(place)
    command = [*begin, "worker", "run", "--socket", str(place.socket), "--log-file", str(place.log)]
    try:
        with _errors_file(place) as errors:
            return subprocess.Popen(
                command,
                cwd=NEUTRAL_FOLDER,
                env=passed_on(),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
    except OSError as error:
        raise WorkerLost(f"the engine process cannot be started with {begin[0]}: {error.strerror}") from error


def _command(place: Place) -> list[str]:
    if not place.interpreter:
        return own_command()
    program = find_program(place.interpreter)
    if program is None:
        raise ConfigError(f"setting 'worker_python': there is no program {place.interpreter!r}: write its absolute path")
    return [program, "-P", "-m", "completer"]


@contextlib.contextmanager
def _errors_file(place: Place) -> Iterator[BinaryIO | int]:
    """Yield the file for what the worker prints, emptied; nothing is kept where it cannot be written."""
    try:
        place.errors.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = place.errors.open("wb")
    except OSError:
        yield subprocess.DEVNULL
        return
    with file:
        yield file


def last_words(place: Place) -> str:
    """Return the end of what the worker wrote, in one line."""
    for path in (place.errors, place.log):
        with contextlib.suppress(OSError):
            lines = path.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            if said:
                return f"{said[-1]} (see {path})"
    return f"it left no word in {place.errors}"

"""What only the user of this process may reach: the folders of sockets, tokens and state, the token file of TCP, a Unix socket.

On Windows there are no modes and no owners here: files rely on the access list of the user's profile.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from platformdirs import user_runtime_path, user_state_path

from completer.errors import ConfigError

_TOKEN = re.compile(r"[0-9a-f]{64}\n")
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1  # of macOS and the BSDs; Python does not name them everywhere
_XUCRED_BYTES = 76


def default_folder() -> Path:
    """Return the folder of sockets and tokens, of mode 0700: in the user's runtime folder, else their state folder.

    Raises: ConfigError when it belongs to someone else; OSError.
    """
    # Without XDG_RUNTIME_DIR platformdirs would take a folder in /tmp, which others may have made before.
    has_runtime = sys.platform != "linux" or bool(os.environ.get("XDG_RUNTIME_DIR"))
    folder = (user_runtime_path if has_runtime else user_state_path)("completer", appauthor=False)
    ensure_private(folder)
    folder.chmod(0o700)
    return folder


def state_folder() -> Path:
    """Return the folder, perhaps not there yet, of what shall outlive a restart but is no cache. Raises: ConfigError."""
    try:
        folder = user_state_path("completer", appauthor=False)
    except RuntimeError as error:  # newer platformdirs, without a home folder
        raise ConfigError(f"there is no home folder ({error}): set HOME") from error
    if not folder.is_absolute():  # what remains without one, and depends on the working folder
        raise ConfigError(f"the folder {str(folder)!r} is no absolute path: set HOME")
    return folder


def ensure_private(folder: Path) -> None:
    """Make a folder of mode 0700 unless there is one. Raises: ConfigError when others own it or may write to it; OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":
        return
    info = folder.stat()
    if info.st_uid != os.geteuid():
        raise ConfigError(f"{folder} belongs to another user: choose a folder of your own")
    if info.st_mode & 0o022:
        raise ConfigError(f"others may write to {folder}: choose another folder, or `chmod 700` it")


@contextlib.contextmanager
def token_file(path: Path, token: str) -> Iterator[None]:
    """Let the owner read `token` in `path`; remove the file at the end.

    A token that a server left there is replaced. Raises: ConfigError for any other file at `path`; OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_old_token(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii", newline="\n") as file:
        file.write(f"{token}\n")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_text(encoding="ascii").strip() == token:  # not the one of a server that came later
                path.unlink()


def _remove_old_token(path: Path) -> None:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return
    small = stat.S_ISREG(info.st_mode) and info.st_size == 65
    if not _is_ours(info) or not small or not _TOKEN.fullmatch(path.read_text(encoding="ascii", errors="replace")):
        raise ConfigError(f"{path} is there already and is no token of yours: remove it, or choose another --token-file")
    path.unlink()


def unix_socket() -> socket.socket:
    """Return a Unix socket that is not yet bound. Raises: ConfigError on Windows, where Python has none."""
    if sys.platform == "win32":
        raise ConfigError("Python has no Unix sockets on Windows: use --tcp 127.0.0.1:0 and the token file that it names")
    return socket.socket(socket.AF_UNIX)


def _is_ours(info: os.stat_result) -> bool:
    return sys.platform == "win32" or info.st_uid == os.geteuid()


@contextlib.contextmanager
def listening_socket(path: Path) -> Iterator[socket.socket]:
    """Yield a Unix socket that listens at `path`, of mode 0600; remove the file at the end.

    The socket of a server that died is replaced. Raises: ConfigError when a server listens there, for any other file,
    for a folder that is not private, and for a path that is too long; OSError.
    """
    ensure_private(path.parent)
    with FileLock(f"{path}.lock"):  # of two servers that begin at once, the second must see the first
        _remove_dead_socket(path)
        bound = _bind(path)
    made = path.stat()
    try:
        yield bound
    finally:
        bound.close()
        with contextlib.suppress(OSError):
            if os.path.samestat(path.stat(), made):
                path.unlink()


def _bind(path: Path) -> socket.socket:
    bound = unix_socket()
    umask = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen()  # from here on it does not look dead
    except OSError as error:
        bound.close()
        raise ConfigError(f"no socket can be made at {path}: {error}") from error
    finally:
        os.umask(umask)
    return bound


def _remove_dead_socket(path: Path) -> None:
    try:
        info = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(info.st_mode) or not _is_ours(info):
        raise ConfigError(f"{path} is there already and is no socket of yours: choose another path")
    with unix_socket() as probe:
        probe.setblocking(False)  # with a full backlog connecting would wait
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise ConfigError(f"a server listens on {path} already: connect to it, or choose another path")


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end of a Unix socket; None where the system does not tell."""
    try:
        if sys.platform == "linux":
            size = struct.calcsize("3i")
            _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        else:
            _, uid = struct.unpack_from("=II", connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES))
    except (OSError, struct.error):
        return None
    return int(uid)


def foreign_peer(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end if that is another user's; None for ours, and where it is unknown."""
    if sys.platform == "win32":
        return None
    uid = peer_uid(connection)
    return None if uid == os.geteuid() else uid


def peer_pid(connection: socket.socket) -> int | None:
    """Return the id of the process at the other end of a Unix socket; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    size = struct.calcsize("3i")
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid)

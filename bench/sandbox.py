"""Run a generated program: in a process of its own, with limits on time and memory, in an empty folder, without a network.

A guard against accidents of a model, not against an attacker. Where the kernel lets us, the process gets a network namespace of
its own (`unshare`); everywhere sockets are refused inside Python.
"""

from __future__ import annotations

import functools
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 10
MEMORY_BYTES = 1 << 30
FILE_BYTES = 1 << 20
_PREAMBLE = """\
import socket as _socket
def _refused(*_args, **_keywords): raise OSError("no network here")
_socket.socket = _socket.create_connection = _refused
del _socket
"""


def passes(program: str) -> bool:
    """Return whether `program` (Python) ends by itself, without an exception, within the limits."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.py"
        file.write_text(_PREAMBLE + program, encoding="utf-8")
        command = [*_without_network(), sys.executable, "-I", "-S", str(file)]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "HOME": folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                preexec_fn=_limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


@functools.cache
def _without_network() -> list[str]:
    """Return the command that starts another one in a network namespace of its own, [] where that is not allowed."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return []
    for command in ([unshare, "--net"], [unshare, "--map-root-user", "--net"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

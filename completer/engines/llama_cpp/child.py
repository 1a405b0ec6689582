"""The process that runs llama.cpp's server and ends with the one that started it, however that one ends.

Its standard input is a pipe whose other end our process holds and never closes while it wants the server: the system
closes it when our process ends, also by SIGKILL. That works on every system, and for every thread that started it, which
Linux's PR_SET_PDEATHSIG does not: that signal is sent when the thread ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from completer.system.programs import NEUTRAL_FOLDER

MAX_LOG_BYTES = 1 << 20
_LOG = 2
"""Standard error, which is a file."""
_LOG_CHECK_S = 30.0
_WARNINGS = 2
"""llama.cpp's level: above it, every request writes a dozen lines."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be served. program: path of a llama-server, "" for the package xllamacpp.

    host: address, or path of a socket that ends in ".sock".  ctx: tokens of one slot.
    """

    program: str
    model: str
    host: str
    key: str
    threads: int
    slots: int
    ctx: int

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    """Serve what the first line of standard input orders, until that is closed. Never returns."""
    order = Order(**json.loads(_first_line()))
    if order.program:
        _run_program(order)
    else:
        _run_package(order)


def _run_package(order: Order) -> None:
    _watch_input(lambda: _leave(order, 0))
    xllamacpp = importlib.import_module("xllamacpp")  # a compiled package without types
    try:
        with _ended_by_input():  # nothing of Python runs while the package loads the model
            server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), order))
    except RuntimeError as error:  # why, the library has written to standard error
        print(error, file=sys.stderr)
        _leave(order, 1)
    forever = threading.Event()
    while not forever.wait(_LOG_CHECK_S):
        _shorten_log()
    del server


def _parameters(params: Any, order: Order) -> Any:
    """Return the package's parameters. Mutates: params."""
    params.model.path = order.model
    params.hostnames, params.port, params.api_keys = [order.host], 0, [order.key]
    params.n_parallel, params.n_ctx = order.slots, order.slots * order.ctx
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order.threads
    params.cache_ram_mib, params.cache_idle_slots = 0, False  # what was evicted would be kept, by default up to 8 GB
    params.warmup = False  # the costs are measured at once
    params.verbosity = _WARNINGS
    return params


def _run_program(order: Order) -> None:
    command = [order.program, "--model", order.model, "--host", order.host, "--port", "0"]
    command += ["--parallel", str(order.slots), "--ctx-size", str(order.slots * order.ctx)]
    command += ["--threads", str(order.threads), "--threads-batch", str(order.threads)]
    # By environment: what an older release does not know, and the key, which others could read on a command line.
    usual = {"LLAMA_ARG_CACHE_RAM": "0", "LLAMA_ARG_LOG_VERBOSITY": str(_WARNINGS)}
    environment = {**usual, **os.environ, "LLAMA_API_KEY": order.key}
    try:
        process = subprocess.Popen(
            command,
            cwd=NEUTRAL_FOLDER,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            preexec_fn=_dying_with_us(),
        )
    except OSError as error:
        print(f"{order.program} cannot be run: {error.strerror}", file=sys.stderr)
        _leave(order, 1)

    def end() -> None:
        process.kill()
        process.wait()
        _leave(order, 0)

    _watch_input(end)
    while True:
        try:
            status = process.wait(_LOG_CHECK_S)
        except subprocess.TimeoutExpired:
            _shorten_log()
        else:
            print(f"{order.program} ended with status {status}", file=sys.stderr)
            _leave(order, 1)


def _first_line() -> bytes:
    """Return the first line of standard input; read raw, as a thread that blocks in a buffer cannot be left at the end."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(0, 1)
        if not more:
            os._exit(0)
        line += more
    return line


def _watch_input(at_end: Callable[[], None]) -> None:
    def watch() -> None:
        while os.read(0, 1024):
            pass
        at_end()

    threading.Thread(target=watch, name="parent", daemon=True).start()


@contextlib.contextmanager
def _ended_by_input() -> Iterator[None]:
    """On Linux, have the kernel end this process as soon as standard input is closed; elsewhere, do nothing."""
    if sys.platform != "linux":
        yield
        return
    import fcntl

    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)  # sends SIGIO, which ends a process that does not handle it
    yield
    fcntl.fcntl(0, fcntl.F_SETFL, flags)


def _dying_with_us() -> Callable[[], None] | None:
    """Return what makes a new process end with the thread that starts it, if the system can do that."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _shorten_log() -> None:
    if os.fstat(_LOG).st_size > MAX_LOG_BYTES:
        os.ftruncate(_LOG, 0)
        os.lseek(_LOG, 0, os.SEEK_SET)  # Windows does not append by itself


def _leave(order: Order, status: int) -> None:
    """End this process without Python's own clean-up, in which the library crashes."""
    if order.host.endswith(".sock"):
        with contextlib.suppress(OSError):
            os.unlink(order.host)
    sys.stderr.flush()
    os._exit(status)

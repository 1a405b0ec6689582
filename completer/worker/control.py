"""What the user can do with the worker by hand."""

from __future__ import annotations

import contextlib
import select
import time
from typing import TypeVar

import psutil

from completer import __version__
from completer.errors import WorkerLost
from completer.worker.channel import Channel
from completer.worker.start import Place, connect, listener_pid
from completer.worker.wire import WIRE, Ask, Bye, Hello, Message, Report, Stop, Up, reads_worker

A = TypeVar("A", Report, Bye)

ANSWER_S = 5.0
ENDED_S = 10.0


def ask(place: Place) -> Report | None:
    """Return what the worker says of itself; None without one. Raises: WorkerLost when it does not answer."""
    return _ask(place, Ask(), Report)


def stop(place: Place) -> bool:
    """End the worker, by force if it does not answer; return whether there was one. Raises: WorkerLost."""
    try:
        report = ask(place)
        if report is None:
            return False
        pid: int | None = report.pid
        _ask(place, Stop(), Bye)
    except WorkerLost:
        if (pid := listener_pid(place)) is None:
            raise
        _kill(pid)
    if pid is not None and not _is_gone_within(pid, ENDED_S):
        _kill(pid)
    return True


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


def _is_gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
    return True


def _ask(place: Place, message: Message, answer: type[A]) -> A | None:
    """Send one message and return the answer to it; None without a worker. Raises: WorkerLost when none comes."""
    connected = connect(place)
    if connected is None:
        return None
    channel: Channel[Up] = Channel(connected, reads_worker())
    try:
        channel.send(Hello(WIRE, __version__), message)
        return _answer(channel, answer)
    finally:
        channel.close()


def _answer(channel: Channel[Up], answer: type[A]) -> A:
    end = time.monotonic() + ANSWER_S
    while (left_s := end - time.monotonic()) > 0:
        select.select([channel.socket], [], [], left_s)
        messages = channel.receive()
        if messages is None:
            break
        for message in messages:
            if isinstance(message, answer):
                return message
    raise WorkerLost("the engine process does not answer")

"""Garbage on the worker's socket: it may close that connection, and must go on for everybody else."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.fuzz.lsp import Broken
from completer import __version__
from completer.worker.wire import WIRE

_encode = msgspec.msgpack.Encoder().encode
STOP = 7
ANSWER_S = 30.0


def play(path: Path, numbers: random.Random, n: int) -> int:
    """Send `n` frames over several connections; return how many could be sent."""
    n_sent = 0
    while n_sent < n:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.settimeout(ANSWER_S)
            with contextlib.suppress(OSError):
                if numbers.random() < 0.8:
                    connection.sendall(_framed(_encode([0, WIRE, __version__])))
                for _ in range(numbers.randrange(1, 60)):
                    n_sent += 1
                    connection.sendall(_frame(numbers))
    return n_sent


def report_s(path: Path) -> float:
    """Return how long the worker took to report on itself. Raises: Broken when it does not."""
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(path))
        connection.sendall(_framed(_encode([0, WIRE, __version__])) + _framed(_encode([6])))
        data = b""
        while data.count(__version__.encode()) < 2:  # Welcome and Report name it
            if not (more := connection.recv(4096)):
                raise Broken("the worker closed a proper connection")
            data += more
    return time.monotonic() - began


def _framed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def _frame(numbers: random.Random) -> bytes:
    roll = numbers.random()
    if roll < 0.05:
        return numbers.randbytes(numbers.randrange(200))
    if roll < 0.08:
        return struct.pack("<I", numbers.choice((0, 2**32 - 1, 8 << 20, (8 << 20) + 1))) + b"x" * 50
    tag = numbers.choice([tag for tag in range(12) if tag != STOP])
    if roll < 0.75:
        return _framed(_encode(_likely(tag, numbers)))
    return _framed(_encode([tag, *(_anything(numbers, 3) for _ in range(numbers.randrange(4)))]))


def _likely(tag: int, numbers: random.Random) -> list[Any]:
    """Return a message that is right but for its values."""
    ids = [_number(numbers) for _ in range(numbers.randrange(60))]
    if tag == 1:
        return [1, {"model": "words", numbers.choice(("budget_ms", "threads", "x", "kv_memory_mb")): _anything(numbers, 1)}]
    if tag == 2:
        return [2, numbers.choice((0, 1, 31, 32, -1)), ids]
    if tag == 3:
        prompt = {"ids": ids, "n_heal": numbers.choice((0, 1, -1, 99)), "n_fixed": numbers.choice((0, 5, -1))}
        stop = {"max_tokens": numbers.choice((0, 4, 16, -1, 2**40)), "single_line": bool(numbers.randrange(2))}
        request = {
            "id": numbers.randrange(50),
            "session": "a",
            "prompt": prompt,
            "stop": stop,
            "priority": numbers.choice((0, 1, 2, -5)),
        }
        return [3, request, [numbers.randrange(3)] * numbers.randrange(2)]
    if tag == 4:
        return [4, numbers.randrange(50)]
    return [tag]


def _number(numbers: random.Random) -> int:
    return numbers.randrange(300) if numbers.random() < 0.98 else numbers.choice((-1, 2**31, 2**63 - 1))


def _anything(numbers: random.Random, depth: int) -> Any:
    kind = numbers.randrange(8 if depth else 6)
    if kind == 6:
        return [_anything(numbers, depth - 1) for _ in range(numbers.randrange(4))]
    if kind == 7:
        return {numbers.choice(("id", "ids", "\0", "x")): _anything(numbers, depth - 1) for _ in range(numbers.randrange(4))}
    return numbers.choice((None, True, "", "\0", "x" * 300, _number(numbers), 1.5, float("nan"), b"\xff"))

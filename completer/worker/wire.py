"""What a front and the worker say to each other: MessagePack arrays, each after its length.

    frame    4 bytes    number of bytes that follow, little-endian
             n bytes    a MessagePack array: the tag of the message, then its fields in the order given here

docs/explanation/worker.md lists the messages; a test holds the page and this file together. A new field has a default;
any other change, also one of the plain data of `completer.types` that travels here, makes WIRE one more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from completer.engines.base import CostCurve
from completer.types import Done, Request, Tokens

WIRE = 2
"""Version of this form. It is part of the socket's name: other versions do not meet."""
MAX_FIRST_BYTES = 256
"""Of a front's first frame, which is a greeting."""
MAX_BYTES = 8 << 20
MAX_TEXTS = 32
"""Numbers under which one front can leave texts for drafts."""
MAX_TEXT_TOKENS = 1 << 17
MAX_PENDING = 256
"""Requests of one front that are not done."""

M = TypeVar("M")


class Broken(Exception):
    """The peer sent what is no message, or too much of it."""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of all messages."""


class Hello(Message, frozen=True, tag=0):
    """The first message of a front. version: of completer."""

    wire: int
    version: str


class Load(Message, frozen=True, tag=1):
    """Wants the model that the settings name; followed by any number of Loading, then by Ready or Failed."""

    settings: dict[str, Any]


class Text(Message, frozen=True, tag=2):
    """Leaves tokens in which drafts are looked up, under a number below MAX_TEXTS, in place of what was there."""

    number: int
    ids: tuple[int, ...]


class Submit(Message, frozen=True, tag=3):
    """A request; `Grew` and one `Ended` follow. texts: numbers that stand for corpora in front of `request.corpus_ids`."""

    request: Request
    texts: tuple[int, ...] = ()


class Cancel(Message, frozen=True, tag=4):
    request_id: int


class Ping(Message, frozen=True, tag=5):
    """Asks for a Pong at once, whatever the engine does."""


class Ask(Message, frozen=True, tag=6):
    """Wants a Report."""


class Stop(Message, frozen=True, tag=7):
    """The user wants the worker to end. Every front is told with Bye."""


class Welcome(Message, frozen=True, tag=0):
    """Answers Hello."""

    wire: int
    version: str
    pid: int


class Loading(Message, frozen=True, tag=1):
    """How far loading is; see `completer.types.Progress`."""

    label: str
    done: int
    total: int


class Vocabulary(Message, frozen=True):
    """Where the tokenizer.json of the model lies. fim: prompt format, "" to detect it.

    keeps: what is worked out of it may be kept beside it.  checksum: of the bytes of all tokens.
    """

    path: str
    fim: str
    keeps: bool
    checksum: int


class Ready(Message, frozen=True, tag=2):
    """Answers Load. Field names are those of `completer.complete.state.Model`."""

    name: str
    engine: str
    max_len: int
    avoids: bool
    vocabulary: Vocabulary
    costs: CostCurve


class Failed(Message, frozen=True, tag=3):
    """Answers Load. kind: name of a class of `completer.errors`."""

    kind: str
    text: str


class Grew(Message, frozen=True, tag=4):
    event: Tokens


class Ended(Message, frozen=True, tag=5):
    event: Done


class Held(Message, frozen=True, tag=6):
    """What changed in the sequences that the engine keeps: (slot, tokens that stay, tokens that follow them)."""

    changes: tuple[tuple[int, int, tuple[int, ...]], ...]


class State(Message, frozen=True, tag=7):
    """What the user should know of the model, and what it costs by now. Sent when either changed."""

    message: str
    costs: CostCurve


class Pong(Message, frozen=True, tag=8):
    """Answers Ping."""


class Unloaded(Message, frozen=True, tag=9):
    """The model was idle for long and is gone from memory; Load brings it back."""


class Bye(Message, frozen=True, tag=10):
    """The worker ends on purpose."""


class LoadedModel(Message, frozen=True):
    """A line of the report: a model in memory, and its KV slots with the tokens that they hold."""

    name: str
    engine: str
    n_fronts: int
    idle_s: float
    n_slots: int = 0
    n_held: int = 0


class Report(Message, frozen=True, tag=11):
    """Answers Ask. memory_mb: resident."""

    pid: int
    version: str
    uptime_s: float
    memory_mb: float
    n_fronts: int
    models: tuple[LoadedModel, ...]


Down = Hello | Load | Text | Submit | Cancel | Ping | Ask | Stop
"""From a front to the worker."""
Up = Welcome | Loading | Ready | Failed | Grew | Ended | Held | State | Pong | Unloaded | Bye | Report
"""From the worker to a front."""

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()


def framed(message: Message) -> bytes:
    """Return a message as it goes over the socket. Raises: Broken when it is too large."""
    body = _encoder.encode(message)
    if len(body) > MAX_BYTES:
        raise Broken(f"{type(message).__name__} of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class Reader(Generic[M]):
    """Takes bytes as they come and gives the messages in them."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[M], first_bytes: int = MAX_BYTES) -> None:
        """first_bytes: most bytes of the first frame."""
        self._decoder = decoder
        self._limit = first_bytes
        self._waiting = bytearray()

    def take(self, data: bytes) -> Iterator[M]:
        """Yield the messages that are whole by now. Raises: Broken; nothing can be read after that."""
        waiting = self._waiting
        waiting += data
        start = 0
        while len(waiting) - start >= _LENGTH.size:
            (n_bytes,) = _LENGTH.unpack_from(waiting, start)
            if n_bytes > self._limit:
                raise Broken(f"a frame of {n_bytes} bytes")
            end = start + _LENGTH.size + n_bytes
            if len(waiting) < end:
                break
            body, start = bytes(waiting[start + _LENGTH.size : end]), end
            self._limit = MAX_BYTES
            try:
                message = self._decoder.decode(body)
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                raise Broken(f"no message of wire form {WIRE}: {type(error).__name__}") from error
            yield message
        del waiting[:start]


def reads_fronts() -> Reader[Down]:
    """Return what reads a front's messages."""
    return Reader(_DOWN, MAX_FIRST_BYTES)


def reads_worker() -> Reader[Up]:
    """Return what reads the worker's messages."""
    return Reader(_UP)


_DOWN: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)
_UP: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)

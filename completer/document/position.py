"""Positions as the client counts them, and how they become code points. Pure functions on single lines.

An LSP position is a line and a character; what a character counts was agreed when the client connected:
UTF-16 code units, UTF-8 bytes, or code points ("utf-32"). Inside the program every offset is in code points (`_cp`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Encoding = Literal["utf-8", "utf-16", "utf-32"]
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")

_UNIT_BYTES: dict[Encoding, int] = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
_CODEC: dict[Encoding, str] = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


class Position(NamedTuple):
    """A place in a document in the client's units. line: from 0; character: units of the agreed encoding."""

    line: int
    character: int


class Range(NamedTuple):
    """Half-open."""

    start: Position
    end: Position


def n_units(text: str, encoding: Encoding) -> int:
    """Return how many units of `encoding` the text takes."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    return len(text.encode(_CODEC[encoding])) // _UNIT_BYTES[encoding]


def n_code_points(text: str, units: int, encoding: Encoding) -> int:
    """Return how many code points of `text` lie within its first `units` units.

    A count that ends inside a character is rounded down to its start; one past the end is the whole text.
    """
    text = text[:units]  # no character takes less than one unit
    if encoding == "utf-32" or text.isascii():
        return len(text)
    head = text.encode(_CODEC[encoding])[: units * _UNIT_BYTES[encoding]]
    return len(head.decode(_CODEC[encoding], "ignore"))


def encodable(text: str) -> str:
    """Return the text with lone surrogates replaced by U+FFFD, which is as wide as they are in every encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text

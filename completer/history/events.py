"""What is noted of suggestions: numbers, a language id and how it came about. Nothing tells the document or its text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from completer.types import AnsweredBy


class Unit(IntEnum):
    """How much of a suggestion was accepted at a time; the larger one counts."""

    WORD = 1
    LINE = 2
    WHOLE = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion was shown.

    key: number of the answer.  offer: key of the answer that this one goes on with, else its own.
    hour: hours since 1970, UTC.  latency_ms: from request to answer; None if nobody had asked.
    remote: a server had the prompt.
    """

    key: int
    offer: int
    hour: int
    language: str
    answered_by: AnsweredBy
    latency_ms: float | None
    n_chars: int
    remote: bool


@dataclass(frozen=True, slots=True)
class Grew:
    """A suggestion that is visible has become longer. n_chars: its length by now."""

    offer: int
    n_chars: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """More of a suggestion was accepted. n_chars: characters since the last time."""

    offer: int
    n_chars: int
    unit: Unit


Event = Shown | Grew | Accepted

"""What all servers have in common, and what each dialect must define."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from completer.types import FinishReason

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request in the words that all dialects have.

    prompt: token ids, or the text with the special tokens spelt out.  n_predict: 0: only fill the prefix cache.
    stop: texts that end the answer.  end_ids: tokens that end it.  begins_with: what it must start with ("": anything).
    n_top: alternatives wanted at each place.
    """

    model: str
    prompt: list[int] | str
    n_predict: int
    stop: tuple[str, ...] = ()
    end_ids: tuple[int, ...] = ()
    begins_with: str = ""
    n_top: int = 0
    deadline_s: float = 30.0


class Alternative(NamedTuple):
    """A likely token: by id where the server tells it, else by its text."""

    id: int | None
    text: str
    prob: float


class Event(NamedTuple):
    """The content of one message of the stream.

    ids: None where the server gives only text.  prob: None where it does not tell.
    n_cached: prompt tokens from its prefix cache.  end: why the answer ends here; None: it goes on.
    """

    text: str = ""
    ids: tuple[int, ...] | None = None
    prob: float | None = None
    top: tuple[Alternative, ...] = ()
    n_cached: int | None = None
    end: FinishReason | None = None


Read = Callable[[Mapping[str, Any]], Event]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of servers is spoken to.

    path: of the request.  framing: server-sent events, or a JSON object on each line.
    body: the request.  reader: makes, for one stream, the function that reads an event out of a message.
    takes_ids: it takes token ids as prompt.  constrains: it honours Ask.begins_with.
    tokenize: path, body for (model, text), and the key of the ids in the answer; None where the server has no such thing.
    """

    name: str
    path: str
    body: Callable[[Ask], Json]
    reader: Callable[[], Read]
    framing: Literal["sse", "lines"] = "sse"
    takes_ids: bool = False
    constrains: bool = False
    tokenize: tuple[str, Callable[[str, str], Json], str] | None = None


def finish(reason: Any, stopped_by: Any = None) -> FinishReason | None:
    """Return our word for a server's finish reason: "length", a stop text, or the model's own end."""
    if reason is None:
        return None
    if reason in ("length", "limit", "max_tokens"):
        return "length"
    return "newline" if stopped_by == "\n" else "end"

"""Traces: what a person did to documents, and when. One JSON object per line.

The first line is the header::

    {"trace": 1, "name": ..., "origin": ..., "licence": ..., "note": ..., "redacted": false}

every other line an event; fields that hold their default are left out::

    {"t_ms": 412.5, "kind": "key", "doc": 0, "pos": 118, "n": 0, "text": "x"}

| field | meaning |
|---|---|
| t_ms | milliseconds since the start of the trace; never decreases |
| kind | open, key (one keystroke), delete, paste, undo, move |
| doc | number of the document, as given by its `open` event |
| pos | offset of the edit, or of the cursor for `open` and `move`, in code points |
| n | code points removed at `pos` |
| text | what is inserted at `pos` (`open`: the whole document) |
| n_text | instead of `text` in a redacted trace: its length |
| file, language | `open` only: file name and LSP language id |

A redacted trace keeps positions and lengths; its text is filled with `x`, so it gives latencies but no quality.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

EventKind = Literal["open", "key", "delete", "paste", "undo", "move"]
EDITS = frozenset({"key", "delete", "paste", "undo"})
VERSION = 1


class TraceError(ValueError):
    """A trace file that does not follow the schema; the message names the line."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing the person did; the module's table explains the fields."""

    t_ms: float
    kind: EventKind
    doc: int = 0
    pos: int = 0
    n: int = 0
    text: str = ""
    file: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """Events that belong together: one place of work, begun by `open` or `move`. `first` counts in the trace."""

    first: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole trace. `redacted`: the text is filler, so only latency figures mean anything."""

    name: str
    events: tuple[Event, ...]
    origin: str = ""
    licence: str = ""
    note: str = ""
    redacted: bool = False

    def segments(self) -> list[Segment]:
        """Return the trace cut before each `open` and `move`; consecutive ones stay together."""
        cuts = [
            i
            for i, event in enumerate(self.events)
            if event.kind in ("open", "move") and (i == 0 or self.events[i - 1].kind not in ("open", "move"))
        ]
        bounds = [*cuts, len(self.events)] if cuts[:1] == [0] else [0, *cuts, len(self.events)]
        return [Segment(start, self.events[start:end]) for start, end in pairwise(bounds) if end > start]

    def texts(self) -> dict[int, str]:
        """Return the text of each document as it stands after the last event."""
        found: dict[int, str] = {}
        for event in self.events:
            before = found.get(event.doc, "")
            if event.kind == "open":
                found[event.doc] = event.text
            elif event.kind in EDITS:
                found[event.doc] = before[: event.pos] + event.text + before[event.pos + event.n :]
        return found

    def following(self) -> list[str]:
        """Return, for each event, what the person goes on to type right behind it without a break.

        The text of the unbroken run of `key` events; "" where the run ends. This is the truth that
        suggestions are judged by.
        """
        out = [""] * len(self.events)
        for i in range(len(self.events) - 2, -1, -1):
            event, later = self.events[i], self.events[i + 1]
            cursor = event.pos + (len(event.text) if event.kind in EDITS else 0)
            if later.kind == "key" and later.doc == event.doc and later.n == 0 and later.pos == cursor:
                out[i] = later.text + out[i + 1]
        return out


def load(path: Path) -> Trace:
    """Return the trace in `path`. Raises: TraceError, OSError."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        header = _header(path, next(lines, ""))
        redacted = bool(header.get("redacted"))
        events = tuple(_events(path, lines))
    return Trace(
        name=str(header.get("name", path.stem)),
        events=events,
        origin=str(header.get("origin", "")),
        licence=str(header.get("licence", "")),
        note=str(header.get("note", "")),
        redacted=redacted,
    )


def save(trace: Trace, path: Path) -> None:
    """Write `trace` to `path`; a redacted one without its text."""
    header = {"trace": VERSION, "name": trace.name, "origin": trace.origin, "licence": trace.licence}
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps({**header, "note": trace.note, "redacted": trace.redacted}, ensure_ascii=False) + "\n")
        for event in trace.events:
            out.write(json.dumps(_plain(event, trace.redacted), ensure_ascii=False) + "\n")


def redact(trace: Trace) -> Trace:
    """Return `trace` with every text replaced by filler of the same length; line breaks stay."""
    return replace(trace, redacted=True, events=tuple(replace(e, text=_filler(e.text)) for e in trace.events))


def _filler(text: str) -> str:
    return "".join(c if c in "\r\n" else "x" for c in text)


def _header(path: Path, line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError as error:
        raise TraceError(f"{path}:1: not JSON: {error}") from None
    if not isinstance(header, dict) or header.get("trace") != VERSION:
        raise TraceError(f'{path}:1: not a trace of version {VERSION}: the first line must hold "trace": {VERSION}')
    return header


def _events(path: Path, lines: Iterator[str]) -> Iterator[Event]:
    known = set(Event.__dataclass_fields__)
    last_ms = float("-inf")
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        try:
            plain = json.loads(line)
            if "n_text" in plain:
                plain["text"] = "x" * int(plain.pop("n_text"))
            unknown = set(plain) - known
            if unknown:
                raise ValueError(f"unknown field {min(unknown)!r}")
            event = Event(**plain)
        except (ValueError, TypeError) as error:
            raise TraceError(f"{path}:{number}: {error}") from None
        if event.kind not in get_args(EventKind):
            raise TraceError(f"{path}:{number}: unknown kind {event.kind!r}")
        if event.t_ms < last_ms:
            raise TraceError(f"{path}:{number}: time runs backwards ({event.t_ms} after {last_ms})")
        last_ms = event.t_ms
        yield event


def _plain(event: Event, redacted: bool) -> dict[str, Any]:
    plain: dict[str, Any] = {"t_ms": round(event.t_ms, 1), "kind": event.kind}
    for name, default in (("doc", 0), ("pos", 0), ("n", 0), ("file", ""), ("language", "")):
        value = getattr(event, name)
        if value != default:
            plain[name] = value
    if event.text:
        # Line breaks decide where lines are, so a redacted text with breaks is kept as filler.
        only_filler = redacted and "\n" not in event.text and "\r" not in event.text
        plain |= {"n_text": len(event.text)} if only_filler else {"text": event.text}
    return plain

"""Typing made from a source file: chosen lines are cut out and typed again, key by key."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from rapidfuzz import fuzz

from bench.trace import Event, EventKind, Trace
from bench.typing_model import TypingModel

MIN_LINE_CHARS = 12
MIN_DISTANCE = 3
NEAR_LINES = 12
ALIKE_PERCENT = 75
COMMENT = re.compile(r"\s*(#|//|/\*|\*|\"\"\"|''')")
NEIGHBOURS = {c: n for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for c, n in zip(row, row[1:] + row[-2], strict=True)}


@dataclass(slots=True)
class _Hand:
    """Writes events and keeps the text as it stands after them."""

    text: str
    rng: random.Random
    model: TypingModel
    t_ms: float = 0.0
    doc: int = 0
    events: list[Event] = field(default_factory=list)

    def do(self, kind: EventKind, pos: int, n: int = 0, text: str = "", gap_ms: float | None = None) -> None:
        self.t_ms += self.model.gap_ms(self.rng) if gap_ms is None else gap_ms
        self.events.append(Event(self.t_ms, kind, doc=self.doc, pos=pos, n=n, text=text))
        self.text = self.text[:pos] + text + self.text[pos + n :]

    def go(self, pos: int) -> None:
        """Move the cursor; what is done next comes when the hand is back at the keyboard."""
        self.do("move", pos, gap_ms=self.model.jump_ms - self.model.homing_ms)
        self.t_ms += self.model.homing_ms

    def type(self, pos: int, text: str, typo_rate: float) -> None:
        for i, char in enumerate(text):
            if typo_rate and char in NEIGHBOURS and self.rng.random() < typo_rate:
                self.do("key", pos + i, text=NEIGHBOURS[char])
                self.do("delete", pos + i, n=1)
            self.do("key", pos + i, text=char)


def choose_lines(text: str, n_lines: int, rng: random.Random, *, repeating: bool = False) -> list[int]:
    """Return up to `n_lines` line numbers worth typing: code, long enough, apart from each other; in random order.

    repeating: only lines much like one of the NEAR_LINES above them: rows of a table, cases of a test, a renamed copy.
    """
    lines = text.split("\n")
    usable = [i for i, line in enumerate(lines) if len(line.strip()) >= MIN_LINE_CHARS and not COMMENT.match(line) and i > 5]
    if repeating:
        usable = [i for i in usable if _is_like_above(lines, i)]
    rng.shuffle(usable)
    chosen: list[int] = []
    for line in usable:
        if len(chosen) < n_lines and all(abs(line - other) >= MIN_DISTANCE for other in chosen):
            chosen.append(line)
    return chosen


def _is_like_above(lines: Sequence[str], i: int) -> bool:
    line = lines[i].strip()
    above = (other.strip() for other in lines[max(0, i - NEAR_LINES) : i])
    return any(other != line and fuzz.ratio(line, other) >= ALIKE_PERCENT for other in above)


def type_lines(
    text: str,
    *,
    file: str,
    language: str,
    n_lines: int,
    seed: int,
    model: TypingModel | None = None,
    repeating: bool = False,
) -> Trace:
    """Return a trace that types `n_lines` lines of `text`, jumping from one to the next.

    The file is opened without those lines: only their indentation is there, so that nothing (an index, a cache, a prompt
    prepared in idle time) can know what is going to be typed. It ends as `text`.
    """
    hand, places = _opened_without_lines(text, n_lines, seed, model, repeating)
    opened = hand.text
    for pos, rest in _moving(places):
        hand.go(pos)
        hand.type(pos, rest, typo_rate=0.0)
    return _trace(opened, hand, file, language, note=f"{len(places)} {'repeating ' if repeating else ''}lines typed, seed {seed}")


def mixed_session(text: str, *, file: str, language: str, n_lines: int, seed: int, model: TypingModel | None = None) -> Trace:
    """Return a trace with all that happens while editing: typing with typos, jumps, deletions, pastes, undo."""
    hand = _opened(text, seed, model)
    for turn, number in enumerate(choose_lines(text, n_lines, hand.rng)):
        pos, rest = _body(hand.text, number)
        hand.go(pos)
        if turn % 4 == 3:
            line = hand.text.split("\n")[number] + "\n"
            start = _line_start(hand.text, number)
            hand.do("paste", start, text=line)
            hand.do("undo", start, n=len(line), gap_ms=hand.model.jump_ms)
            continue
        hand.do("delete", pos, n=len(rest))
        if turn % 4 == 2:
            hand.do("undo", pos, text=rest, gap_ms=hand.model.jump_ms)
            continue
        hand.type(pos, rest, typo_rate=0.03)
    return _trace(text, hand, file, language, note=f"mixed session over {n_lines} lines, seed {seed}")


def rename_session(
    text: str, *, old: str, new: str, file: str, language: str, seed: int, model: TypingModel | None = None
) -> Trace:
    """Return a trace that renames an identifier by hand: each place in turn is selected and the new name typed over it.

    Raises: ValueError when `old` stands in `text` fewer than twice, or `new` at all.
    """
    hand = _opened(text, seed, model)
    if (n_places := len(re.findall(rf"\b{re.escape(old)}\b", text))) < 2:
        raise ValueError(f"{old!r} stands in {file} {n_places} times: two are needed")
    if re.search(rf"\b{re.escape(new)}\b", text):
        raise ValueError(f"{new!r} stands in {file} already: choose another name")
    while found := re.search(rf"\b{re.escape(old)}\b", hand.text):
        hand.go(found.end())
        hand.do("key", found.start(), n=len(old), text=new[0])
        hand.type(found.start() + 1, new[1:], typo_rate=0.0)
    return _trace(text, hand, file, language, note=f"{old} renamed to {new} in {n_places} places, seed {seed}")


def jump_session(sources: Sequence[Event], *, n_lines: int, n_keys: int, seed: int) -> Trace:
    """Return a trace that opens several files, then jumps from one to the next and types at once, without a pause.

    sources: `open` events; `n_lines` lines of each are cut out, then the first `n_keys` keys of each are typed, the first of
    them in the same moment as the jump, so that no server can have prepared the place.
    """
    opened: list[Event] = []
    visits: list[list[list[Event]]] = []  # by file, then by place
    for doc, source in enumerate(sources):
        hand, places = _opened_without_lines(source.text, n_lines, seed, None)
        opened.append(replace(source, t_ms=0.0, doc=doc, text=hand.text))
        visits.append([])
        for pos, rest in _moving(places, n_keys):
            visit = _Hand(hand.text, hand.rng, hand.model, doc=doc)
            visit.do("move", pos, gap_ms=hand.model.jump_ms)
            for i, char in enumerate(rest):
                visit.do("key", pos + i, text=char, gap_ms=0.0 if i == 0 else None)
            visits[-1].append(visit.events)
    events = list(opened)
    for visit_of_each in zip_longest(*visits, fillvalue=[]):
        for visit_events in visit_of_each:
            start_ms = events[-1].t_ms
            events.extend(replace(event, t_ms=start_ms + event.t_ms) for event in visit_events)
    note = f"jumps between {len(sources)} files, {n_lines} places in each, typing at once, seed {seed}"
    return Trace(name="jumps", note=note, events=tuple(events))


def _opened_without_lines(
    text: str, n_lines: int, seed: int, model: TypingModel | None, repeating: bool = False
) -> tuple[_Hand, list[tuple[int, str]]]:
    """Return a hand whose text lacks the chosen lines, and where in `text` each of them begins, in the order of typing."""
    hand = _opened(text, seed, model)
    places = [_body(text, number) for number in choose_lines(text, n_lines, hand.rng, repeating=repeating)]
    for pos, rest in sorted(places, reverse=True):
        hand.text = hand.text[:pos] + hand.text[pos + len(rest) :]
    return hand, places


def _moving(places: Sequence[tuple[int, str]], n_keys: int = sys.maxsize) -> Iterator[tuple[int, str]]:
    """Yield, for each place, its offset when the places before it have been typed, and what is typed there.

    places: offsets in the whole text, and the lines that are missing there.  n_keys: only so many of each are typed.
    """
    for i, (pos, rest) in enumerate(places):
        typed = [line[:n_keys] if j < i else "" for j, (_, line) in enumerate(places)]
        missing = sum(len(line) - len(typed[j]) for j, (at, line) in enumerate(places) if at < pos)
        yield pos - missing, rest[:n_keys]


def _opened(text: str, seed: int, model: TypingModel | None) -> _Hand:
    if "\r" in text:
        raise ValueError("the typist types files with \\n line endings only")
    return _Hand(text, random.Random(seed), model or TypingModel())


def _trace(original: str, hand: _Hand, file: str, language: str, note: str) -> Trace:
    opened = Event(0.0, "open", text=original, file=file, language=language)
    return Trace(name=file, note=note, events=(opened, *hand.events))


def with_origin(trace: Trace, origin: str, licence: str) -> Trace:
    """Return `trace` with its origin and licence set."""
    return replace(trace, origin=origin, licence=licence)


def _line_start(text: str, number: int) -> int:
    return sum(len(line) + 1 for line in text.split("\n")[:number])


def _body(text: str, number: int) -> tuple[int, str]:
    line = text.split("\n")[number]
    rest = line.lstrip()
    return _line_start(text, number) + len(line) - len(rest), rest.rstrip()

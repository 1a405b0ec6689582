"""Judges what was shown against what was typed: matched characters, accepts, keystrokes saved, flicker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

from bench.screen import Frame, Record

BLINK_MS = 60.0
"""A suggestion that comes back within this time (the server answers the typed-through key) was never away."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When the person accepts: visible for min_visible_ms, and its first line, of at least min_chars characters,
    is exactly what they go on to type."""

    min_visible_ms: float = 250.0
    min_chars: int = 3


@dataclass(slots=True)
class Accepts:
    """typed: characters typed in all. accepted: those that an accept would have saved. repairs: characters to delete
    afterwards (0 under a policy that accepts only right lines)."""

    typed: int = 0
    accepted: int = 0
    accepts: int = 0
    repairs: int = 0
    at_records: list[int] = field(default_factory=list)

    @property
    def ks_percent(self) -> float:
        """Keystrokes saved: (accepted - one key per accept - repairs) of all typed characters, in percent."""
        return 100.0 * (self.accepted - self.accepts - self.repairs) / self.typed if self.typed else 0.0

    @property
    def rocc(self) -> float:
        """Ratio of completed code: accepted characters of all characters."""
        return self.accepted / self.typed if self.typed else 0.0


@dataclass(slots=True)
class Match:
    """How well the visible text agrees with the rest of the line, over keys with a rest. Shares in [0, 1] or None.

    matched_share, wrong_share: mean over keys (wrong: over keys at which something was visible).
    pooled_*: the same from sums of characters.  exact: keys at which the rest of the line stood there complete.
    """

    keys: int = 0
    shown: int = 0
    exact: int = 0
    exact_lines: int = 0
    lines: int = 0
    matched_chars: int = 0
    wrong_chars: int = 0
    rest_chars: int = 0
    matched_share: float | None = None
    wrong_share: float | None = None

    @property
    def pooled_matched_share(self) -> float | None:
        return self.matched_chars / self.rest_chars if self.rest_chars else None

    @property
    def pooled_wrong_share(self) -> float | None:
        shown = self.matched_chars + self.wrong_chars
        return self.wrong_chars / shown if shown else None


def common_prefix(a: str, b: str) -> int:
    """Return how many characters `a` and `b` share from their start."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


def first_line(text: str) -> str:
    """Return `text` up to its first line break."""
    return text.split("\n", 1)[0].rstrip("\r")


def match(records: Sequence[Record], min_chars: int = 3) -> Match:
    """Return the agreement of what was visible before the next event with the rest of the typed line."""
    out = Match()
    shares: list[float] = []
    wrongs: list[float] = []
    exact_in_line = in_line = False
    for record in records:
        rest = first_line(record.following)
        if record.kind != "key" or not rest:
            out.lines += in_line
            out.exact_lines += exact_in_line
            exact_in_line = in_line = False
            continue
        in_line = True
        line = first_line(record.visible)
        matched = common_prefix(line, rest)
        out.keys += 1
        out.rest_chars += len(rest)
        out.matched_chars += matched
        shares.append(matched / len(rest))
        if line:
            out.shown += 1
            out.wrong_chars += len(line) - matched
            wrongs.append(1 - matched / len(line))
        if line == rest:
            out.exact += 1
            exact_in_line |= len(rest) >= min_chars
    out.lines += in_line
    out.exact_lines += exact_in_line
    out.matched_share = sum(shares) / len(shares) if shares else None
    out.wrong_share = sum(wrongs) / len(wrongs) if wrongs else None
    return out


def accepts(records: Sequence[Record], frames: Sequence[Frame], policy: Policy) -> Accepts:
    """Return what a person following `policy` would have accepted, and saved.

    The trace itself is typed to its end all the same (so that all tools see the same keys); while an accepted
    text is typed, nothing else is accepted.
    """
    out = Accepts(typed=sum(len(r.text) for r in records if r.kind == "key"))
    busy_until = -1
    life: _Life | None = None
    for frame, later in zip_longest(frames, frames[1:]):
        if not frame.text:
            if life is not None:
                life.gone_ms = min(life.gone_ms, frame.t_ms)
            continue
        if life is None or not life.goes_on(frame, records):
            life = _Life(since_ms=frame.t_ms)
        life.text, life.record, life.gone_ms = frame.text, frame.record, math.inf
        record, line = records[frame.record], first_line(frame.text)
        ends_ms = min(_or_inf(record.next_ms), later.t_ms if later else math.inf)
        right = len(line.strip()) >= policy.min_chars and record.following.startswith(line)
        seen = max(frame.t_ms, life.since_ms + policy.min_visible_ms) <= ends_ms
        if frame.record > busy_until and right and seen:
            out.accepts += 1
            out.accepted += len(line)
            out.at_records.append(frame.record)
            busy_until = _typed_by(records, frame.record, len(line))
    return out


@dataclass(slots=True)
class _Life:
    """One suggestion as the person perceives it, while it is typed along, extended, or blinks."""

    since_ms: float
    text: str = ""
    record: int = -1
    gone_ms: float = math.inf

    def goes_on(self, frame: Frame, records: Sequence[Record]) -> bool:
        """Whether `frame` shows the same suggestion, less what was typed since, perhaps longer."""
        if frame.t_ms - self.gone_ms > BLINK_MS:
            return False
        between = records[self.record + 1 : frame.record + 1]
        if any(r.kind != "key" for r in between):
            return False
        typed = "".join(r.text for r in between)
        rest = self.text[len(typed) :]
        return self.text.startswith(typed) and rest != "" and frame.text.startswith(rest)


def _typed_by(records: Sequence[Record], record: int, n_chars: int) -> int:
    """Return the index of the record with which the `n_chars` characters after `record` have been typed."""
    while n_chars > 0 and record + 1 < len(records):
        record += 1
        n_chars -= len(records[record].text)
    return record


def _or_inf(value: float | None) -> float:
    return math.inf if value is None else value


def flicker(records: Sequence[Record]) -> float:
    """Return how often per 100 keys a suggestion that still fitted was replaced or taken away."""
    keys = bad = 0
    for record, later in pairwise(records):
        if later.kind != "key":
            continue
        keys += 1
        if record.visible.startswith(later.text) and (rest := record.visible[len(later.text) :]):
            now = later.visible
            bad += not now or not (now.startswith(rest) or rest.startswith(now))
    return 100.0 * bad / keys if keys else 0.0

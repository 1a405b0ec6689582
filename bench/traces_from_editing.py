"""Recorded editing (josephg/editing-traces, sequential) turned into traces of the harness.

Source format: {"startContent", "endContent", "txns": [{"time": ISO 8601, "patches": [[pos_cp, n_deleted, inserted]]}]}.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from bench.trace import Event, EventKind, Trace
from bench.typing_model import TypingModel

LONGEST_PAUSE_MS = 3000.0
"""Pauses for thought are cut to this, so that a replay does not last as long as the work did."""
NEAR_CP = 100
"""Edits farther than this from the cursor begin with a cursor jump of their own."""
ORIGIN = "https://github.com/josephg/editing-traces, sequential traces, by Joseph Gentle"
LICENCE = "CC-BY-4.0"


@dataclass(frozen=True, slots=True)
class Patch:
    """One recorded edit; `time_ms` since the epoch of the recording."""

    time_ms: float
    pos: int
    n: int
    text: str


def read_patches(path: Path) -> tuple[str, list[Patch]]:
    """Return the start content and all patches of a (gzipped) recording. Raises: OSError, ValueError, KeyError."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    recording = json.loads(raw)
    patches = [
        Patch(datetime.fromisoformat(txn["time"]).timestamp() * 1e3, pos, n, text)
        for txn in recording["txns"]
        for pos, n, text in txn["patches"]
    ]
    return recording["startContent"], patches


def typing_gaps_ms(patches: list[Patch]) -> Iterator[float]:
    """Yield the gaps between one-character inserts that follow each other without a break."""
    for a, b in pairwise(patches):
        if len(a.text) == len(b.text) == 1 and a.n == b.n == 0 and b.pos == a.pos + 1:
            yield b.time_ms - a.time_ms


def convert(path: Path, *, file: str, language: str, start: int, count: int, exact: bool, seed: int = 1) -> Trace:
    """Return `count` patches of a recording from number `start` on, as a trace.

    exact: the recording's stamps are milliseconds and are kept; otherwise (stamps of one second) the gaps of
    typing come from the typing model. Pauses are cut to LONGEST_PAUSE_MS either way.
    """
    text, patches = read_patches(path)
    for patch in patches[:start]:
        text = text[: patch.pos] + patch.text + text[patch.pos + patch.n :]
    chosen = patches[start : start + count]
    rng, model = random.Random(seed), TypingModel()
    cursor = chosen[0].pos if chosen else 0
    events = [Event(0.0, "open", pos=cursor, text=text, file=file, language=language)]
    t_ms = 0.0
    for last, patch in zip([None, *chosen], chosen, strict=False):
        t_ms += _gap_ms(last, patch, model, rng, exact)
        if abs(patch.pos - cursor) > NEAR_CP:
            events.append(Event(t_ms, "move", pos=patch.pos))
            t_ms += model.gap_ms(rng)
        events.append(Event(t_ms, _kind(patch), pos=patch.pos, n=patch.n, text=patch.text))
        cursor = patch.pos + len(patch.text)
    note = f"patches {start} to {start + len(chosen)} of {path.name}; " + (
        "recorded gaps, pauses cut" if exact else f"gaps of typing from the model (seed {seed}), pauses cut"
    )
    return Trace(file, tuple(events), origin=ORIGIN, licence=LICENCE, note=note)


def _gap_ms(last: Patch | None, patch: Patch, model: TypingModel, rng: random.Random, exact: bool) -> float:
    recorded = patch.time_ms - last.time_ms if last is not None else 0.0
    if exact or recorded > 2000.0:
        return min(max(recorded, 0.0), LONGEST_PAUSE_MS)
    return model.gap_ms(rng)


def _kind(patch: Patch) -> EventKind:
    """One character, or a line break with the indentation that the editor adds, is one key."""
    if patch.n == 0 and (len(patch.text) == 1 or (patch.text[:1] == "\n" and not patch.text.strip())):
        return "key"
    return "paste" if patch.text else "delete"

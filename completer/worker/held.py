"""What an engine's slots hold, mirrored in every front: `n_cached` must answer at once, on the front's event loop.

    slot 2 of the worker       a b c d e f      was  a b c x
    what is sent               (2, 3, d e f)    keep 3 of what you have, d e f follow

A mirror may lag by what changed since the last message; `Generator.n_cached` is a hint in any case.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from completer.tokens.prefix import common_length
from completer.worker.wire import Held

Sequences = Sequence[Sequence[int]]


class Publisher:
    """Tells what changed since it told the last time. From any thread; what is told keeps its order."""

    def __init__(self, held: Callable[[], Sequences], tell: Callable[[Held], None]) -> None:
        """held: returns the sequences now.  tell: sends a change to everyone who follows; it may not block."""
        self._held = held
        self._tell = tell
        self._told: list[list[int]] = []
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Tell what changed."""
        with self._lock:
            now = self._held()
            changes = []
            for slot in range(max(len(now), len(self._told))):
                if slot == len(self._told):
                    self._told.append([])
                old, held = self._told[slot], now[slot] if slot < len(now) else ()
                if old == held:
                    continue  # the usual case, compared in C, and nothing is copied
                new = list(held)
                if old == new:
                    continue
                n_kept = common_length(old, new)
                changes.append((slot, n_kept, tuple(new[n_kept:])))
                self._told[slot] = new
            if changes:
                self._tell(Held(tuple(changes)))

    def joined(self, join: Callable[[Held], None]) -> None:
        """Let a new follower join: `join` is given all that was told so far, before anything else is."""
        with self._lock:
            join(Held(tuple((slot, 0, tuple(ids)) for slot, ids in enumerate(self._told) if ids)))


class Mirror:
    """A front's copy. Written by the thread that receives, read by any."""

    def __init__(self) -> None:
        self._slots: dict[int, list[int]] = {}

    def take(self, held: Held) -> None:
        """Apply a change. Mutates: the copy; each sequence is replaced as a whole, so readers need no lock."""
        for slot, n_kept, ids in held.changes:
            changed = {**self._slots, slot: [*self._slots.get(slot, ())[:n_kept], *ids]}
            self._slots = changed

    def clear(self) -> None:
        """The engine is gone, and with it all that it held."""
        self._slots = {}

    def n_cached(self, ids: Sequence[int]) -> int:
        """As `completer.generate.generator.Generator.n_cached`."""
        return max((common_length(held, ids) for held in self._slots.values()), default=0)

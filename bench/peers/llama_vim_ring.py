"""The ring of extra context of llama.vim: pieces of text from farther away, sent with every request.

Source: ggml-org/llama.vim, autoload/llama.vim (`s:pick_chunk`, `s:chunk_sim`, `s:ring_update`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.client import Json

N_CHUNKS = 16
N_QUEUED = 16
CHUNK_LINES = 64
SCOPE_LINES = 1024


@dataclass(slots=True)
class Ring:
    """Chunks in use (sent as `input_extra`) and chunks that wait for an idle moment."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    chunks: list[tuple[str, ...]] = field(default_factory=list)
    queued: list[tuple[str, ...]] = field(default_factory=list)
    picked_row: int = -9999

    def pick(self, text: Sequence[str], *, evicts: bool) -> None:
        """Queue a piece of `text` (lines), unless it is there already or, without `evicts`, something like it."""
        if len(text) < 3:
            return
        chunk = tuple(text) if len(text) + 1 < CHUNK_LINES else self._piece(text)
        if chunk in self.chunks or chunk in self.queued:
            return
        for kept in (self.queued, self.chunks):
            for i in range(len(kept) - 1, -1, -1):
                if similarity(kept[i], chunk) > 0.9:
                    if not evicts:
                        return
                    del kept[i]
        if len(self.queued) == N_QUEUED:
            self.queued.pop(0)
        self.queued.append(chunk)

    def pick_around(self, lines: Sequence[str], row: int, n_prefix: int, n_suffix: int) -> None:
        """Queue what lies beyond the window, once the cursor has moved more than 32 lines."""
        if abs(row - self.picked_row) <= 32:
            return
        self.pick(lines[max(0, row - SCOPE_LINES) : max(0, row - n_prefix) + 1], evicts=False)
        self.pick(lines[row + n_suffix : row + n_suffix + CHUNK_LINES + 1], evicts=False)
        self.picked_row = row

    def evict_like(self, lines: Sequence[str], row: int) -> None:
        """Drop chunks that resemble the text around the cursor: they would only be repeated."""
        around = self._piece(lines[max(0, row - CHUNK_LINES // 2) : row + CHUNK_LINES // 2 + 1])
        self.chunks = [chunk for chunk in self.chunks if similarity(chunk, around) <= 0.5]

    def advance(self) -> bool:
        """Take one queued chunk into use; return whether there was one."""
        if not self.queued:
            return False
        if len(self.chunks) == N_CHUNKS:
            self.chunks.pop(0)
        self.chunks.append(self.queued.pop(0))
        return True

    def extra(self, filename: str) -> list[Json]:
        """Return the chunks in the form that /infill takes."""
        return [{"text": "\n".join(chunk) + "\n", "filename": filename} for chunk in self.chunks]

    def _piece(self, text: Sequence[str]) -> tuple[str, ...]:
        half = CHUNK_LINES // 2
        first = self.rng.randint(0, max(0, len(text) - half))
        return tuple(text[first : min(first + half, len(text)) + 1])


def similarity(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the share of words that two chunks have in common, in [0, 1]."""
    words_a, words_b = (re.split(r"\W+", "\n".join(chunk)) for chunk in (a, b))
    known = set(words_a)
    common = sum(word in known for word in words_b)
    total = len(words_a) + len(words_b)
    return 2.0 * common / total if total else 1.0

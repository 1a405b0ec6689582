"""Windows of open documents that resemble the place of the cursor. The idea and its sizes: llama.vim's ring of chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

CHUNK_LINES = 32
STRIDE = 16
MIN_SIMILARITY = 0.12
MAX_SIMILARITY = 0.9
"""What resembles the place more than this says nothing new: it is a copy."""
_WORD = re.compile(r"[^\W\d]\w{2,}")


class SimilarWindow(NamedTuple):
    """Lines of a document: its name, its text, and how similar it is to the place of the cursor, 0 to 1."""

    name: str
    text: str
    similarity: float


def words(text: str) -> frozenset[str]:
    """Return the identifiers of a text, those of at least three characters."""
    return frozenset(_WORD.findall(text))


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the share of common words among all (Jaccard), 0 where both are empty."""
    return len(a & b) / len(a | b) if a or b else 0.0


def similar(here: str, documents: dict[str, str], n: int) -> list[SimilarWindow]:
    """Return up to `n` windows, the most similar first, at most one of each document's overlapping ones.

    here: the text around the cursor.  documents: name -> text.
    """
    wanted = words(here)
    chunks = ((name, chunk, words(chunk)) for name, text in documents.items() for chunk in _chunks(text))
    found = [(SimilarWindow(name, chunk, similarity(wanted, named)), named) for name, chunk, named in chunks]
    found = [(window, named) for window, named in found if MIN_SIMILARITY <= window.similarity <= MAX_SIMILARITY]
    found.sort(key=lambda one: -one[0].similarity)
    chosen: list[tuple[SimilarWindow, frozenset[str]]] = []
    for window, named in found:
        # Neighbours share half their lines; two windows that say the same are one too many.
        if all(similarity(named, other) < 0.5 for _, other in chosen):
            chosen.append((window, named))
        if len(chosen) == n:
            break
    return [window for window, _ in chosen]


def _chunks(text: str) -> Iterator[str]:
    lines = text.split("\n")
    for start in range(0, max(1, len(lines) - STRIDE), STRIDE):
        yield "\n".join(lines[start : start + CHUNK_LINES])

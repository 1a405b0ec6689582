"""Where a text of the workspace goes on as the text before the cursor does.

An index of all places of some files by the `KEY` bytes before them: a sorted array of hashes, and the places
in the same order. A look-up is a binary search, a check of the bytes, and a comparison backwards.

    files         … \0 return self.items.get(key, None) \n … \0 …
    before cursor                self.items.get(key‸
    place                                          ‸        matched: 18 bytes, continuation: b", None)"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KEY = 16
"""Shortest match, in bytes."""
MAX_MATCH = 256
"""Bytes before the cursor that are compared."""
MAX_PLACES = 128
"""Places of one key that are looked at in one index, at equal distances."""
MAX_CONTINUATION = 400
"""Bytes; of a longer rest of a line, which is data, only the beginning is taken: it may be a whole minified file."""
_BEFORE = b"\0"
_DEEPER, _SHALLOWER = "\1", "\2"
"""At the beginning of a line that is indented more, or less, than the line above it."""
INDENTED = (_DEEPER.encode(), _SHALLOWER.encode())
_MARKS = ("\0", _DEEPER, _SHALLOWER)
_WITHOUT_MARKS = str.maketrans("", "", "".join(_MARKS))


class Place(NamedTuple):
    """A place where the text before the cursor occurs.

    matched: so many bytes.
    continuation: the rest of the line there; of one above MAX_CONTINUATION the first MAX_CONTINUATION + 1 bytes.
    """

    file: int
    matched: int
    continuation: bytes


def normalised(text: str) -> bytes:
    """Return the text as UTF-8 without spaces at line ends and blank lines; of indentation, only its direction is left."""
    if any(mark in text for mark in _MARKS):
        text = text.translate(_WITHOUT_MARKS)
    joined: list[str] = []
    above: int | None = None
    for line in text.splitlines():
        begun = line.lstrip()
        if not begun:
            continue
        column = len(line) - len(begun)
        if column and "\t" in line[:column]:
            column = len(line[:column].expandtabs())
        mark = "" if above is None or column == above else _DEEPER if column > above else _SHALLOWER
        joined.append(mark + begun.rstrip())
        above = column
    return "\n".join(joined).encode(errors="replace")


def before_cursor(prefix: str) -> bytes:
    """Return the last bytes before the cursor, normalised as the files are; spaces right before the cursor stay."""
    return normalised(prefix[-4 * MAX_MATCH :] + "x")[:-1][-MAX_MATCH:]  # with the x, the line is not blank and keeps its end


class Index:
    """The places of some files. Never changes; safe to read from any thread.

    files: normalised texts. Memory: about 9 bytes for each of theirs.
    """

    def __init__(self, files: Iterable[bytes]) -> None:
        texts = list(files)
        self._starts = np.cumsum([0] + [len(text) + 1 for text in texts])  # of the byte before each file, and the end
        self._text = _BEFORE.join([b"", *texts])
        hashes = _hashes(self._text)
        self._places = hashes.argsort(kind="stable").astype(np.uint32)
        self._hashes = hashes[self._places]

    @property
    def n_bytes(self) -> int:
        """Memory that the index takes, in bytes."""
        return len(self._text) + self._places.nbytes + self._hashes.nbytes

    def places(self, before: bytes, most: int = MAX_PLACES) -> Iterator[Place]:
        """Yield `most` of the places after which the files go on, for the text before a cursor; none if that is too short."""
        if len(before) < KEY:
            return
        key = before[-KEY:]
        wanted = _hashes(key)[0]
        first, end = np.searchsorted(self._hashes, wanted, "left"), np.searchsorted(self._hashes, wanted, "right")
        for start in self._places[first : end : 1 + (end - first) // most]:
            at = int(start) + KEY
            if self._text[at - KEY : at] != key or self._text.startswith(INDENTED, at):
                continue
            file = int(np.searchsorted(self._starts, at, "left")) - 1
            last = min(int(self._starts[file + 1]), at + MAX_CONTINUATION + 1)
            line_end = self._text.find(b"\n", at, last)
            continuation = self._text[at : last if line_end < 0 else line_end]
            yield Place(file, n_matched(self._text, at, before), continuation)


def n_matched(text: bytes, at: int, before: bytes) -> int:
    """Return how many of the bytes of `text` before `at` are the last ones of `before`."""
    same = min(at, len(before))
    low = 0
    while low < same:  # the longest suffix of `before` that `text[:at]` ends with
        n = (low + same + 1) // 2
        if text[at - n : at] == before[-n:]:
            low = n
        else:
            same = n - 1
    return low


def _hashes(text: bytes) -> NDArray[np.uint32]:
    """Return a hash of each `KEY` bytes of `text`, by where they begin."""
    n = len(text) - KEY + 1
    if n <= 0:
        return np.empty(0, np.uint32)
    low: NDArray[np.uint64] = np.ndarray((n,), "<u8", text, 0, (1,))
    high: NDArray[np.uint64] = np.ndarray((n,), "<u8", text, KEY // 2, (1,))
    mixed = low * np.uint64(0x9E3779B97F4A7C15) + high * np.uint64(0xC2B2AE3D27D4EB4F)
    hashes: NDArray[np.uint32] = ((mixed ^ (mixed >> np.uint64(29))) >> np.uint64(32)).astype(np.uint32)
    return hashes

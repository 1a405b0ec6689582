"""The mirror of one open document: mutable here, frozen once it leaves as a snapshot.

Lines end at `\\n`, `\\r\\n` and `\\r` and nowhere else, as in the protocol (Python's `splitlines` would also end them at
form feeds and U+2028). The starts of the lines are kept in an array that each edit patches where it fell, so that a key
in a file of 50,000 lines costs one copy of the text and no search for lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from completer.document.position import Encoding, Position, Range, encodable, n_code_points, n_units
from completer.types import Edit, Snapshot

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Change:
    """A change that the client reports: `range` now holds `text`. range None: `text` is the whole new document."""

    text: str
    range: Range | None = None


class Document:
    """One open document. Owned by the event loop; `text` and what `snapshot` returns may go to any thread."""

    def __init__(self, uri: str, language_id: str, version: int, text: str, encoding: Encoding = "utf-16") -> None:
        """Take a document as the client opened it. A lone surrogate in the text becomes U+FFFD."""
        self.uri = uri
        self.language_id = language_id
        self.version = version
        self.encoding = encoding
        self.text = encodable(text)
        self._head, self._tail = self.text, ""  # text == head + tail, parted where the last edit ended
        self._starts = _line_starts(self.text)  # [n_lines] code points, ascending, the first is 0

    @property
    def n_lines(self) -> int:
        return len(self._starts)

    def apply_changes(self, version: int | None, changes: Iterable[Change]) -> tuple[Edit, ...]:
        """Apply the changes of one notification in order; return them as edits, each in the text before it.

        version: None is one more than the last.  Mutates: text and version. Positions after the end of a line or of the
        document mean that end. A change of the whole document comes back as the smallest edit that has the same effect.
        """
        edits = []
        for change in changes:
            edit = self._edit_of(change)
            self._splice(edit)
            edits.append(edit)
        self.version = self.version + 1 if version is None else version
        return tuple(edits)

    def offset_cp(self, position: Position) -> int:
        """Return the code point offset of a position, clipped to its line's end and to the document's end."""
        if position.line >= self.n_lines:
            return len(self.text)
        start = int(self._starts[position.line])
        line = self._line(position.line)
        return start + n_code_points(line, position.character, self.encoding)

    def position(self, offset_cp: int) -> Position:
        """Return the position of a code point offset, 0 <= offset_cp <= len(text)."""
        line = int(np.searchsorted(self._starts, offset_cp, side="right")) - 1
        return Position(line, n_units(self.text[self._starts[line] : offset_cp], self.encoding))

    def snapshot(self, position: Position) -> Snapshot:
        """Return the document as it is now with the cursor at `position`."""
        return self.snapshot_at(self.offset_cp(position))

    def snapshot_at(self, cursor_cp: int) -> Snapshot:
        """Return the document as it is now with the cursor at a code point offset."""
        return Snapshot(self.uri, self.version, self.language_id, self.text, cursor_cp)

    def _line(self, line: int) -> str:
        """The text of a line without its ending."""
        end = int(self._starts[line + 1]) if line + 1 < self.n_lines else len(self.text)
        text = self.text[int(self._starts[line]) : end]
        if line + 1 == self.n_lines:
            return text
        return text[:-2] if text.endswith("\r\n") else text[:-1]

    def _edit_of(self, change: Change) -> Edit:
        new_text = encodable(change.text)
        if change.range is None:
            return smallest_edit(self.text, new_text)
        start = self.offset_cp(change.range.start)
        return Edit(start, max(start, self.offset_cp(change.range.end)), new_text)

    def _splice(self, edit: Edit) -> None:
        """Apply one edit to the text and patch the line starts around it.

        Whether p starts a line depends on the characters p - 1 and p only. So starts in [start, old_end] go, those
        in [start, new_end] are looked for in the new text, all others stay or move along.
        """
        start, old_end, new_end = edit.start_cp, edit.old_end_cp, edit.start_cp + len(edit.new_text)
        n_tail = len(self.text) - old_end
        head = self._head if start <= len(self._head) else self.text
        tail = self._tail if n_tail <= len(self._tail) else self.text
        # Typing on at the same place cuts neither part, which saves half the time where the text is not ASCII.
        self._head, self._tail = head[:start] + edit.new_text, tail[len(tail) - n_tail :]
        self.text = self._head + self._tail
        window_start = max(start - 1, 0)
        window = self.text[window_start : new_end + 1]
        ends = (window_start + match.end() for match in _LINE_END.finditer(window))
        found = [p for p in ends if start <= p <= new_end]
        low = max(1, int(np.searchsorted(self._starts, start, side="left")))  # the first line always starts at 0
        high = max(low, int(np.searchsorted(self._starts, old_end, side="right")))
        self._starts[high:] += new_end - old_end
        if found or low != high:
            patch = np.array(found, dtype=np.int64)
            self._starts = np.concatenate((self._starts[:low], patch, self._starts[high:]))


def smallest_edit(old: str, new: str) -> Edit:
    """Return the edit that turns `old` into `new` and leaves their common head and tail alone."""
    limit = min(len(old), len(new))
    head = _common(old, new, limit)
    tail = _common_tail(old, new, limit - head)
    return Edit(head, len(old) - tail, new[head : len(new) - tail])


def _common(a: str, b: str, limit: int) -> int:
    """Length of the common head, at most `limit`, by halving: comparing slices is quicker than a loop."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_tail(a: str, b: str, limit: int) -> int:
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _line_starts(text: str) -> NDArray[np.int64]:
    ends: Sequence[int] = [match.end() for match in _LINE_END.finditer(text)]
    return np.array([0, *ends], dtype=np.int64)

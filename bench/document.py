"""The harness's own copy of a document, and offsets turned into LSP positions and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypedDict

from bench.trace import EDITS, Event

Encoding = Literal["utf-8", "utf-16", "utf-32"]


class Position(TypedDict):
    """An LSP position: zero-based line, and units of the negotiated encoding in it."""

    line: int
    character: int


@dataclass(frozen=True, slots=True)
class Change:
    """One edit: `before[pos:pos+n]` became `text`. Offsets in code points."""

    before: str
    pos: int
    n: int
    text: str


@dataclass(slots=True)
class Document:
    """A document as the person sees it. `version` counts its edits, `cursor` is in code points."""

    uri: str
    language: str
    text: str
    cursor: int = 0
    version: int = 0

    def apply(self, event: Event) -> Change | None:
        """Apply an edit or a move; return the change, or None where the text stayed.

        Mutates: text, cursor, version.  Raises: IndexError when the event lies outside the text.
        """
        if event.pos < 0 or event.pos + event.n > len(self.text):
            raise IndexError(f"{event.kind} at {event.pos}+{event.n} lies outside a text of {len(self.text)}")
        if event.kind not in EDITS:
            self.cursor = event.pos
            return None
        change = Change(self.text, event.pos, event.n, event.text)
        self.text = self.text[: event.pos] + event.text + self.text[event.pos + event.n :]
        self.cursor = event.pos + len(event.text)
        self.version += 1
        return change

    @property
    def line_prefix(self) -> str:
        """The text of the cursor's line before the cursor."""
        return self.text[_line_start(self.text, self.cursor) : self.cursor]

    @property
    def line_suffix(self) -> str:
        """The text of the cursor's line behind the cursor."""
        return re.split(r"[\r\n]", self.text[self.cursor :], maxsplit=1)[0] if self.cursor < len(self.text) else ""


def position(text: str, offset: int, encoding: Encoding) -> Position:
    """Return the LSP position of the code point offset `offset` in `text`."""
    start = _line_start(text, offset)
    line = text.count("\n", 0, start)
    if "\r" in text:  # rare: a lone carriage return ends a line too
        line = len(re.findall(r"\r\n|\r|\n", text[:start]))
    return {"line": line, "character": _units(text[start:offset], encoding)}


def offset_at(text: str, at: Position, encoding: Encoding) -> int | None:
    """Return the code point offset of an LSP position, or None where the document has no such place."""
    start = 0
    for _ in range(at["line"]):
        found = re.compile(r"\r\n|\r|\n").search(text, start)
        if found is None:
            return None
        start = found.end()
    units, at_units = 0, at["character"]
    for index in range(start, len(text) + 1):
        if units == at_units:
            return index
        if units > at_units or index == len(text) or text[index] in "\r\n":
            return None
        units += _units(text[index], encoding)
    return None


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _units(text: str, encoding: Encoding) -> int:
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2

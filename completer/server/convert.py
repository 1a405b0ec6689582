"""Between the types of the protocol and ours. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lsprotocol import types as lsp

from completer.document.documents import Opened
from completer.document.mirror import Change
from completer.document.notebook import Cell
from completer.document.position import Encoding, Position, Range, n_units
from completer.types import Snapshot, Suggestion

_MAX_WORD_CP = 200


def to_position(position: lsp.Position) -> Position:
    return Position(position.line, position.character)


def to_range(value: lsp.Range) -> Range:
    return Range(to_position(value.start), to_position(value.end))


def to_changes(changes: Iterable[lsp.TextDocumentContentChangeEvent]) -> list[Change]:
    """Return the changes of a didChange notification, in order."""
    return [
        Change(change.text, to_range(change.range))
        if isinstance(change, lsp.TextDocumentContentChangePartial)
        else Change(change.text)
        for change in changes
    ]


def to_opened(item: lsp.TextDocumentItem) -> Opened:
    return Opened(item.uri, item.language_id, item.version, item.text)


def to_cell(cell: lsp.NotebookCell) -> Cell:
    return Cell(cell.document, cell.kind == lsp.NotebookCellKind.Code)


def announces(capabilities: lsp.ClientCapabilities, name: str) -> bool:
    """Whether a client set one of our names in `capabilities.experimental`."""
    extra: Any = capabilities.experimental
    return bool(extra.get(name) if isinstance(extra, Mapping) else getattr(extra, name, False))


def speaks_copilot(options: Any) -> bool:
    """Whether initialization options are those that clients send to Copilot's language server."""
    return isinstance(options, Mapping) and ("editorInfo" in options or "editorPluginInfo" in options)


def range_on_line(snapshot: Snapshot, line: int, start_cp: int, end_cp: int, encoding: Encoding) -> lsp.Range:
    """Return `text[start_cp:end_cp]` of a snapshot in the client's units.

    line: the number of the cursor's line for the client; both offsets must lie on it (in a notebook the client counts
    lines from the cell's start, so the number cannot be read off the snapshot).
    """
    line_start = snapshot.line_start_cp
    start, end = (n_units(snapshot.text[line_start:offset], encoding) for offset in (start_cp, end_cp))
    return lsp.Range(lsp.Position(line, start), lsp.Position(line, end))


def word_start_cp(snapshot: Snapshot, end_cp: int) -> int:
    """Return where the identifier that ends at `end_cp` begins; `end_cp` itself where there is none.

    Of one that is too long for a list the end is taken.
    """
    start, earliest = end_cp, max(snapshot.line_start_cp, end_cp - _MAX_WORD_CP)
    while start > earliest and (snapshot.text[start - 1].isalnum() or snapshot.text[start - 1] == "_"):
        start -= 1
    return start


def label_of(text: str, limit: int = 60) -> str:
    """Return the first visible line of a text, short enough for a list, with "…" where something is left out."""
    visible = text.strip()
    first, *rest = visible.splitlines() or [""]
    label = first.rstrip()
    if len(label) > limit:
        return label[: limit - 1] + "…"
    return f"{label} …" if rest else label


def is_worth_a_list(text: str) -> bool:
    """Whether a window may open for a suggestion: not for a bracket or a semicolon, which is typed faster than looked at."""
    return any(c.isalnum() for c in text) and len(text.strip()) > 1


def is_empty(suggestion: Suggestion | None, snapshot: Snapshot) -> bool:
    """Whether there is nothing to show: no suggestion, or one that changes nothing."""
    return suggestion is None or suggestion.text == snapshot.text[suggestion.start_cp : suggestion.end_cp]

"""A notebook as one document: its code cells, one below the other, so that earlier cells are prefix and later ones suffix.

Cells in another language than that of the first code cell are documents of their own: SQL is no prefix of Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from completer.document.mirror import Document, smallest_edit
from completer.types import Edit, Snapshot

_BETWEEN_CELLS = "\n\n"
_MAGIC = re.compile(r"\s*%%(\w+)")
MAGICS = {
    **dict.fromkeys(("bash", "sh", "script", "shell"), "shellscript"),
    **dict.fromkeys(("javascript", "js"), "javascript"),
    **{"html": "html", "latex": "latex", "markdown": "markdown", "perl": "perl", "ruby": "ruby", "sql": "sql", "R": "r"},
}
"""The language of a cell that begins with a cell magic; after others, such as `%%time`, the cell's language goes on."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a notebook: its text is the document `uri`. is_code: False for prose, which is left out."""

    uri: str
    is_code: bool


class Notebook:
    """The order of a notebook's cells and what they are when joined. The cells' texts belong to their documents.

    version counts changes of any cell, because a snapshot shows all of them.
    """

    def __init__(self, uri: str, cells: Sequence[Cell]) -> None:
        self.uri = uri
        self.cells = list(cells)
        self.version = 0

    def replace_cells(self, start: int, n_deleted: int, cells: Sequence[Cell]) -> None:
        """Put `cells` in the place of `n_deleted` cells from index `start` on. Mutates: the order."""
        self.cells[start : start + n_deleted] = cells

    def set_kinds(self, cells: Sequence[Cell]) -> None:
        """Take over whether these cells are code now. Mutates: the order's entries."""
        kinds = {cell.uri: cell for cell in cells}
        self.cells = [kinds.get(cell.uri, cell) for cell in self.cells]

    def holds(self, cell_uri: str, documents: dict[str, Document]) -> bool:
        """Whether this is a code cell in the notebook's language."""
        return any(document.uri == cell_uri for document in self._code(documents))

    def lists(self, cell_uri: str) -> bool:
        """Whether this is a cell of the notebook, of any kind and language."""
        return any(cell.uri == cell_uri for cell in self.cells)

    def language_id(self, documents: dict[str, Document]) -> str:
        """Return the language of the first code cell, "" without one. A magic changes the language of its cell only."""
        return next((document.language_id for document in self._all_code(documents)), "")

    def text(self, documents: dict[str, Document]) -> str:
        """Return all code cells in the notebook's language, joined."""
        return _BETWEEN_CELLS.join(document.text for document in self._code(documents))

    def offset_cp(self, cell_uri: str, documents: dict[str, Document]) -> int:
        """Return where a code cell's text begins in the joined text."""
        offset = 0
        for document in self._code(documents):
            if document.uri == cell_uri:
                break
            offset += len(document.text) + len(_BETWEEN_CELLS)
        return offset

    def snapshot(self, cell: Document, cursor_cp: int, documents: dict[str, Document]) -> Snapshot:
        """Return the whole notebook with the cursor at an offset within `cell`."""
        cursor_cp += self.offset_cp(cell.uri, documents)
        return Snapshot(self.uri, self.version, cell.language_id, self.text(documents), cursor_cp)

    def edit_since(self, old_text: str, documents: dict[str, Document]) -> Edit:
        """Return the one edit that turns `old_text` into the joined text of now."""
        return smallest_edit(old_text, self.text(documents))

    def _code(self, documents: dict[str, Document]) -> list[Document]:
        language_id = self.language_id(documents)
        return [document for document in self._all_code(documents) if cell_language(document) == language_id]

    def _all_code(self, documents: dict[str, Document]) -> list[Document]:
        return [documents[cell.uri] for cell in self.cells if cell.is_code and cell.uri in documents]


def cell_language(cell: Document) -> str:
    """Return the language id of a cell's text: that of its magic, if it begins with one of another language."""
    magic = _MAGIC.match(cell.text)
    return MAGICS.get(magic[1], cell.language_id) if magic else cell.language_id


def alone(cell: Document, cursor_cp: int) -> Snapshot:
    """Return a cell that is no part of its notebook's text as a document of its own."""
    return replace(cell.snapshot_at(cursor_cp), language_id=cell_language(cell))

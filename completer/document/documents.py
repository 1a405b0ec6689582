"""All open documents and notebooks of one client, by URI. Nothing outlives its close."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from completer.document.mirror import Change, Document
from completer.document.notebook import Cell, Notebook, alone
from completer.document.position import Encoding, Position
from completer.errors import BadPosition
from completer.types import Edit, Snapshot


@dataclass(frozen=True, slots=True)
class Opened:
    """A text as the client opens it."""

    uri: str
    language_id: str
    version: int
    text: str


@dataclass(frozen=True, slots=True)
class CellsChanged:
    """What the client reports of a notebook: cells moved or replaced, opened, closed, edited, of another kind."""

    start: int = 0
    n_deleted: int = 0
    cells: Sequence[Cell] = ()
    opened: Sequence[Opened] = ()
    closed: Sequence[str] = ()
    kinds: Sequence[Cell] = ()
    texts: Sequence[tuple[str, int | None, Sequence[Change]]] = ()


class Changed(NamedTuple):
    """A document after a change: the cursor is at the end of the last edit; each edit in the text before it."""

    snapshot: Snapshot
    edits: tuple[Edit, ...]


class Documents:
    """The mirrors of one client's documents. Owned by the event loop; hands out snapshots only."""

    def __init__(self, encoding: Encoding = "utf-16") -> None:
        self.encoding: Encoding = encoding
        self._documents: dict[str, Document] = {}
        self._notebooks: dict[str, Notebook] = {}

    def __len__(self) -> int:
        return len(self._documents)

    def open(self, opened: Opened) -> Snapshot:
        """Take a document that the client opened (again: it replaces the old one); return it, cursor at 0."""
        self._documents[opened.uri] = Document(opened.uri, opened.language_id, opened.version, opened.text, self.encoding)
        return self._documents[opened.uri].snapshot_at(0)

    def change(self, uri: str, version: int | None, changes: Iterable[Change]) -> Changed:
        """Apply the changes of one notification. version: None is one more than the last.

        Raises: BadPosition when the document is not open.
        """
        document = self._open_document(uri)
        edits = document.apply_changes(version, changes)
        return Changed(document.snapshot_at(_cursor_after(edits)), edits)

    def close(self, uri: str) -> None:
        """Forget a document."""
        self._documents.pop(uri, None)

    def forget(self, uri: str) -> bool:
        """Forget a document, or a notebook with its cells; return whether there was one."""
        if uri in self._notebooks:
            self.close_notebook(uri, ())
            return True
        return self._documents.pop(uri, None) is not None

    def snapshot(self, uri: str, position: Position) -> Snapshot:
        """Return a document with the cursor at `position`; for a code cell in its notebook's language the whole notebook.

        Raises: BadPosition when the document is not open.
        """
        document = self._open_document(uri)
        cursor_cp = document.offset_cp(position)
        for notebook in self._notebooks.values():
            if notebook.holds(uri, self._documents):
                return notebook.snapshot(document, cursor_cp, self._documents)
            if notebook.lists(uri):
                return alone(document, cursor_cp)
        return document.snapshot_at(cursor_cp)

    def position(self, uri: str, offset_cp: int) -> Position:
        """Return the position of an offset in a document that is no notebook. Raises: BadPosition when it is not open."""
        return self._open_document(uri).position(offset_cp)

    def snapshots(self) -> list[Snapshot]:
        """Return every open document and notebook once, cursor at 0; no cell of a notebook by itself."""
        cells = {cell.uri for notebook in self._notebooks.values() for cell in notebook.cells if cell.is_code}
        others = [document.snapshot_at(0) for uri, document in self._documents.items() if uri not in cells]
        return [*others, *(self._whole(notebook, 0) for notebook in self._notebooks.values())]

    def open_notebook(self, uri: str, cells: Sequence[Cell], opened: Sequence[Opened]) -> Snapshot:
        """Take a notebook with the texts of its cells; return it, cursor at 0."""
        for cell in opened:
            self.open(cell)
        self._notebooks[uri] = Notebook(uri, cells)
        return self._whole(self._notebooks[uri], 0)

    def change_notebook(self, uri: str, change: CellsChanged) -> list[Changed]:
        """Apply one notification to a notebook; what changed comes back as one edit of the joined text.

        After it come the cells whose text changed: those in another language are documents of their own.

        Raises: BadPosition when the notebook is not open.
        """
        notebook = self._notebooks.get(uri)
        if notebook is None:
            raise BadPosition(f"{uri} is not open: send notebookDocument/didOpen first")
        before = notebook.text(self._documents)
        notebook.replace_cells(change.start, change.n_deleted, change.cells)
        notebook.set_kinds(change.kinds)
        for opened in change.opened:
            self.open(opened)
        for closed in change.closed:
            self.close(closed)
        cells = []
        for cell_uri, version, changes in change.texts:
            cell = self._open_document(cell_uri)
            edits = cell.apply_changes(version, changes)
            cells.append(Changed(alone(cell, _cursor_after(edits)), edits))
        notebook.version += 1
        edit = notebook.edit_since(before, self._documents)
        return [Changed(self._whole(notebook, _cursor_after((edit,))), (edit,)), *cells]

    def close_notebook(self, uri: str, cell_uris: Iterable[str]) -> None:
        """Forget a notebook and its cells."""
        notebook = self._notebooks.pop(uri, None)
        ours = [cell.uri for cell in notebook.cells] if notebook else []
        for cell_uri in {*cell_uris, *ours}:
            self.close(cell_uri)

    def _open_document(self, uri: str) -> Document:
        document = self._documents.get(uri)
        if document is None:
            raise BadPosition(f"{uri} is not open: send textDocument/didOpen first")
        return document

    def _whole(self, notebook: Notebook, cursor_cp: int) -> Snapshot:
        language_id = notebook.language_id(self._documents)
        return Snapshot(notebook.uri, notebook.version, language_id, notebook.text(self._documents), cursor_cp)


def _cursor_after(edits: Sequence[Edit]) -> int:
    return edits[-1].start_cp + len(edits[-1].new_text) if edits else 0

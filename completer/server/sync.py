"""Documents and notebooks that open, change and close. Synchronous and quick: requests that follow see the new text."""

from __future__ import annotations

from typing import Any

from lsprotocol import types as lsp

from completer.document.documents import CellsChanged, Changed
from completer.errors import BadPosition
from completer.server import next_edit
from completer.server.control import learn_if_ignored
from completer.server.convert import to_cell, to_changes, to_opened
from completer.server.project import can_watch, read_again
from completer.server.session import CompleterServer
from completer.types import Snapshot

_KEEPS_A_MIRROR = {
    lsp.TEXT_DOCUMENT_DID_OPEN: "textDocument",
    lsp.TEXT_DOCUMENT_DID_CHANGE: "textDocument",
    lsp.NOTEBOOK_DOCUMENT_DID_OPEN: "notebookDocument",
    lsp.NOTEBOOK_DOCUMENT_DID_CHANGE: "notebookDocument",
}
"""Which field of such a notification names the document."""


def did_open(ls: CompleterServer, params: lsp.DidOpenTextDocumentParams) -> None:
    snapshot = ls.documents.open(to_opened(params.text_document))
    ls.next_edits.did_open(snapshot)
    ls.active = ls.active or params.text_document.uri
    _opened(ls, snapshot)


def did_change(ls: CompleterServer, params: lsp.DidChangeTextDocumentParams) -> None:
    document = params.text_document
    changed = ls.documents.change(document.uri, document.version, to_changes(params.content_changes))
    next_edit.changed(ls, changed.snapshot, changed.edits)
    _changed(ls, changed)


def did_close(ls: CompleterServer, params: lsp.DidCloseTextDocumentParams) -> None:
    _close(ls, params.text_document.uri)
    ls.documents.close(params.text_document.uri)


def notebook_did_open(ls: CompleterServer, params: lsp.DidOpenNotebookDocumentParams) -> None:
    notebook = params.notebook_document
    cells = [to_cell(cell) for cell in notebook.cells]
    _opened(ls, ls.documents.open_notebook(notebook.uri, cells, [to_opened(item) for item in params.cell_text_documents]))


def lose(ls: CompleterServer, method: str, params: Any) -> None:
    """Forget a document whose change was not understood: no mirror is better than one that differs from the editor.

    params: of the notification, of any shape.
    """
    if method not in _KEEPS_A_MIRROR:
        return
    document = params.get(_KEEPS_A_MIRROR[method]) if isinstance(params, dict) else None
    uri = document.get("uri") if isinstance(document, dict) else None
    if isinstance(uri, str):
        _lose(ls, uri)


def _lose(ls: CompleterServer, uri: str) -> None:
    if ls.documents.forget(uri):
        _close(ls, uri)
        ls.say_once(f"completer: a change of {uri} was not understood; close the file and open it again to have it completed")


def notebook_did_change(ls: CompleterServer, params: lsp.DidChangeNotebookDocumentParams) -> None:
    if (cells := params.change.cells) is None:  # only metadata
        return
    structure = cells.structure
    for closed in (structure and structure.did_close) or ():
        _close(ls, closed.uri)
    change = CellsChanged(
        start=structure.array.start if structure else 0,
        n_deleted=structure.array.delete_count if structure else 0,
        cells=[to_cell(cell) for cell in (structure and structure.array.cells) or ()],
        opened=[to_opened(item) for item in (structure and structure.did_open) or ()],
        closed=[item.uri for item in (structure and structure.did_close) or ()],
        kinds=[to_cell(cell) for cell in cells.data or ()],
        texts=[
            (content.document.uri, content.document.version, to_changes(content.changes)) for content in cells.text_content or ()
        ],
    )
    try:
        changes = ls.documents.change_notebook(params.notebook_document.uri, change)
    except BadPosition:
        _lose(ls, params.notebook_document.uri)
        raise
    for changed in changes:
        _changed(ls, changed)


def notebook_did_close(ls: CompleterServer, params: lsp.DidCloseNotebookDocumentParams) -> None:
    cell_uris = [cell.uri for cell in params.cell_text_documents]
    for uri in cell_uris:
        _close(ls, uri)
    _close(ls, params.notebook_document.uri)
    ls.documents.close_notebook(params.notebook_document.uri, cell_uris)


def _opened(ls: CompleterServer, snapshot: Snapshot) -> None:
    ls.control.opened(snapshot)
    if ls.folders:
        ls.spawn(learn_if_ignored(ls, snapshot.uri))
        if not can_watch(ls):
            read_again(ls)
    if ls.completer is not None:
        ls.completer.did_open(snapshot)


def _changed(ls: CompleterServer, changed: Changed) -> None:
    ls.asked.pop(changed.snapshot.uri, None)
    if ls.completer is not None:
        ls.completer.did_change(changed.snapshot, changed.edits)


def _close(ls: CompleterServer, uri: str) -> None:
    ls.forget(uri)
    ls.next_edits.did_close(uri)
    ls.control.closed(uri)
    if ls.completer is not None:
        ls.completer.did_close(uri)


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.protocol.on_malformed = lambda message: lose(ls, message.method, message.params)
    ls.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(did_open)
    ls.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    ls.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    ls.feature(lsp.NOTEBOOK_DOCUMENT_DID_OPEN)(notebook_did_open)
    ls.feature(lsp.NOTEBOOK_DOCUMENT_DID_CHANGE)(notebook_did_change)
    ls.feature(lsp.NOTEBOOK_DOCUMENT_DID_CLOSE)(notebook_did_close)

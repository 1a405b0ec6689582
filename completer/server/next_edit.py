"""Next edits: followed with the documents, found at a pause, given by a method of ours and as code actions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from completer.document.position import Position
from completer.errors import BadPosition
from completer.next_edit.offer import NextEdit
from completer.next_edit.state import WORD_PAUSE_S
from completer.server import messages
from completer.server.session import CompleterServer
from completer.types import Edit, Snapshot

PAUSE_S = 0.25
"""From the last key to the search; after a key within a word `WORD_PAUSE_S`."""
CAPABILITY = "completerNextEdit"
"""The client sets it in `capabilities.experimental` if it wants `completer/didFindNextEdit`."""
KIND = lsp.CodeActionKind.RefactorRewrite
Item = dict[str, Any]


def changed(ls: CompleterServer, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
    """Follow a change; if the client wants to hear of next edits, look for some at the next pause."""
    ls.next_edits.did_change(snapshot, edits, time.monotonic())
    if (waiting := ls.next_edit_timer) is not None:
        waiting.cancel()
        ls.next_edit_timer = None
    if ls.wants_next_edits and ls.control.settings_of(snapshot).next_edit and ls.control.of_document(snapshot) is None:
        _search_after(ls, PAUSE_S, snapshot)


def next_edit(ls: CompleterServer, params: Any) -> dict[str, Any]:
    """Return the next edits of a document, the first to make first. Raises: JsonRpcInvalidParams."""
    return {"edits": items(ls, find(ls, *place_of(params), explicit=True))}


def code_action(ls: CompleterServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """Return "Apply the next edit" and, if there are more of its kind, "Apply all like this"."""
    wanted = params.context.only
    if wanted is not None and not any(kind == KIND or KIND.startswith(f"{kind}.") or not kind for kind in wanted):
        return []
    explicit = params.context.trigger_kind != lsp.CodeActionTriggerKind.Automatic
    cursor = Position(params.range.end.line, params.range.end.character)
    found = find(ls, params.text_document.uri, cursor, explicit=explicit)
    if not found:
        return []
    place = _range(ls, found[0]).start
    where = f"line {place.line + 1}" if found[0].uri == params.text_document.uri else found[0].uri.rpartition("/")[2]
    actions = [_action(ls, f"Apply the next edit ({where}: {found[0].reason})", found[:1])]
    if len(found) > 1:
        actions.append(_action(ls, f"Apply all like this ({len(found)})", found))
    return actions


def dismiss(ls: CompleterServer, edit_id: str | None) -> None:
    """The user does not want a next edit: neither it nor those like it are offered again."""
    if edit_id is not None and (edit := ls.given_edits.get(edit_id)) is not None:
        ls.next_edits.dismiss(edit)


def place_of(params: Any) -> tuple[str, Position]:
    """Return the document and the cursor that params name. Raises: JsonRpcInvalidParams."""
    uri, position = getattr(getattr(params, "textDocument", None), "uri", None), getattr(params, "position", None)
    line, character = getattr(position, "line", None), getattr(position, "character", None)
    if not isinstance(uri, str) or not _is_count(line) or not _is_count(character):
        raise JsonRpcInvalidParams("a next edit needs textDocument.uri and position")
    assert isinstance(line, int) and isinstance(character, int)
    return uri, Position(line, character)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def find(ls: CompleterServer, uri: str, position: Position, *, explicit: bool) -> tuple[NextEdit, ...]:
    """Return the next edits at a cursor, the first to make first. Raises: JsonRpcInvalidParams.

    explicit: the user asked for them, so no rule keeps them away and the word at the cursor is finished.
    """
    try:
        snapshot = ls.documents.snapshot(uri, position)
    except BadPosition as error:
        raise JsonRpcInvalidParams(str(error)) from error
    if not ls.control.settings_of(snapshot).next_edit or (not explicit and ls.control.of_document(snapshot) is not None):
        return ()
    return ls.next_edits.find(uri, snapshot.cursor_cp, time.monotonic(), explicit=explicit)


def _search_after(ls: CompleterServer, pause_s: float, snapshot: Snapshot) -> None:
    ls.next_edit_timer = asyncio.get_running_loop().call_later(pause_s, _search, ls, snapshot)


def _search(ls: CompleterServer, snapshot: Snapshot) -> None:
    """Look for next edits now that the user pauses, and tell the client of them."""
    ls.next_edit_timer = None
    now_s = time.monotonic()
    if ls.closed or not ls.control.settings_of(snapshot).next_edit or ls.control.of_document(snapshot) is not None:
        return
    if ls.next_edits.is_in_word(snapshot.uri, snapshot.cursor_cp, now_s, explicit=False):
        _search_after(ls, WORD_PAUSE_S, snapshot)
        return
    found = ls.next_edits.find(snapshot.uri, snapshot.cursor_cp, now_s, explicit=False)
    if found:
        document = {"uri": snapshot.uri, "version": snapshot.version}
        ls.protocol.notify(messages.DID_FIND_NEXT_EDIT, {"textDocument": document, "edits": items(ls, found)})


def items(ls: CompleterServer, found: Sequence[NextEdit]) -> list[Item]:
    """Return edits as the client reads them; each keeps the id that it is given here."""
    return [
        {
            "id": ls.remember_edit(edit),
            "textDocument": {"uri": edit.uri, "version": edit.version},
            "range": _range_item(_range(ls, edit)),
            "newText": edit.new_text,
            "reason": edit.reason,
            "probability": round(edit.probability, 3),
        }
        for edit in found
    ]


def _range(ls: CompleterServer, edit: NextEdit) -> lsp.Range:
    start, end = (ls.documents.position(edit.uri, offset) for offset in (edit.start_cp, edit.end_cp))
    return lsp.Range(lsp.Position(*start), lsp.Position(*end))


def _range_item(value: lsp.Range) -> dict[str, dict[str, int]]:
    return {name: {"line": at.line, "character": at.character} for name, at in (("start", value.start), ("end", value.end))}


def _action(ls: CompleterServer, title: str, edits: Sequence[NextEdit]) -> lsp.CodeAction:
    """Return a code action that makes all `edits`, with document versions if the client knows them."""
    by_document: dict[tuple[str, int], list[lsp.TextEdit]] = {}
    for edit in edits:
        by_document.setdefault((edit.uri, edit.version), []).append(lsp.TextEdit(_range(ls, edit), edit.new_text))
    workspace = ls.client_capabilities.workspace
    if workspace and workspace.workspace_edit and workspace.workspace_edit.document_changes:
        change = lsp.WorkspaceEdit(
            document_changes=[
                lsp.TextDocumentEdit(lsp.OptionalVersionedTextDocumentIdentifier(uri, version), list(text_edits))
                for (uri, version), text_edits in by_document.items()
            ]
        )
    else:
        change = lsp.WorkspaceEdit(changes={uri: text_edits for (uri, _), text_edits in by_document.items()})
    return lsp.CodeAction(title, kind=KIND, edit=change)


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.feature(messages.NEXT_EDIT)(next_edit)
    ls.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[KIND]))(code_action)

"""Names of Copilot's protocol that mean what ours do, so that clients made for its language server work with this one."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from lsprotocol.types import InlineCompletionTriggerKind

from completer.document.position import Position
from completer.errors import BadPosition
from completer.next_edit.state import WORD_PAUSE_S
from completer.server import messages, next_edit
from completer.server.feedback import accept, did_show
from completer.server.session import CompleterServer

INLINE_EDIT = "textDocument/copilotInlineEdit"
CHECK_STATUS, SIGN_IN, SIGN_OUT = "checkStatus", "signIn", "signOut"
USER = "completer"
"""Whom clients show as signed in: some insist on a name."""


def did_focus(ls: CompleterServer, params: messages.DidFocusParams) -> None:
    """The user is in another document now, or in none."""
    ls.active = params.text_document.uri if params.text_document is not None else None


def did_partially_accept(ls: CompleterServer, params: messages.ItemParams) -> None:
    for suggestion_id in params.item.command.arguments[:1]:
        accept(ls, suggestion_id, params.accepted_length)


async def inline_edit(ls: CompleterServer, params: Any) -> dict[str, Any]:
    """Return the first of a document's next edits, if there is one: some clients make all that they get unseen.

    An automatic request is answered when the word at the cursor is finished, and by nothing if its document changes
    before. Raises: JsonRpcInvalidParams.
    """
    uri, position = next_edit.place_of(params)
    explicit = getattr(getattr(params, "context", None), "triggerKind", None) == InlineCompletionTriggerKind.Invoked
    if not explicit and not await _word_is_finished(ls, uri, position):
        return {"edits": []}
    found = [edit for edit in next_edit.find(ls, uri, position, explicit=explicit) if edit.uri == uri]
    return {"edits": [_as_copilot(item) for item in next_edit.items(ls, found[:1])]}


def check_status(_ls: CompleterServer, _params: Any) -> dict[str, str]:
    """There are no accounts here: everybody is signed in."""
    return {"status": "OK", "user": USER}


def sign_in(_ls: CompleterServer, _params: Any) -> dict[str, str]:
    return {"status": "AlreadySignedIn", "user": USER}


def sign_out(_ls: CompleterServer, _params: Any) -> dict[str, str]:
    return {"status": "NotSignedIn"}


async def _word_is_finished(ls: CompleterServer, uri: str, position: Position) -> bool:
    """Wait while the user may be in the middle of a word; return whether the document is as it was then."""
    try:
        snapshot = ls.documents.snapshot(uri, position)
        while ls.next_edits.is_in_word(uri, snapshot.cursor_cp, time.monotonic(), explicit=False):
            await asyncio.sleep(ls.next_edits.edits[-1].at_s + WORD_PAUSE_S - time.monotonic())
            if ls.documents.snapshot(uri, position).version != snapshot.version:
                return False
    except BadPosition:  # it was closed, or the place is gone
        return False
    return True


def _as_copilot(item: next_edit.Item) -> dict[str, Any]:
    command = {"title": "Accepted", "command": messages.ACCEPT_COMMAND, "arguments": [item["id"]]}
    return {"text": item["newText"], "range": item["range"], "textDocument": item["textDocument"], "command": command}


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.feature(messages.DID_FOCUS)(did_focus)
    ls.feature(messages.DID_SHOW_COMPLETION)(did_show)
    ls.feature(messages.DID_SHOW_INLINE_EDIT)(did_show)
    ls.feature(messages.DID_PARTIALLY_ACCEPT_COMPLETION)(did_partially_accept)
    ls.feature(INLINE_EDIT)(inline_edit)
    ls.feature(CHECK_STATUS)(check_status)
    ls.feature(SIGN_IN)(sign_in)
    ls.feature(SIGN_OUT)(sign_out)

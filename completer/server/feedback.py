"""Our own methods: what the client tells of suggestions and of the cursor, what it may ask, what we send unasked."""

from __future__ import annotations

from typing import Any

from pygls.exceptions import JsonRpcInvalidParams

from completer.complete.quiet import Quiet
from completer.document.position import Position, n_code_points, n_units
from completer.models import store
from completer.models.manifest import load_manifest
from completer.server import messages, next_edit
from completer.server.convert import is_empty, range_on_line, to_position
from completer.server.session import CompleterServer
from completer.types import Suggestion


def did_move_cursor(ls: CompleterServer, params: messages.DidMoveCursorParams) -> None:
    snapshot = ls.documents.snapshot(params.text_document.uri, to_position(params.position))
    ls.active = params.text_document.uri
    if ls.completer is not None:
        ls.completer.did_move_cursor(snapshot)


def did_show(_ls: CompleterServer, _params: Any) -> None:
    """Accepted because clients report it; no completer needs it."""


def did_dismiss(ls: CompleterServer, params: messages.SuggestionParams) -> None:
    """The user does not want a suggestion, or a next edit with all like it."""
    next_edit.dismiss(ls, params.id)
    suggestion = ls.given.get(params.id or ls.latest.get(params.text_document.uri, ""))
    if ls.completer is not None and suggestion is not None:
        ls.completer.did_dismiss(suggestion)


def did_accept(ls: CompleterServer, params: messages.DidAcceptParams) -> None:
    accept(ls, params.id or ls.latest.get(params.text_document.uri, ""), params.accepted_length)


def accept_command(ls: CompleterServer, suggestion_id: str) -> None:
    """The item's command: the whole suggestion was inserted. For a next edit nothing is to do: its change comes, too."""
    accept(ls, suggestion_id)


def accept(ls: CompleterServer, suggestion_id: str, length: int | None = None) -> None:
    """Pass an acceptance on, once: a client may report the same by its notification and by the item's command.

    length: accepted so far, in UTF-16 units of the suggestion's text; None: all of it.  Mutates: accepted.
    """
    if (suggestion := ls.given.get(suggestion_id)) is None:  # given too long ago, or never
        return
    n_chars = len(suggestion.text) if length is None else n_code_points(suggestion.text, length, "utf-16")
    n_before = ls.accepted.get(suggestion_id, 0)
    if n_chars > n_before:
        ls.accepted[suggestion_id] = n_chars
        if ls.history is not None:
            ls.history.accepted(suggestion_id, suggestion, n_before, n_chars)
        if ls.completer is not None:
            ls.completer.did_accept(suggestion, n_chars)


def metrics(ls: CompleterServer, _params: Any) -> dict[str, Any]:
    """Return the stage traces of recent requests, oldest first."""
    return {"traces": ls.completer.metrics() if ls.completer is not None else []}


def explain(ls: CompleterServer, params: Any) -> dict[str, Any]:
    """Return why the last answer for a document is what it is; `texts: false` leaves out all text.

    Raises: JsonRpcInvalidParams without a document.
    """
    uri = getattr(getattr(params, "textDocument", None), "uri", None)
    if not isinstance(uri, str):
        raise JsonRpcInvalidParams("completer/explain needs textDocument.uri")
    if ls.completer is None:
        return {"why": ls.state_message or f"the model is not ready: {ls.state}", "reason": ""}
    found = ls.completer.explain(ls.documents.snapshot(uri, Position(0, 0)).uri)
    if isinstance(found, Quiet):
        return {"why": found.why, "reason": found.reason}
    if isinstance(found, str):
        return {"why": found, "reason": ""}
    return (found if getattr(params, "texts", True) else found.without_texts()).as_dict()


def models(_ls: CompleterServer, _params: Any) -> dict[str, Any]:
    """Return the models of the manifest, in its order, and which of them are on this disk."""
    names = ("id", "title", "device", "licence", "parameters")
    entries = [
        {name: getattr(entry, name) for name in names} | {"pulled": store.is_pulled(entry.id)} for entry in load_manifest()
    ]
    return {"models": entries}


def send_extension(ls: CompleterServer, suggestion: Suggestion) -> None:
    """Tell the client that more of a suggestion is ready, unless its document has changed since it asked."""
    asked = ls.asked.get(suggestion.uri)
    if ls.closed or asked is None or asked.snapshot.version != suggestion.version:
        return
    if is_empty(suggestion, asked.snapshot):
        return
    where = range_on_line(asked.snapshot, asked.position.line, suggestion.start_cp, suggestion.end_cp, ls.documents.encoding)
    suggestion_id = ls.remember(asked.uri, suggestion)
    if ls.history is not None:
        ls.history.extended(suggestion_id, suggestion, asked.snapshot.language_id, remote=ls.is_remote)
    ls.protocol.notify(
        messages.DID_EXTEND_SUGGESTION,
        messages.DidExtendSuggestionParams(
            uri=asked.uri,
            version=suggestion.version,
            position=asked.position,
            text=suggestion.text,
            range=where,
            id=suggestion_id,
            complete=suggestion.complete,
            sure_length=n_units(suggestion.text[: suggestion.n_sure], "utf-16"),
        ),
    )


def register(ls: CompleterServer) -> None:
    """Mutates: the server's tables of handlers and commands."""
    ls.feature(messages.DID_MOVE_CURSOR)(did_move_cursor)
    ls.feature(messages.DID_SHOW)(did_show)
    ls.feature(messages.DID_ACCEPT)(did_accept)
    ls.feature(messages.DID_DISMISS)(did_dismiss)
    ls.feature(messages.METRICS)(metrics)
    ls.feature(messages.EXPLAIN)(explain)
    ls.feature(messages.MODELS)(models)
    ls.command(messages.ACCEPT_COMMAND)(accept_command)

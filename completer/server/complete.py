"""Requests for completions: inline (ghost text), and as items of a list for clients that have no ghost text."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from completer.errors import BadPosition, CompleterError
from completer.server.convert import is_empty, is_worth_a_list, label_of, range_on_line, to_position, word_start_cp
from completer.server.messages import ACCEPT_COMMAND
from completer.server.session import Asked, CompleterServer
from completer.server.thinking import thinking
from completer.types import Replacement, Snapshot, Suggestion

TRIGGER_CHARACTERS = [".", "(", "[", "=", ":"]
"""Besides letters, at which clients ask anyway. No space: a list that opens after each word is a nuisance."""


class Answer(NamedTuple):
    """A suggestion worth showing, the snapshot it was made for, and the id that the client will use for it.

    others: what the user may choose in its place, each with its id.  latency_ms: since the request was handled.
    """

    snapshot: Snapshot
    suggestion: Suggestion
    id: str
    others: list[tuple[Suggestion, str]]
    latency_ms: float

    def note(self, ls: CompleterServer) -> None:
        """Count it in the history, if the user wants that. Mutates: the offers of the server."""
        if ls.history is not None:
            ids, language = [self.id, *(id_ for _, id_ in self.others)], self.snapshot.language_id
            ls.history.shown(ids, self.suggestion, language, self.latency_ms, remote=ls.is_remote)


async def inline_completion(ls: CompleterServer, params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
    """Answer with one item or none, or several where the user asked; ranges lie on the cursor's line and are always given."""
    explicit = params.context.trigger_kind == lsp.InlineCompletionTriggerKind.Invoked
    selected = params.context.selected_completion_info
    answer = await _ask(ls, params.text_document.uri, params.position, explicit, selected)
    if answer is None:
        return lsp.InlineCompletionList([])
    answer.note(ls)
    line, encoding = params.position.line, ls.documents.encoding
    items = [
        lsp.InlineCompletionItem(
            insert_text=found.text,
            range=range_on_line(answer.snapshot, line, found.start_cp, found.end_cp, encoding),
            command=_command(id_),
        )
        for found, id_ in [(answer.suggestion, answer.id), *answer.others]
    ]
    return lsp.InlineCompletionList(items)


async def completion(ls: CompleterServer, params: lsp.CompletionParams) -> lsp.CompletionList:
    """Answer with one item or none, always incomplete: the client asks again at the next key.

    Lists are filtered by the word at the cursor, so the item replaces and shows that word too.
    """
    answer = await _ask(ls, params.text_document.uri, params.position, explicit=False, selected=None)
    if answer is None or not is_worth_a_list(answer.suggestion.text):
        return lsp.CompletionList(is_incomplete=True, items=[])
    answer.note(ls)
    snapshot, found = answer.snapshot, answer.suggestion
    start_cp = word_start_cp(snapshot, found.start_cp)
    text = snapshot.text[start_cp : found.start_cp] + found.text
    line, encoding = params.position.line, ls.documents.encoding
    item = lsp.CompletionItem(
        label=label_of(text),
        kind=lsp.CompletionItemKind.Text,
        detail="completer",
        documentation=_preview(snapshot.language_id, text) if "\n" in text.strip() else None,
        sort_text=" ",  # before every identifier: it answers what is being typed, the others list what could be
        filter_text=text.split("\n", 1)[0],
        insert_text_format=lsp.InsertTextFormat.PlainText,
        insert_text_mode=lsp.InsertTextMode.AsIs,  # later lines carry their indentation
        commit_characters=[],  # only the accept key takes it, never a "." or "(" that is typed on
        text_edit=lsp.TextEdit(range_on_line(snapshot, line, start_cp, found.end_cp, encoding), text),
        command=_command(answer.id),
    )
    return lsp.CompletionList(is_incomplete=True, items=[item])


async def _ask(
    ls: CompleterServer,
    uri: str,
    position: lsp.Position,
    explicit: bool,
    selected: lsp.SelectedCompletionInfo | None,
) -> Answer | None:
    """Return what to show, or None. Everything is read off the document before the first await."""
    began_s = time.perf_counter()
    try:
        snapshot = ls.documents.snapshot(uri, to_position(position))
        chosen = _selected(ls, uri, selected) if selected else None
    except BadPosition as error:
        raise JsonRpcInvalidParams(str(error)) from error
    ls.active = uri
    if ls.completer is None:
        return None
    ls.asked[snapshot.uri] = Asked(uri, position, snapshot)
    try:
        async with thinking(ls, explicit):
            found = await ls.newest(uri, ls.completer.complete(snapshot, explicit=explicit, selected=chosen))
    except CompleterError as error:
        ls.say_once(str(error))
        return None
    finally:
        ls.status_changed()
    if found is None or is_empty(found, snapshot):
        return None
    others = [(other, ls.remember(uri, other)) for other in found.alternatives if not is_empty(other, snapshot)]
    id_ = ls.remember(uri, found)  # the last, so that it is what messages without an id mean
    return Answer(snapshot, found, id_, others, (time.perf_counter() - began_s) * 1e3)


def _selected(ls: CompleterServer, uri: str, info: lsp.SelectedCompletionInfo) -> Replacement:
    start, end = (ls.documents.snapshot(uri, to_position(p)).cursor_cp for p in (info.range.start, info.range.end))
    return Replacement(info.text, start, end)


def _command(suggestion_id: str) -> lsp.Command:
    return lsp.Command("Accepted", ACCEPT_COMMAND, arguments=[suggestion_id])


def _preview(language_id: str, text: str) -> lsp.MarkupContent:
    """Return the text in a fence that it cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    name = re.sub(r"[^\w+#.-]", "", language_id)
    return lsp.MarkupContent(lsp.MarkupKind.Markdown, f"{fence}{name}\n{text}\n{fence}")


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION, lsp.InlineCompletionOptions())(inline_completion)


def register_fallback(ls: CompleterServer) -> None:
    """Offer lists too: called while initializing, for clients without inline completion. Mutates: the same table."""
    if lsp.TEXT_DOCUMENT_COMPLETION in ls.protocol.fm.features:  # by an `initialize` that failed after this
        return
    options = lsp.CompletionOptions(trigger_characters=TRIGGER_CHARACTERS)
    ls.feature(lsp.TEXT_DOCUMENT_COMPLETION, options)(completion)

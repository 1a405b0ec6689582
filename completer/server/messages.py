"""The messages that are ours alone (`completer/…`) and how their fields become attributes. See docs/reference/protocol.md."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from lsprotocol.types import (
    OptionalVersionedTextDocumentIdentifier,
    Position,
    Range,
    TextDocumentIdentifier,
    VersionedTextDocumentIdentifier,
)
from pygls.protocol import default_converter

AUTHENTICATE = "completer/authenticate"
DID_MOVE_CURSOR = "completer/didMoveCursor"
DID_SHOW = "completer/didShow"
DID_ACCEPT = "completer/didAccept"
DID_DISMISS = "completer/didDismiss"
DID_EXTEND_SUGGESTION = "completer/didExtendSuggestion"
METRICS = "completer/metrics"
STATUS = "completer/status"
EXPLAIN = "completer/explain"
MODELS = "completer/models"
SNOOZE = "completer/snooze"
SET_ENABLED = "completer/setEnabled"
NEXT_EDIT = "completer/nextEdit"
DID_FIND_NEXT_EDIT = "completer/didFindNextEdit"
DID_CHANGE_STATUS = "completer/didChangeStatus"

DID_FOCUS = "textDocument/didFocus"
DID_SHOW_COMPLETION = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT_COMPLETION = "textDocument/didPartiallyAcceptCompletion"
DID_SHOW_INLINE_EDIT = "textDocument/didShowInlineEdit"
"""The notifications of Copilot's protocol. Of the item that the client sends back, only its command's argument counts."""

ACCEPT_COMMAND = "completer.didAccept"
"""Command of each item: any standard client runs it after inserting, and so reports the acceptance."""
SNOOZE_COMMAND = "completer.setSnooze"
SET_ENABLED_COMMAND = "completer.setEnabled"
"""SNOOZE and SET_ENABLED for editors that send commands only. Other names than those of the commands of VS Code's extension."""


@attrs.define
class DidMoveCursorParams:
    """The cursor moved and nothing was typed."""

    text_document: TextDocumentIdentifier
    position: Position


@attrs.define
class SuggestionParams:
    """Something happened to a suggestion. id: as in the item's command; None: the document's latest one."""

    text_document: TextDocumentIdentifier
    id: str | None = None


@attrs.define
class DidAcceptParams:
    """accepted_length: accepted so far, in UTF-16 units of the suggestion's text; None: all of it."""

    text_document: TextDocumentIdentifier
    id: str | None = None
    accepted_length: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(0)))


@attrs.define
class DidFocusParams:
    """The user went to a document; None: to none."""

    text_document: TextDocumentIdentifier | None = None


@attrs.define
class ItemCommand:
    """The command of an item, of which a client may send the arguments alone. arguments: its id."""

    arguments: list[str]


@attrs.define
class Item:
    """An inline completion or a next edit that the client sends back."""

    command: ItemCommand


@attrs.define
class ItemParams:
    """accepted_length: accepted so far, in UTF-16 units of the item's text; only of a partial acceptance."""

    item: Item
    accepted_length: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(0)))


@attrs.define
class DidExtendSuggestionParams:
    """More of a suggestion is ready: `text` replaces `range` of the document at `version`, cursor at `position`.

    sure_length: how much of `text` is as sure as what is shown while typing, in UTF-16 units.
    """

    uri: str
    version: int
    position: Position
    text: str
    range: Range
    id: str
    complete: bool
    sure_length: int


_PARAMS: dict[str, type[Any]] = {
    DID_MOVE_CURSOR: DidMoveCursorParams,
    DID_SHOW: SuggestionParams,
    DID_ACCEPT: DidAcceptParams,
    DID_DISMISS: SuggestionParams,
    DID_EXTEND_SUGGESTION: DidExtendSuggestionParams,
    DID_FOCUS: DidFocusParams,
    DID_SHOW_COMPLETION: ItemParams,
    DID_PARTIALLY_ACCEPT_COMPLETION: ItemParams,
    DID_SHOW_INLINE_EDIT: ItemParams,
}


def _message_type(method: str, params: type[Any]) -> type[Any]:
    """Return the class of a whole notification, as pygls wants it."""
    return attrs.make_class(
        "Notification",
        {
            "params": attrs.field(type=params),
            "method": attrs.field(type=str, default=method),
            "jsonrpc": attrs.field(type=str, default="2.0"),
        },
    )


MESSAGE_TYPES: dict[str, type[Any]] = {method: _message_type(method, params) for method, params in _PARAMS.items()}


@functools.cache
def make_converter() -> Converter:
    """Return the standard converter, taught our messages (camelCase outside, snake_case inside).

    All connections share one: to make it takes a fifth of a second.
    """
    converter: Converter = default_converter()  # type: ignore[no-untyped-call]
    converter.register_structure_hook(VersionedTextDocumentIdentifier, _maybe_versioned(converter))
    for cls in {*_PARAMS.values(), *MESSAGE_TYPES.values()}:
        renamed = {field.name: override(rename=_camel_case(field.name)) for field in attrs.fields(cls)}
        converter.register_structure_hook(cls, make_dict_structure_fn(cls, converter, **renamed))  # type: ignore[arg-type]
        converter.register_unstructure_hook(cls, make_dict_unstructure_fn(cls, converter, **renamed))  # type: ignore[arg-type]
    return converter


def _maybe_versioned(converter: Converter) -> Callable[[Any, Any], Any]:
    """Return a hook that lets a changed document have no version: older clients send null, and the change counts."""
    strict = converter.get_structure_hook(VersionedTextDocumentIdentifier)

    def structure(value: Any, _: Any) -> Any:
        if isinstance(value, dict) and value.get("version") is None:
            return converter.structure(value, OptionalVersionedTextDocumentIdentifier)
        return strict(value, VersionedTextDocumentIdentifier)

    return structure


def _camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)

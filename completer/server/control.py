"""Switches for automatic suggestions: a snooze, and on or off for a document or for the whole client.

Each is a request of ours, and a command for editors that can send nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pygls.exceptions import JsonRpcInvalidParams

from completer.document.position import Position
from completer.document.uri import path_of
from completer.errors import BadPosition
from completer.prompt.context.ignore import IgnoreRules
from completer.server import messages
from completer.server.session import CompleterServer
from completer.server.status import status_of

DEFAULT_MINUTES = 30
MAX_MINUTES = 7 * 24 * 60


def snooze(ls: CompleterServer, params: Any) -> dict[str, Any]:
    """Suggest nothing automatically for some minutes; return the status. Raises: JsonRpcInvalidParams."""
    return _snooze(ls, getattr(params, "minutes", None))


def set_enabled(ls: CompleterServer, params: Any) -> dict[str, Any]:
    """Switch automatic suggestions on or off; return the status. Raises: JsonRpcInvalidParams."""
    document = getattr(params, "textDocument", None)
    return _set_enabled(ls, getattr(params, "enabled", None), getattr(document, "uri", None))


def snooze_command(ls: CompleterServer, *arguments: Any) -> dict[str, Any]:
    """`snooze` with the minutes as the only argument, DEFAULT_MINUTES without it."""
    return _snooze(ls, arguments[0] if arguments else DEFAULT_MINUTES)


def set_enabled_command(ls: CompleterServer, *arguments: Any) -> dict[str, Any]:
    """`set_enabled` with true or false, and perhaps the URI of a document, as arguments."""
    enabled, uri, *_ = (*arguments, None, None)
    return _set_enabled(ls, enabled, uri)


async def learn_if_ignored(ls: CompleterServer, uri: str) -> None:
    """Find out, in another thread, whether git or a `.completerignore` ignores an open document. Mutates: who minds."""
    path = path_of(uri)
    if path is not None and await asyncio.to_thread(_is_ignored, path, ls.folders):
        ls.next_edits.ignore(uri)
        ls.control.ignore(uri)
        ls.status_changed()


def _snooze(ls: CompleterServer, minutes: Any) -> dict[str, Any]:
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or not 0 <= minutes <= MAX_MINUTES:
        raise JsonRpcInvalidParams(f"{messages.SNOOZE} needs minutes, a number from 0 to {MAX_MINUTES}")
    ls.control.snooze(minutes)
    return status_of(ls, None)


def _set_enabled(ls: CompleterServer, enabled: Any, uri: Any) -> dict[str, Any]:
    if not isinstance(enabled, bool) or not isinstance(uri, str | None):
        raise JsonRpcInvalidParams(f"{messages.SET_ENABLED} needs enabled, true or false, and perhaps textDocument.uri")
    try:
        ls.control.switch(enabled, None if uri is None else ls.documents.snapshot(uri, Position(0, 0)).uri)
    except BadPosition as error:
        raise JsonRpcInvalidParams(str(error)) from error
    return status_of(ls, uri)


def _is_ignored(path: Path, folders: Sequence[Path]) -> bool:
    """Whether git or a `.completerignore` leaves a file of the workspace out. Reads rule files: not for the event loop."""
    real = path.resolve()
    homes = [folder.resolve() for folder in folders]
    return any(IgnoreRules(home).ignores(real) for home in homes if real.is_relative_to(home))


def register(ls: CompleterServer) -> None:
    """Mutates: the server's tables of handlers and commands."""
    ls.feature(messages.SNOOZE)(snooze)
    ls.feature(messages.SET_ENABLED)(set_enabled)
    ls.command(messages.SNOOZE_COMMAND)(snooze_command)
    ls.command(messages.SET_ENABLED_COMMAND)(set_enabled_command)

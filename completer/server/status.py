"""How the server is, for the user: on request, and sent as it changes to clients that want it."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import Any

from completer.document.position import Position
from completer.errors import BadPosition
from completer.server import messages
from completer.server.changes import Changes, Status
from completer.server.convert import announces
from completer.server.session import CompleterServer

CAPABILITY = "completerStatus"
"""The client sets it in `capabilities.experimental` if it wants `completer/didChangeStatus`."""
FIGURES = frozenset(("latency_p50_ms", "latency_p95_ms", "memory_mb", "indexing"))
"""Fields of a status that change at nearly every key."""
TROUBLE_S = 2.0
"""How often to look whether a trouble is over: an engine that is well again tells nobody."""
COPILOT_STATUS = "didChangeStatus"
"""The same for clients of Copilot's protocol."""
_COPILOT_KINDS = {"error": "Error", "slow": "Warning", "quiet": "Inactive"}


def status(ls: CompleterServer, params: Any) -> Status:
    """Return `status_of` the document that the params name, if they do and it is open."""
    return status_of(ls, getattr(getattr(params, "textDocument", None), "uri", None))


def status_of(ls: CompleterServer, uri: Any) -> Status:
    """Return state and message of the loading, what keeps suggestions away, and what the completer reports.

    uri: of the document whose suggestions are meant; None for those of the client.
    """
    quiet = ls.control.of_client()
    if isinstance(uri, str):
        with contextlib.suppress(BadPosition):
            quiet = ls.control.of_document(ls.documents.snapshot(uri, Position(0, 0)))
    until_s = ls.control.snoozed_until_s
    known = {
        "state": ls.state,
        "message": ls.state_message,
        "percent": ls.percent,
        "model": ls.settings.model,
        "engine": ls.settings.engine,
        "latency_p50_ms": None,
        "latency_p95_ms": None,
        "reason": quiet.reason if quiet is not None else "",
        "snoozed_until": datetime.fromtimestamp(until_s).astimezone().isoformat(timespec="seconds") if until_s else None,
    }
    found = known | (ls.completer.status() if ls.completer is not None else {})
    is_slow = found.pop("slow", False)
    return {"kind": _kind(found["state"], found["reason"], is_slow)} | found


def watched(ls: CompleterServer) -> list[Changes]:
    """Return what tells the client of each new status; nothing if it does not want to hear of them."""
    found = []
    if announces(ls.client_capabilities, CAPABILITY):
        found.append(Changes(lambda: _of_active(ls), _teller(ls, messages.DID_CHANGE_STATUS), _again_s(ls), FIGURES))
    if ls.speaks_copilot:
        found.append(Changes(lambda: _as_copilot(status_of(ls, ls.active)), _teller(ls, COPILOT_STATUS), _again_s(ls)))
    for changes in found:
        changes.look()
    return found


def _kind(state: str, reason: str, is_slow: bool) -> str:
    """Return what matters most to the user, in a word."""
    if state in ("downloading", "loading"):
        return "loading"
    if state == "error":
        return "error"
    return "quiet" if reason else "slow" if is_slow else "ready"


def _of_active(ls: CompleterServer) -> Status:
    return status_of(ls, ls.active) | {"textDocument": {"uri": ls.active} if ls.active else None}


def _as_copilot(found: Status) -> Status:
    """Return a status in the words of Copilot's protocol."""
    message = found["reason"] if found["kind"] == "quiet" else found["message"]
    return {"kind": _COPILOT_KINDS.get(found["kind"], "Normal"), "busy": found["kind"] == "loading", "message": message}


def _teller(ls: CompleterServer, method: str) -> Any:
    def tell(found: Status) -> None:
        ls.protocol.notify(method, found)

    return tell


def _again_s(ls: CompleterServer) -> Any:
    """Return what tells when a status may be another although no message came: a snooze ends, a trouble is over."""

    def again_s(found: Status) -> float | None:
        if (until_s := ls.control.snoozed_until_s) is not None:
            return until_s - time.time()
        return TROUBLE_S if found["kind"] in ("slow", "Warning") else None

    return again_s


def register(ls: CompleterServer) -> None:
    """Mutates: the server's table of handlers."""
    ls.feature(messages.STATUS)(status)

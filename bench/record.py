"""A server's own session log turned into a trace.

The log is opt-in and holds one JSON object per line, in the order in which the server got them::

    {"t_ms": 12.5, "method": "textDocument/didOpen", "params": {...}}

with the parameters as they came over LSP: `textDocument/didOpen` and `textDocument/didChange` count,
`completer/didMoveCursor` too; everything else is skipped. The first is `initialize`: `positionEncoding` says how columns
count, `lengthsOnly` that each `text` is filler.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.document import Document, Encoding, offset_at
from bench.trace import Event, EventKind, Trace, TraceError


def trace_from_log(path: Path) -> Trace:
    """Return the session in `path` as a trace. Raises: TraceError, OSError."""
    documents: dict[str, tuple[int, Document]] = {}
    events: list[Event] = []
    begun: float | None = None
    encoding: Encoding = "utf-16"
    redacted = False
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            begun = float(entry["t_ms"]) if begun is None else begun
            t_ms = float(entry["t_ms"]) - begun
            if entry["method"] == "initialize":
                encoding, redacted = entry["params"]["positionEncoding"], bool(entry["params"].get("lengthsOnly"))
            events.extend(_events(entry["method"], entry.get("params") or {}, t_ms, documents, encoding))
        except (ValueError, KeyError, TypeError) as error:
            raise TraceError(f"{path}:{number}: {error!r}") from None
    return Trace(path.stem, tuple(events), origin="recorded by the server", note="own session", redacted=redacted)


def _events(
    method: str, params: dict[str, Any], t_ms: float, documents: dict[str, tuple[int, Document]], encoding: Encoding
) -> list[Event]:
    item = params.get("textDocument", {})
    uri = item.get("uri", "")
    if method == "textDocument/didOpen":
        number = documents[uri][0] if uri in documents else len(documents)
        document = Document(uri, item.get("languageId", ""), str(item["text"]))
        documents[uri] = (number, document)
        opened = Event(t_ms, "open", number, text=document.text, file=uri.rsplit("/", 1)[-1], language=document.language)
        return [opened]
    if uri not in documents:
        return []
    number, document = documents[uri]
    if method == "completer/didMoveCursor":
        pos = offset_at(document.text, params["position"], encoding)
        return [] if pos is None else [_applied(document, Event(t_ms, "move", number, pos))]
    if method != "textDocument/didChange":
        return []
    return [_applied(document, _edit(c, t_ms, number, document, encoding)) for c in params["contentChanges"]]


def _edit(change: dict[str, Any], t_ms: float, number: int, document: Document, encoding: Encoding) -> Event:
    start, end = 0, len(document.text)
    if (where := change.get("range")) is not None:
        at, to = (offset_at(document.text, where[side], encoding) for side in ("start", "end"))
        if at is None or to is None:
            raise ValueError(f"the document has no range {where}")
        start, end = at, to
    text, n = str(change["text"]), end - start
    kind: EventKind = "paste" if text else "delete"
    if n == 0 and (len(text) == 1 or (text[:1] == "\n" and not text.strip())):
        kind = "key"
    return Event(t_ms, kind, number, start, n, text)


def _applied(document: Document, event: Event) -> Event:
    document.apply(event)
    return event

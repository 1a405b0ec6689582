"""The real server over a completer that needs no model: what it suggests follows from the text before the cursor.

`python fake_server.py [--tcp | --socket PATH] [--delay-ms N] [--load-ms N] [--fail MESSAGE]`. What it suggests: the
last word of the line backwards; after "extend" a first part at once and the rest by `on_extend`; after "two lines" two
lines; nothing after "nothing"; after "fail" an error; after "be slow" the status tells of a trouble. Who asks gets the word in
capitals and with one beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from completer.complete.api import Report
from completer.complete.control import Control
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.errors import EngineClosed, UnknownModel
from completer.history.writer import HistoryWriter
from completer.server import Sessions, layers_of_process, run_socket, run_stdio, run_tcp
from completer.server.admission import Limits
from completer.server.recorder import Recorder
from completer.types import Edit, Replacement, Snapshot, Suggestion


class FakeCompleter:
    """Remembers every call as an event that `metrics` gives back, so that tests see what reached it."""

    def __init__(self, settings: Settings, delay_s: float) -> None:
        self.settings = settings
        self.on_extend: Callable[[Suggestion], None] | None = None
        self.control = Control()
        self.delay_s = delay_s
        self.events: list[dict[str, Any]] = []
        self.mirror: dict[str, str] = {}
        self.trouble = ""

    async def complete(self, snapshot: Snapshot, *, explicit: bool, selected: Replacement | None = None) -> Suggestion | None:
        if not explicit and self.control.of_document(snapshot) is not None:
            return None
        text = self._text_for(snapshot)
        self.trouble = "the fake engine is slow" if snapshot.line_prefix.endswith("be slow") else ""
        self._event("complete", version=snapshot.version, explicit=explicit, n_chars=len(snapshot.text))
        self._event("selected", text=selected.text) if selected else None
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self._event("cancelled", version=snapshot.version)
            raise
        if text is None:
            return None
        cursor = snapshot.cursor_cp
        found = Suggestion(snapshot.uri, snapshot.version, text, cursor, cursor, "cold")
        if snapshot.line_prefix.endswith("extend"):
            longer = replace(found, text=text + " and more")
            longer = replace(longer, n_sure=7) if "unsure" in snapshot.line_prefix else longer
            threading.Timer(0.05, lambda: self.on_extend and self.on_extend(longer)).start()
            return replace(found, complete=False)
        others = (text.upper(), text.title()) if explicit else ()
        return replace(found, alternatives=tuple(replace(found, text=other) for other in others))

    def set_folders(self, folders: Sequence[Path]) -> None:
        self._event("folders", folders=[folder.as_posix() for folder in folders])

    def did_open(self, snapshot: Snapshot) -> None:
        self.mirror[snapshot.uri] = snapshot.text
        self._event("open", uri=snapshot.uri, language=snapshot.language_id)

    def did_change(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        if (text := self.mirror.get(snapshot.uri)) is None:  # a notebook's cell
            return
        for edit in edits:
            text = text[: edit.start_cp] + edit.new_text + text[edit.old_end_cp :]
        self.mirror[snapshot.uri] = text
        self._event("change", version=snapshot.version, edits_agree=text == snapshot.text, n_edits=len(edits))

    def did_move_cursor(self, snapshot: Snapshot) -> None:
        self._event("move", cursor_cp=snapshot.cursor_cp)

    def did_close(self, uri: str) -> None:
        if self.mirror.pop(uri, None) is not None:
            self._event("close", uri=uri)

    def did_accept(self, suggestion: Suggestion, n_chars: int) -> None:
        self._event("accept", text=suggestion.text, n_chars=n_chars)

    def did_dismiss(self, suggestion: Suggestion) -> None:
        self._event("dismiss", text=suggestion.text)

    def set_settings(self, settings: Settings) -> None:
        self.settings = settings
        self._event("settings", budget_ms=settings.budget_ms)

    def metrics(self) -> list[dict[str, Any]]:
        return list(self.events)

    def status(self) -> dict[str, Any]:
        trouble = {"message": self.trouble, "slow": bool(self.trouble)}
        return {"model": self.settings.model, "engine": "fake", "settings": asdict(self.settings)} | trouble

    def explain(self, uri: str) -> Quiet | str:
        snapshot = Snapshot(uri, 1, "python", self.mirror[uri], 0)
        return self.control.of_document(snapshot) or "nothing was requested here yet"

    async def close(self) -> None:
        print("completer closed", file=sys.stderr, flush=True)

    def _event(self, name: str, **fields: Any) -> None:
        self.events.append({"event": name, **fields})

    def _text_for(self, snapshot: Snapshot) -> str | None:
        line = snapshot.line_prefix
        if line.endswith("fail"):
            raise EngineClosed("the fake engine failed")
        if line.endswith("two lines"):
            return " = 1\n    second = 2"
        words = line.split()
        return None if not words or line.endswith("nothing") else words[-1][::-1]


def make_completer(settings: Settings, report: Report, *, delay_s: float, load_s: float, failure: str) -> FakeCompleter:
    """Take `load_s` to load in two stages, or fail."""
    print("a library prints to stdout")
    for step in range(5):
        report("downloading the fake model", step / 5)
        time.sleep(load_s / 10)
    report("loading the fake model", None)
    time.sleep(load_s / 2)
    if failure or settings.model == "missing":
        raise UnknownModel(failure or "there is no model 'missing'")
    return FakeCompleter(settings, delay_s)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--first-message-s", type=float, default=10)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--load-ms", type=float, default=0)
    parser.add_argument("--fail", default="")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--lengths-only", action="store_true")
    parser.add_argument("--history", action="store_true")
    options = parser.parse_args()
    make = functools.partial(make_completer, delay_s=options.delay_ms / 1000, load_s=options.load_ms / 1000, failure=options.fail)
    recorder = Recorder(options.record, options.lengths_only) if options.record else None
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    limits, layers = Limits(first_message_s=options.first_message_s), layers_of_process({})
    if options.tcp:
        return run_tcp("127.0.0.1", 0, Sessions(make, layers), token_path=options.token_file, limits=limits)
    if options.socket:
        return run_socket(options.socket, Sessions(make, layers), limits=limits)
    history = HistoryWriter() if options.history else None
    code = run_stdio(Sessions(make, layers, history), recorder)
    if history is not None:
        history.close()
    return code


if __name__ == "__main__":
    sys.exit(main())

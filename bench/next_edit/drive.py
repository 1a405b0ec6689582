"""Type edits into the follower of next edits that the server has, and ask it what comes next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from completer.document.mirror import smallest_edit
from completer.next_edit.offer import NextEdit
from completer.next_edit.state import NextEdits
from completer.types import Edit, Snapshot

KEY_S = 0.1
PAUSE_S = 2.0


@dataclass
class Typist:
    """A client that types. ms: of each key and of each search."""

    state: NextEdits = field(default_factory=NextEdits)
    texts: dict[str, Snapshot] = field(default_factory=dict)
    now_s: float = 0.0
    key_ms: list[float] = field(default_factory=list)
    find_ms: list[float] = field(default_factory=list)

    def open(self, uri: str, language_id: str, text: str) -> None:
        self.texts[uri] = Snapshot(uri, 1, language_id, text, 0)
        self.state.did_open(self.texts[uri])

    def become(self, uri: str, text: str) -> None:
        """Change the one place in which `text` differs from the document: delete, then type line by line."""
        whole = smallest_edit(self.texts[uri].text, text)
        self.apply(uri, Edit(whole.start_cp, whole.old_end_cp, ""))
        at = whole.start_cp
        for line in whole.new_text.splitlines(keepends=True):
            self.apply(uri, Edit(at, at, line))
            at += len(line)

    def apply(self, uri: str, edit: Edit) -> None:
        before = self.texts[uri]
        text = before.text[: edit.start_cp] + edit.new_text + before.text[edit.old_end_cp :]
        cursor = edit.start_cp + len(edit.new_text)
        self.texts[uri] = Snapshot(uri, before.version + 1, before.language_id, text, cursor)
        self.now_s += KEY_S
        started = time.perf_counter()
        self.state.did_change(self.texts[uri], [edit], self.now_s)
        self.key_ms.append(1000 * (time.perf_counter() - started))

    def ask(self, uri: str, cursor_cp: int | None = None) -> tuple[NextEdit, ...]:
        """Return the offers after a pause. cursor_cp: where the cursor is; None: at the last edit."""
        self.now_s += PAUSE_S
        started = time.perf_counter()
        at = self.texts[uri].cursor_cp if cursor_cp is None else cursor_cp
        found = self.state.find(uri, at, self.now_s, explicit=False)
        self.find_ms.append(1000 * (time.perf_counter() - started))
        return found


def applied(text: str, edits: Sequence[NextEdit]) -> str:
    """Return the text with edits of one document made."""
    for edit in sorted(edits, key=lambda one: -one.start_cp):
        text = text[: edit.start_cp] + edit.new_text + text[edit.end_cp :]
    return text


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, 0.0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0

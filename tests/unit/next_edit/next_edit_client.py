"""A client of one or more documents that types, asks and applies, and checks each offer that it gets."""

from __future__ import annotations

from collections.abc import Sequence

from completer.next_edit.offer import NextEdit
from completer.next_edit.state import NextEdits
from completer.types import Edit, Snapshot

URI = "file:///project/a.py"
OTHER = "file:///project/b.py"


class Typist:
    """Keeps the documents as an editor would. now_s: its clock; each change takes a tenth of a second."""

    def __init__(self, text: str = "", language_id: str = "python") -> None:
        self.state, self.documents, self.now_s = NextEdits(), dict[str, Snapshot](), 0.0
        if text:
            self.open(URI, text, language_id)

    def open(self, uri: str, text: str, language_id: str = "python") -> None:
        self.documents[uri] = Snapshot(uri, 1, language_id, text, 0)
        self.state.did_open(self.documents[uri])

    def change(self, *edits: Edit, uri: str = URI) -> None:
        """Make the edits of one notification, each in the text before it."""
        old = self.documents[uri]
        text, cursor = old.text, 0
        for edit in edits:
            text = text[: edit.start_cp] + edit.new_text + text[edit.old_end_cp :]
            cursor = edit.start_cp + len(edit.new_text)
        self.documents[uri] = Snapshot(uri, old.version + 1, old.language_id, text, cursor)
        self.now_s += 0.1
        self.state.did_change(self.documents[uri], edits, self.now_s)

    def replace(self, old: str, new: str, uri: str = URI, nth: int = 0) -> None:
        """Select the nth occurrence of a text, delete it and type another, key by key."""
        at = -1
        for _ in range(nth + 1):
            at = self.documents[uri].text.index(old, at + 1)
        self.change(Edit(at, at + len(old), ""), uri=uri)
        for n, key in enumerate(new):
            self.change(Edit(at + n, at + n, key), uri=uri)

    def ask(self, uri: str = URI, *, explicit: bool = True, pause_s: float = 0.3) -> tuple[NextEdit, ...]:
        """Return the offers at the last edit, each of which lies in its document as it is now."""
        self.now_s += pause_s
        found = self.state.find(uri, self.documents[uri].cursor_cp, self.now_s, explicit=explicit)
        for edit in found:
            document = self.documents[edit.uri]
            assert edit.version == document.version
            assert 0 <= edit.start_cp <= edit.end_cp <= len(document.text)
            assert document.text[edit.start_cp : edit.end_cp] != edit.new_text
        return found

    def accept(self, *edits: NextEdit) -> None:
        """Make offers as an editor makes a workspace edit: one notification for each document, from its end."""
        for uri in {edit.uri for edit in edits}:
            mine = sorted((edit for edit in edits if edit.uri == uri), key=lambda one: -one.start_cp)
            self.change(*(Edit(edit.start_cp, edit.end_cp, edit.new_text) for edit in mine), uri=uri)

    def text(self, uri: str = URI) -> str:
        return self.documents[uri].text


def lines_of(typist: Typist, found: Sequence[NextEdit]) -> list[int]:
    """Return on which line of its document each offer begins, counted from 1."""
    return [typist.text(edit.uri).count("\n", 0, edit.start_cp) + 1 for edit in found]

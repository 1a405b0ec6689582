"""The next edits of one client: its documents, what the user did in them, and what was refused. Owned by the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from cachetools import LRUCache

from completer.document.secrets import find_secret, is_secret_uri
from completer.next_edit.history import MAX_EDITS, EditHistory, PastEdit
from completer.next_edit.offer import Moment, NextEdit, offers
from completer.next_edit.words import joins
from completer.types import Edit, Snapshot

WORD_PAUSE_S = 1.0
"""How long a word that ends at the cursor must rest until it counts as finished."""
MAX_OTHERS = 16
"""Other open documents that are looked at, the most recently used ones."""
_GENERATED = frozenset((".git", ".venv", "__pycache__", "build", "dist", "node_modules", "target", "vendor"))
_N_REFUSED = 256
_find_secret = lru_cache(maxsize=32)(find_secret)


class NextEdits:
    """Follows documents like a Completer; costs a key far less than a millisecond. `find` is for pauses."""

    def __init__(self) -> None:
        self._documents: dict[str, Snapshot] = {}
        self._ignored: set[str] = set()
        self._history = EditHistory()
        self._refused: LRUCache[str, int] = LRUCache(_N_REFUSED)
        self._given: tuple[NextEdit, ...] = ()

    @property
    def edits(self) -> tuple[PastEdit, ...]:
        """What the user changed, oldest first."""
        return tuple(self._history.edits)

    def did_open(self, snapshot: Snapshot) -> None:
        """Follow a document; one that holds secrets by its name, or is generated, is left alone."""
        self.did_close(snapshot.uri)
        if not is_secret_uri(snapshot.uri) and not _is_generated(snapshot.uri):
            self._documents[snapshot.uri] = snapshot

    def ignore(self, uri: str) -> None:
        """Leave a document alone that git or the user ignores. Mutates: all that was kept of it goes."""
        self.did_close(uri)
        self._ignored.add(uri)

    def did_change(self, snapshot: Snapshot, edits: Sequence[Edit], now_s: float) -> None:
        """Follow a change. edits: each in the text before it."""
        before = self._documents.get(snapshot.uri)
        if before is None:
            return
        self._history.change(snapshot.uri, before.text, edits, now_s, rule=self._rule_of(before.uri, edits))
        for past in self._history.vanished:
            if past.rule:  # ours, and undone: not to be offered again
                self._refused[past.rule] = max(self._refused.get(past.rule, 0), MAX_EDITS)
        self._given = tuple(edit for edit in self._given if edit.uri != snapshot.uri)
        del self._documents[snapshot.uri]  # the most recent one is the last
        self._documents[snapshot.uri] = snapshot

    def did_close(self, uri: str) -> None:
        """Free all that belongs to a document."""
        self._documents.pop(uri, None)
        self._ignored.discard(uri)
        self._history.forget(uri)

    def find(self, uri: str, cursor_cp: int, now_s: float, *, explicit: bool) -> tuple[NextEdit, ...]:
        """Return the next edits, the first one first; () unless they are sure. Mutates: what counts as ours when it comes.

        explicit: the user asked for them, and so has finished the word before the cursor.
        """
        snapshot = self._documents.get(uri)
        if snapshot is None or self.is_in_word(uri, cursor_cp, now_s, explicit=explicit):
            self._given = ()
            return ()
        recent = [uri, *(other for other in reversed(self._documents) if other != uri)][: 1 + MAX_OTHERS]
        moment = Moment(self.edits, {one: self._documents[one] for one in recent}, uri, cursor_cp)
        self._given = offers(moment, self._is_refused)
        while self._given and (secret := self._secrets_of(moment, self._given)):
            moment = _without(moment, secret)
            self._given = offers(moment, self._is_refused)
        return self._given

    @staticmethod
    def _secrets_of(moment: Moment, found: Sequence[NextEdit]) -> set[str]:
        """Return which documents hold secrets, of those that offers come from or go to: to look takes a while."""
        uris = {past.uri for past in moment.edits} | {edit.uri for edit in found}
        return {uri for uri in uris & moment.documents.keys() if _find_secret(moment.documents[uri].text)}

    def is_in_word(self, uri: str, cursor_cp: int, now_s: float, *, explicit: bool) -> bool:
        """Whether the user may be in the middle of a word: it ends at the cursor and was typed a moment ago."""
        snapshot, last = self._documents.get(uri), self.edits[-1] if self.edits else None
        if snapshot is None or last is None or last.uri != uri or not last.start_cp <= cursor_cp <= last.end_cp:
            return False
        before = snapshot.text[max(0, cursor_cp - 1) : cursor_cp]
        return joins(before) and not explicit and now_s - last.at_s < WORD_PAUSE_S

    def dismiss(self, edit: NextEdit) -> None:
        """The user does not want an edit, nor those like it, until the same change is made by hand once more."""
        self._refused[edit.rule] = edit.n_examples

    def _is_refused(self, rule: str, n_examples: int) -> bool:
        return self._refused.get(rule, -1) >= n_examples

    def _rule_of(self, uri: str, edits: Sequence[Edit]) -> str:
        """Return the rule of the offers, some or all, that a change is; "" for any other. edits: each in the text before it."""
        wanted = {(edit.start_cp, edit.end_cp, edit.new_text): edit.rule for edit in self._given if edit.uri == uri}
        done: list[Edit] = []
        rule = ""
        for edit in edits:
            shift = sum(len(one.new_text) - (one.old_end_cp - one.start_cp) for one in done if one.start_cp < edit.start_cp)
            rule = wanted.get((edit.start_cp - shift, edit.old_end_cp - shift, edit.new_text), "")
            if not rule:
                return ""
            done.append(edit)
        return rule


def _without(moment: Moment, uris: set[str]) -> Moment:
    documents = {uri: snapshot for uri, snapshot in moment.documents.items() if uri not in uris}
    return moment._replace(edits=[past for past in moment.edits if past.uri not in uris], documents=documents)


def _is_generated(uri: str) -> bool:
    return bool(_GENERATED.intersection(PurePosixPath(unquote(urlsplit(uri).path)).parts[:-1]))

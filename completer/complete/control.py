"""Where and when the user of one client wants automatic suggestions: settings, switches, and a snooze.

A document is judged when it is opened, and again when settings or workspace folders change. A key looks the verdict up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from completer.complete.file_rules import FileRules
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.document.uri import path_of
from completer.syntax.cursor import CursorContext
from completer.types import Snapshot

_COMMENTS = ("line_comment", "block_comment")
_PATTERN_SETTINGS = ("disabled_files", "generated_files")


class Control:
    """Owned by the event loop. Reads no file; keeps a verdict for each open document."""

    def __init__(self, settings: Settings | None = None, now: Callable[[], float] = time.time) -> None:
        """now: the time of day in seconds, in which a snooze is meant."""
        self._now = now
        self._settings = settings or Settings()
        self._rules = FileRules(self._settings)
        self._languages = frozenset(self._settings.disabled_languages)
        self._folders: tuple[Path, ...] = ()
        self._verdicts: dict[str, Quiet | None] = {}
        self._ignored: set[str] = set()
        self._switched_off: set[str] = set()
        self._off = False
        self._until_s = 0.0

    def set_settings(self, settings: Settings) -> None:
        """Take new settings. Mutates: the verdicts, if they depend on what changed."""
        old, self._settings = self._settings, settings
        self._languages = frozenset(settings.disabled_languages)
        if any(getattr(old, name) != getattr(settings, name) for name in _PATTERN_SETTINGS):
            self._rules = FileRules(settings)
            self._verdicts.clear()

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Take the workspace folders, from which patterns count. Mutates: the verdicts."""
        self._folders = tuple(sorted(folders, key=lambda folder: -len(folder.parts)))  # the innermost first
        self._verdicts.clear()

    def opened(self, snapshot: Snapshot) -> None:
        """Judge a document that was opened, perhaps again. Mutates: its verdict."""
        self._verdicts[snapshot.uri] = self._rules.judge(self._path(snapshot.uri), snapshot.text)

    def closed(self, uri: str) -> None:
        """Forget a document, but not whether the user has switched it off."""
        self._verdicts.pop(uri, None)
        self._ignored.discard(uri)

    def ignore(self, uri: str) -> None:
        """Git or a `.completerignore` leaves an open document out."""
        self._ignored.add(uri)

    def switch(self, on: bool, uri: str | None = None) -> None:
        """Switch automatic suggestions on or off: in one document, or everywhere. Mutates: the switches."""
        if uri is None:
            self._off = not on
        elif on:
            self._switched_off.discard(uri)
        else:
            self._switched_off.add(uri)

    def snooze(self, minutes: float) -> None:
        """Suggest nothing automatically for so many minutes from now; 0 ends a snooze."""
        self._until_s = self._now() + 60 * minutes if minutes > 0 else 0.0

    @property
    def snoozed_until_s(self) -> float | None:
        """When the snooze ends, as `time.time` counts; None without one."""
        return self._until_s if self._until_s and self._now() < self._until_s else None

    def of_client(self) -> Quiet | None:
        """Return what keeps all documents of the client quiet, or None."""
        if self._off:
            return Quiet("client")
        if (until_s := self.snoozed_until_s) is not None:
            return Quiet("snoozed", datetime.fromtimestamp(until_s).strftime("%H:%M"))
        return Quiet("mode") if self._settings.mode == "on_request" else None

    def of_document(self, snapshot: Snapshot) -> Quiet | None:
        """Return what keeps automatic suggestions out of a document, or None. Costs some look-ups."""
        uri, language_id = snapshot.uri, snapshot.language_id
        if (quiet := self.of_client()) is not None:
            return quiet
        if uri in self._switched_off:
            return Quiet("document")
        if language_id in self._languages:
            return Quiet("language", language_id)
        if uri not in self._verdicts:
            self.opened(snapshot)
        if (verdict := self._verdicts[uri]) is not None:
            return verdict
        return Quiet("ignored") if self._settings.ignored_files == "off" and uri in self._ignored else None

    def of_place(self, snapshot: Snapshot, cursor: CursorContext, *, deleted: bool) -> Quiet | None:
        """Return what keeps automatic suggestions out of a place, its document included.

        deleted: the last change of the document only deleted text.
        """
        if (quiet := self.of_document(snapshot)) is not None:
            return quiet
        scope = "comment" if cursor.inside in _COMMENTS else cursor.inside
        if scope in self._settings.disabled_scopes:
            return Quiet("scope", scope)
        if deleted and self._settings.after_deletion == "off":
            return Quiet("deletion")
        return Quiet("word") if cursor.suppress == "word" else None

    def wants_idle_work(self, snapshot: Snapshot) -> bool:
        """Whether a document's next suggestion is worth preparing: not if none will come by itself, unless by `mode`."""
        quiet = self.of_document(snapshot)
        return quiet is None or quiet.rule == "mode"

    def _path(self, uri: str) -> str:
        """Return a document's path as patterns see it: below its workspace folder, or the whole path in none."""
        path = path_of(uri)
        if path is None:  # no file: untitled, or what the command line calls it
            return unquote(uri.partition(":")[2] or uri).lstrip("/")
        folder = next((folder for folder in self._folders if path.is_relative_to(folder)), None)
        return path.relative_to(folder or path.anchor).as_posix()

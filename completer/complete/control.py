"""Where and when the user of one client wants automatic suggestions: settings, switches, and a snooze.

A document is judged when it is opened, and again when settings or workspace folders change. A key looks the verdict up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from completer.complete.file_rules import FileRules
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.document.uri import path_of
from completer.syntax.cursor import CursorContext
from completer.types import Snapshot

_COMMENTS = ("line_comment", "block_comment")


class _Rules:
    """The settings of a workspace folder, or of documents in none, ready to be asked."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.languages = frozenset(settings.disabled_languages)
        self.files = FileRules(settings)


class _Judged(NamedTuple):
    """What holds for an open document. file: what its name or header says against it."""

    rules: _Rules
    file: Quiet | None


class Control:
    """Owned by the event loop. Reads no file; keeps a verdict for each open document."""

    def __init__(self, settings: Settings | None = None, now: Callable[[], float] = time.time) -> None:
        """now: the time of day in seconds, in which a snooze is meant."""
        self._now = now
        self._rules = _Rules(settings or Settings())
        self._of_folder: dict[Path, _Rules] = {}
        self._folders: tuple[Path, ...] = ()
        self._judged: dict[str, _Judged] = {}
        self._ignored: set[str] = set()
        self._switched_off: set[str] = set()
        self._off = False
        self._until_s = 0.0

    @property
    def settings(self) -> Settings:
        """The settings of the client."""
        return self._rules.settings

    def set_settings(self, settings: Settings, of_folder: Mapping[Path, Settings] | None = None) -> None:
        """Take new settings. Mutates: the verdicts.

        of_folder: those of workspace folders that have some of their own; None: as before.
        """
        if settings != self._rules.settings:
            self._rules = _Rules(settings)
            self._judged.clear()
        if of_folder is not None and of_folder != {folder: rules.settings for folder, rules in self._of_folder.items()}:
            self._of_folder = {folder: _Rules(own) for folder, own in of_folder.items()}
            self._judged.clear()

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Take the workspace folders, from which patterns count. Mutates: the verdicts."""
        self._folders = tuple(sorted(folders, key=lambda folder: -len(folder.parts)))  # the innermost first
        self._judged.clear()

    def opened(self, snapshot: Snapshot) -> None:
        """Judge a document that was opened, perhaps again. Mutates: its verdict."""
        self._judged[snapshot.uri] = self._judge(snapshot)

    def closed(self, uri: str) -> None:
        """Forget a document, but not whether the user has switched it off."""
        self._judged.pop(uri, None)
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
        if (quiet := self._of_user()) is not None:
            return quiet
        return Quiet("mode") if self.settings.mode == "on_request" else None

    def of_document(self, snapshot: Snapshot) -> Quiet | None:
        """Return what keeps automatic suggestions out of a document, or None. Costs some look-ups."""
        if (quiet := self._of_user()) is not None:
            return quiet
        uri, language_id = snapshot.uri, snapshot.language_id
        if uri in self._switched_off:
            return Quiet("document")
        rules, file = self._known(snapshot)
        if rules.settings.mode == "on_request":
            return Quiet("mode")
        if language_id in rules.languages:
            return Quiet("language", language_id)
        if file is not None:
            return file
        return Quiet("ignored") if rules.settings.ignored_files == "off" and uri in self._ignored else None

    def of_place(self, snapshot: Snapshot, cursor: CursorContext, *, deleted: bool) -> Quiet | None:
        """Return what keeps automatic suggestions out of a place, its document included.

        deleted: the last change of the document only deleted text.
        """
        if (quiet := self.of_document(snapshot)) is not None:
            return quiet
        settings = self.settings_of(snapshot)
        scope = "comment" if cursor.inside in _COMMENTS else cursor.inside
        if scope in settings.disabled_scopes:
            return Quiet("scope", scope)
        if deleted and settings.after_deletion == "off":
            return Quiet("deletion")
        return Quiet("word") if cursor.suppress == "word" else None

    def settings_of(self, snapshot: Snapshot) -> Settings:
        """Return the settings that hold in a document: those of its workspace folder, or the client's."""
        return self._known(snapshot).rules.settings

    def wants_idle_work(self, snapshot: Snapshot) -> bool:
        """Whether a document's next suggestion is worth preparing: not if none will come by itself, unless by `mode`."""
        quiet = self.of_document(snapshot)
        return quiet is None or quiet.rule == "mode"

    def _of_user(self) -> Quiet | None:
        if self._off:
            return Quiet("client")
        if (until_s := self.snoozed_until_s) is not None:
            return Quiet("snoozed", datetime.fromtimestamp(until_s).strftime("%H:%M"))
        return None

    def _known(self, snapshot: Snapshot) -> _Judged:
        if snapshot.uri not in self._judged:
            self.opened(snapshot)
        return self._judged[snapshot.uri]

    def _judge(self, snapshot: Snapshot) -> _Judged:
        """Patterns count from the innermost workspace folder around a document; in none they see the whole path."""
        path, rules = path_of(snapshot.uri), self._rules
        if path is None:  # no file: untitled, or what the command line calls it
            written = unquote(snapshot.uri.partition(":")[2] or snapshot.uri).lstrip("/")
        else:
            folder = next((folder for folder in self._folders if path.is_relative_to(folder)), None)
            written = path.relative_to(folder or path.anchor).as_posix()
            rules = self._of_folder.get(folder, rules) if folder else rules
        return _Judged(rules, rules.files.judge(written, snapshot.text))

"""The settings of one connection, by where they came from. Later layers win:

    defaults < user settings file < .completer.toml < command line < marked by our own client < sent by the editor

The last layer is hostile: editors relay settings that a repository brings along. It holds only what
`config.may_come_from_workspace` allows. So is `.completer.toml`, which counts for the documents of its folder, and may
set what `complete.project_settings` lets through. See SECURITY.md.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from completer.config import RULES, Origin, Settings, check, may_come_from_workspace
from completer.models.manifest import load_manifest
from completer.system.user_settings import read_user_settings, user_settings_path

CLIENT_KEY_VARIABLE = "COMPLETER_CLIENT_KEY"
"""Set by a client that starts the server itself; settings that come with the same key are the user's."""
MARKED, KEY = "userSettings", "clientKey"
_DEFAULTS = Settings()


class Resolved(NamedTuple):
    """The settings that hold, and one sentence about each value that does not."""

    settings: Settings
    problems: list[str]


class Layers:
    """Owned by the event loop of one connection."""

    def __init__(self, command_line: Mapping[str, Any] = MappingProxyType({}), client_key: str = "") -> None:
        """command_line: checked values of the options that were given.  client_key: "" when no client may mark settings."""
        self._command_line = command_line
        self._client_key = client_key
        self._marked: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}

    def take(self, section: Mapping[str, Any]) -> Resolved:
        """Take what a client sent and return what holds now. Mutates: the layers of the client.

        section: settings by name, null for "not set"; beside them perhaps MARKED (the same) and KEY. Names that are not in it
        stay as they were. With a wrong key, or without one, marked settings are treated like the others.
        """
        sent = {name: value for name, value in section.items() if name not in (MARKED, KEY)}
        marked = section.get(MARKED)
        problems: list[str] = []
        if isinstance(marked, Mapping):
            if self._is_our_client(section.get(KEY)):
                values, problems = check(_without_null(marked, self._marked))
                self._marked |= values
            else:
                sent = {**marked, **sent}
        problems += self._take_sent(sent)
        settings, of_file = self.resolve()
        return Resolved(settings, problems + of_file)

    def resolve(self) -> Resolved:
        """Return what holds now; the user's file is read anew."""
        from_file, problems = read_user_settings()
        return Resolved(self._over(from_file), problems)

    def of_folders(self, projects: Mapping[Path, Mapping[str, Any]]) -> dict[Path, Settings]:
        """Return the settings of workspace folders that have some of their own. projects: those, checked."""
        from_file = read_user_settings().values if projects else {}
        return {folder: self._over({**from_file, **own}) for folder, own in projects.items()}

    def _over(self, below: Mapping[str, Any]) -> Settings:
        """Return the settings that hold over those of files."""
        return replace(_DEFAULTS, **{**below, **self._command_line, **self._marked, **self._sent})

    def _take_sent(self, sent: Mapping[str, Any]) -> list[str]:
        values, problems = check(_without_null(sent, self._sent))
        current = self.resolve().settings
        model_ids = [entry.id for entry in load_manifest()]
        for name, value in values.items():
            if may_come_from_workspace(name, value, model_ids):
                self._sent[name] = value
            elif value == getattr(_DEFAULTS, name):  # a client that sends every default chooses nothing
                self._sent.pop(name, None)
            elif value != getattr(current, name):
                problems.append(_refusal(name))
        return problems

    def _is_our_client(self, key: Any) -> bool:
        """Return whether a client knows the key that was in the environment when the server was started."""
        return bool(self._client_key) and isinstance(key, str) and hmac.compare_digest(_bytes(key), _bytes(self._client_key))


MakeLayers = Callable[[], Layers]


def layers_of_process(command_line: Mapping[str, Any]) -> MakeLayers:
    """Return what makes the layers of each connection, with the key of the client that started this process.

    command_line: as for `Layers`.  Mutates: the environment, from which the key is taken: no child process may learn it.
    """
    client_key = os.environ.pop(CLIENT_KEY_VARIABLE, "")
    return lambda: Layers(command_line, client_key)


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _without_null(changes: Mapping[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return the changes that have a value. Mutates: layer, from which those with null are taken."""
    for name, value in changes.items():
        if value is None:
            layer.pop(name, None)
    return {name: value for name, value in changes.items() if value is not None or name not in RULES}


def _refusal(name: str) -> str:
    why = "an editor may relay it from a repository"
    if RULES[name].origin is Origin.MODEL:
        why += ", which may only name a model id of 'completer models list'"
    return f"the setting {name!r} was not applied: {why}; set it in {user_settings_path()} or on the command line"

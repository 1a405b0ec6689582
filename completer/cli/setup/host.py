"""Where the programs of a user keep their configuration, on each system."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from completer.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Host:
    """A system and a user. platform: as `sys.platform`. home: absolute, and so is every folder that comes back.

    A relative path in a variable is not followed: what it names depends on the working folder.
    """

    platform: str
    home: PurePath
    variables: Mapping[str, str]
    exists: Callable[[PurePath], bool]

    @property
    def xdg_config(self) -> PurePath:
        """$XDG_CONFIG_HOME or ~/.config, which some programs use on every system."""
        return self.folder("XDG_CONFIG_HOME", self.home / ".config")

    @property
    def config(self) -> PurePath:
        """Application Support on macOS, %APPDATA% on Windows, elsewhere `xdg_config`."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        return self.roaming if self.platform == "win32" else self.xdg_config

    @property
    def roaming(self) -> PurePath:
        """%APPDATA%."""
        return self.folder("APPDATA", self.home / "AppData" / "Roaming")

    @property
    def local(self) -> PurePath:
        """%LOCALAPPDATA%."""
        return self.folder("LOCALAPPDATA", self.home / "AppData" / "Local")

    def folder(self, variable: str, default: PurePath) -> PurePath:
        """Return the folder that an environment variable names; `default` if it is unset or relative."""
        folder = type(self.home)(self.variables.get(variable, ""))
        return folder if folder.is_absolute() else default


def this_host() -> Host:
    """Return this system and this user. Raises: ConfigError without a home folder."""
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(f"there is no home folder ({error}): set HOME") from error
    if not home.is_absolute():
        raise ConfigError(f"the home folder {str(home)!r} is no absolute path: set HOME")
    return Host(sys.platform, home, os.environ, lambda path: Path(path).exists())

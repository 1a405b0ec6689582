"""The user's own settings file. Like the command line, and unlike what an editor relays, it may name programs and endpoints."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from completer.config import Checked, check
from completer.errors import ConfigError

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def user_settings_path() -> Path:
    """Return where the user's settings file is or would be: `settings.toml` in the user's configuration folder."""
    return user_config_path("completer", appauthor=False) / "settings.toml"


def read_user_settings() -> Checked:
    """Return the settings of the user's file, none when there is no such file. Touches nothing but that file.

    A file that cannot be trusted, read or parsed gives one problem and no settings; a wrong setting only its own problem.
    Each problem begins with the path.
    """
    path = user_settings_path()
    try:
        values, problems = check(_read(path))
    except FileNotFoundError:
        return Checked({}, [])
    except OSError as error:
        return Checked({}, [f"{path} is ignored: it cannot be read: {error.strerror}"])
    except (ConfigError, ValueError) as error:  # tomllib's and the decoder's errors are ValueErrors
        return Checked({}, [f"{path} is ignored: {error}"])
    return Checked(values, [f"{path}: {problem}" for problem in problems])


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        if sys.platform != "win32":  # which has no owners and modes, but the access list of the profile
            _refuse_foreign(path, os.fstat(file.fileno()))  # of the open file: the path may be exchanged meanwhile
        return tomllib.load(file)


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    """Raises: ConfigError when somebody else could have written the file."""
    if sys.platform != "win32" and status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"it belongs to another user (id {status.st_uid}); write a file of your own")
    if status.st_mode & _WRITABLE_BY_OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(f"others can write to it (mode {mode:o}); run: chmod go-w {shlex.quote(str(path))}")

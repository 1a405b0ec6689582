"""Replaces files and folders, also where Windows refuses it for as long as somebody has them open or mapped."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from completer.errors import CacheError

PATIENCE_S = 2.0
"""How long to try again: virus scanners and indexers hold a new file for some tenths of a second."""
_PAUSE_S = 0.02


def replace_file(fresh: Path, target: Path, patience_s: float = PATIENCE_S) -> None:
    """Move the file `fresh` to `target`, whole or not at all. Blocks for `patience_s` at most.

    Raises: OSError; PermissionError with the reason "another program has it open" after that time on Windows.
    """
    _patiently(lambda: os.replace(fresh, target), target, patience_s)


def replace_folder(fresh: Path, target: Path) -> None:
    """Move the folder `fresh` to `target`; what was there is deleted first. Blocks for twice PATIENCE_S at most.

    Raises: CacheError when another program has a file of it open, which it then keeps; OSError.
    """
    remove_folder(target)
    try:
        _patiently(lambda: os.replace(fresh, target), target, PATIENCE_S)
    except PermissionError as error:
        raise _in_use(target, error) from error


def remove_folder(folder: Path) -> None:
    """Delete a folder, if it is there. Blocks for PATIENCE_S at most.

    Raises: CacheError when a file in it is open elsewhere (Windows), or may not be deleted; the others are gone then.
    """
    try:
        _patiently(lambda: _delete(folder), folder, PATIENCE_S)
    except PermissionError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _in_use(folder, error) from error


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        raise
    except OSError:  # nothing that time would mend: what is left, the move reports
        shutil.rmtree(folder, ignore_errors=True)


def _patiently(act: Callable[[], None], path: Path, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while True:
        try:
            return act()
        except PermissionError as error:
            if sys.platform != "win32":  # elsewhere open files do not matter: it is about rights
                raise
            if time.monotonic() > end:
                raise PermissionError(errno.EACCES, "another program has it open", str(path)) from error
        time.sleep(_PAUSE_S)


def _in_use(folder: Path, error: OSError) -> CacheError:
    return CacheError(
        f"{folder} cannot be replaced ({error.strerror or error}): close the editors whose completer has this model loaded, "
        "or mend the permissions of that folder, and try again"
    )

"""Files that only save time: whole or not there, and never the reason why something fails."""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from completer.errors import CacheError
from completer.system.replace import replace_file

logger = logging.getLogger(__name__)

_reported: set[Path] = set()
"""Folders that the log has named already: one line each is enough."""


def write_cache(file: Path, data: bytes) -> bool:
    """Write `data` to `file`, all or nothing; return whether that was possible.

    A folder that cannot be written is one warning in the log, and what was to be kept stays in memory.
    Mutates: the file; its folder is made.
    """
    fresh = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        replace_file(fresh, file)
    except OSError as error:
        with suppress(OSError):  # a read-only file system refuses this, too
            fresh.unlink(missing_ok=True)
        _report(file.parent, error)
        return False
    return True


def read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object that `file` holds; {} if it is missing, damaged, or something else."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def require_writable(folder: Path) -> None:
    """Make `folder` and check that files can be made in it. Raises: CacheError."""
    probe = folder / f".writable-{os.getpid()}-{threading.get_ident()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        detail = error.strerror or str(error)
        raise CacheError(
            f"cannot write to the cache folder {folder} ({detail}): set COMPLETER_CACHE to a folder that you may write to"
        ) from error


def _report(folder: Path, error: OSError) -> None:
    if folder not in _reported:
        _reported.add(folder)
        detail = error.strerror or str(error)
        logger.warning("%s cannot be written (%s): what is measured and prepared is not kept for the next start", folder, detail)

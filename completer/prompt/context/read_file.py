"""Reading files that somebody else put there: regular ones only, and never more than was asked for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"))


class TooLarge(Exception):
    """The file is larger than the caller takes."""


def read_regular(path: Path, max_bytes: int, *, follow: bool = False) -> bytes | None:
    """Return the content of a regular file; None where there is none, or where it can't be read.

    follow: whether `path` may be a link.  Pipes, devices and sockets are not opened: that could block, or do something.
    Raises: TooLarge, also when the file grew while it was read.
    """
    try:
        # Checked before, because opening a device can have an effect, and after, because it may have been replaced.
        if not stat.S_ISREG((os.stat if follow else os.lstat)(path).st_mode):
            return None
        with open(os.open(path, _FLAGS | (0 if follow else getattr(os, "O_NOFOLLOW", 0))), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            data = file.read(max_bytes + 1) if status.st_size <= max_bytes else None
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    if data is None or len(data) > max_bytes:
        raise TooLarge(path)
    return data

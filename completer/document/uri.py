"""Document URIs and the files that they name."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

_DRIVE = re.compile(r"/[A-Za-z]:/")


def path_of(uri: str) -> Path | None:
    """Return the absolute path that a `file:` URI names, or None for all others, also for what is no URI."""
    written = name_of_file(uri, windows=sys.platform == "win32")
    return Path(written) if written else None


def name_of_file(uri: str, *, windows: bool) -> str:
    r"""Return the path that a `file:` URI names, as that system writes it; "" for all others.

    On Windows: VS Code's `file:///c%3A/a`, others' `file:///C:/a` (`c:\a`; the drive's case stays), and
    `file://server/share/a` (`\\server\share\a`); "" without a drive or server. Elsewhere a host is left out.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    path = unquote(parts.path)
    if parts.scheme != "file" or not path or "\0" in path:
        return ""
    if not windows:
        return path
    if parts.netloc and parts.netloc.lower() != "localhost":
        path = f"//{unquote(parts.netloc)}{path}"
    elif _DRIVE.match(path):
        path = path[1:]
    return path.replace("/", "\\") if PureWindowsPath(path).is_absolute() else ""

"""Document URIs and the files that they name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def path_of(uri: str) -> Path | None:
    """Return the absolute path that a `file:` URI names, or None for all others, also for what is no URI."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = url2pathname(parts.path)
    return Path(path) if parts.scheme == "file" and path and "\0" not in path else None

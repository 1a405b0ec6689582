"""Document URIs and the files that they name."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def path_of(uri: str) -> Path | None:
    """Return the absolute path that a `file:` URI names, or None for all others."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" and parts.path else None

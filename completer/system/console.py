"""What may be printed: code in any script and file names of any bytes, on a console that knows few of them."""

from __future__ import annotations

import io
import json
import sys
from typing import Any


def escape_unprintable() -> None:
    """Let stdout and stderr write what their encoding lacks as an escape, where they would raise UnicodeEncodeError.

    On Windows what is piped or redirected is written in a code page, often cp1252.
    Mutates: sys.stdout, sys.stderr.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def json_for_console(value: Any, indent: int | None = None) -> str:
    """Return JSON for stdout: readable where that is UTF-8, else with JSON's own escapes, which any encoding can hold."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
    return json.dumps(value, ensure_ascii=not is_utf8, indent=indent)

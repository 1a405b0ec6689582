"""An opt-in log of one client's session: what was opened, typed and looked at, and when. `bench traces record` plays it back.

One JSON object per line, `{"t_ms", "method", "params"}`; the first states how positions count. Nothing is written unless the
user asks for it on the command line, and with `lengths_only` no text of a document is: every character but the line breaks
becomes `x`, once for each unit in which the client counts columns.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, TextIO

from completer.document.position import Encoding, n_units

RECORDED = ("textDocument/didOpen", "textDocument/didChange", "completer/didMoveCursor")


class Recorder:
    """Writes the log. Owned by the event loop."""

    def __init__(self, path: Path, lengths_only: bool) -> None:
        """Begin a new log at `path`, readable by its owner only. Raises: OSError."""
        self._file: TextIO = path.open("w", encoding="utf-8", errors="replace", buffering=1)  # by lines: it may end at any time
        path.chmod(0o600)
        self._lengths_only = lengths_only
        self._begun_s: float | None = None

    def take(self, message: dict[str, Any], encoding: Encoding) -> None:
        """Write a message of the client, if it is one that a trace is made of. encoding: in which its positions count."""
        if message.get("method") not in RECORDED:
            return
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
            self._write(0.0, "initialize", {"positionEncoding": encoding, "lengthsOnly": self._lengths_only})
        params = message.get("params")
        self._write(
            (now_s - self._begun_s) * 1e3, message["method"], without_text(params, encoding) if self._lengths_only else params
        )

    def close(self) -> None:
        self._file.close()

    def _write(self, t_ms: float, method: str, params: Any) -> None:
        print(json.dumps({"t_ms": round(t_ms, 1), "method": method, "params": params}, ensure_ascii=False), file=self._file)


def without_text(value: Any, encoding: Encoding) -> Any:
    """Return `value` with each `text` in it, at any depth, filled with `x` but for its line breaks."""
    if isinstance(value, list):
        return [without_text(item, encoding) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _filler(item, encoding) if key == "text" and isinstance(item, str) else without_text(item, encoding)
        for key, item in value.items()
    }


def _filler(text: str, encoding: Encoding) -> str:
    return "".join(char if char in "\r\n" else "x" * n_units(char, encoding) for char in text)

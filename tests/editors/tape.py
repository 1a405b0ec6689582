"""What client and server said to each other, as `recording_server.py` wrote it down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Said:
    """One message. sender: "client" or "server"."""

    time_ms: float
    sender: str
    message: dict[str, Any]

    @property
    def method(self) -> str:
        return str(self.message.get("method", ""))

    @property
    def params(self) -> Any:
        return self.message.get("params") or {}


@dataclass(frozen=True)
class Tape:
    """The file that the recording server writes to."""

    path: Path

    def said(self, method: str = "", sender: str = "") -> list[Said]:
        """Return the messages so far, of one method or one sender where they are named."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        all_said = [Said(line["time_ms"], line["from"], line["message"]) for line in map(json.loads, lines)]
        return [one for one in all_said if method in ("", one.method) and sender in ("", one.sender)]

    def wait_for(self, method: str, fits: Callable[[Said], bool] = lambda _: True, after: int = 0) -> Said:
        """Return the first message of a method that fits, ignoring the first `after` of that method; wait for it."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for one in self.said(method)[after:]:
                if fits(one):
                    return one
            time.sleep(0.02)
        raise AssertionError(f"no {method} that fits within {TIMEOUT_S:.0f} s; said: {[one.method for one in self.said()][-40:]}")

    def server_ms(self, name: str, line: int, character: int, shown: str) -> float | None:
        """Return the server's own time for what was shown at a place of a file: from the request to the message that
        brought it, the answer or its extension. None when no message did."""
        asked: dict[int, float] = {}
        for one in self.said():
            if one.method == "textDocument/inlineCompletion" and _is_at(one.params, name, line, character):
                asked[one.message["id"]] = one.time_ms
            elif one.sender == "server" and one.message.get("id") in asked and not one.method:
                items = (one.message.get("result") or {}).get("items", [])
                if items and _begins(items[0]["insertText"], shown):
                    return one.time_ms - asked[one.message["id"]]
            elif one.method == "completer/didExtendSuggestion" and asked and _begins(one.params["text"], shown):
                return one.time_ms - max(asked.values())
        return None


def _is_at(params: Any, name: str, line: int, character: int) -> bool:
    place = {"line": line, "character": character}
    return bool(params["textDocument"]["uri"].endswith(f"/{name}") and params["position"] == place)


def _begins(text: str, shown: str) -> bool:
    """Whether `shown` is the text or its first line: further lines are drawn by other elements of the page."""
    return text == shown or text.split("\n")[0] == shown.split("\n")[0]

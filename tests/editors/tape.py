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

    def server_ms(self) -> dict[tuple[str, int, int], float]:
        """Return, for each place of an inline completion request, the server's own time from request to answer."""
        answered = {one.message["id"]: one for one in self.said(sender="server") if "id" in one.message and not one.method}
        times: dict[tuple[str, int, int], float] = {}
        for one in self.said("textDocument/inlineCompletion"):
            answer = answered.get(one.message["id"])
            if answer is not None:
                position = one.params["position"]
                key = (one.params["textDocument"]["uri"], position["line"], position["character"])
                times[key] = answer.time_ms - one.time_ms
        return times

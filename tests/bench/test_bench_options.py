"""`--options` reach our server as the user's own settings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from time import perf_counter

from bench.editor import EDITORS, Editor

FAKE_SERVER = Path(__file__).parents[1] / "e2e" / "fake_server.py"


async def test_options_may_name_what_only_the_user_may() -> None:
    command = shlex.join([sys.executable, str(FAKE_SERVER)])
    editor = Editor(command, EDITORS["plain"], options={"engine": "remote", "threads": 3, "budget_ms": 5000}, warm_up_s=20)
    try:
        await editor.start(perf_counter())
        status = (await editor.client.call("completer/status", None)).result
    finally:
        await editor.stop()
    held = status["settings"]
    assert (held["engine"], held["threads"], held["budget_ms"]) == ("remote", 3, 5000)

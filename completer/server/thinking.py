"""Tells the user that an explicit request is being worked on, in the client's own progress display."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lsprotocol import types as lsp

from completer.server.session import CompleterServer

AFTER_S = 0.3
"""How long an explicit request may take before the user is told: a display that comes and goes at once only disturbs."""
_numbers = itertools.count(1)


@asynccontextmanager
async def thinking(ls: CompleterServer, explicit: bool) -> AsyncIterator[None]:
    """Show a progress display while the body of an explicit request takes longer than AFTER_S.

    Nothing is shown for automatic requests, nor in clients without `window.workDoneProgress`.
    """
    window = ls.client_capabilities.window
    if not (explicit and window and window.work_done_progress):
        yield
        return
    token = f"completer-thinking-{next(_numbers)}"
    shown = False

    def notify(value: object) -> None:
        ls.protocol.notify(lsp.PROGRESS, lsp.ProgressParams(token, value))

    def begin() -> None:
        nonlocal shown
        shown = True
        ls.protocol.send_request(lsp.WINDOW_WORK_DONE_PROGRESS_CREATE, lsp.WorkDoneProgressCreateParams(token))
        notify(lsp.WorkDoneProgressBegin(title="completer", message="thinking"))

    timer = asyncio.get_running_loop().call_later(AFTER_S, begin)
    try:
        yield
    finally:
        timer.cancel()
        if shown:
            notify(lsp.WorkDoneProgressEnd())

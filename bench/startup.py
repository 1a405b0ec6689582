"""From the start of the process to a server that answers, a model that is ready, and the first suggestion."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench.client import LspClient, user_settings

URI = "file:///project/first.py"
TEXT = """import os


def file_sizes(folder: str) -> dict[str, int]:
    sizes = {}
    for entry in os.scandir(folder):
        if entry."""
POLL_S = 0.01
DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True)
class Startup:
    """Milliseconds since the process was started. ready_ms, first_ms: None where no model could be loaded."""

    initialized_ms: float
    ready_ms: float | None
    first_ms: float | None
    state: str
    message: str


async def start_once(command: str, settings: dict[str, Any]) -> Startup:
    """Start the server, wait until its model is ready, ask for one suggestion at once, and end it. Raises: ServerDied."""
    begun = perf_counter()

    def since_ms() -> float:
        return round((perf_counter() - begun) * 1e3)

    client = await LspClient.spawn(command)
    try:
        capabilities = {"textDocument": {"inlineCompletion": {}}}
        hello = {"processId": None, "rootUri": None, "capabilities": capabilities}
        hello["initializationOptions"] = user_settings(settings)
        await client.call("initialize", hello)
        initialized_ms = since_ms()
        client.notify("initialized", {})
        item = {"uri": URI, "languageId": "python", "version": 1, "text": TEXT}
        client.notify("textDocument/didOpen", {"textDocument": item})
        status = await _settled(client, begun)
        if status["state"] != "ready":
            return Startup(initialized_ms, None, None, status["state"], status["message"])
        ready_ms = since_ms()
        position = {"line": TEXT.count("\n"), "character": len(TEXT.rsplit("\n", 1)[1])}
        asked = {"textDocument": {"uri": URI}, "position": position, "context": {"triggerKind": 2}}
        found = await client.call("textDocument/inlineCompletion", asked)
        first_ms = since_ms() if found.result and found.result["items"] else None
        return Startup(initialized_ms, ready_ms, first_ms, "ready", "")
    finally:
        await client.close()


async def _settled(client: LspClient, begun: float) -> dict[str, Any]:
    while True:
        status: dict[str, Any] = (await client.call("completer/status", None)).result
        if status["state"] not in ("loading", "downloading"):
            return status
        if perf_counter() - begun > DEADLINE_S:
            raise TimeoutError(f"no model after {DEADLINE_S:.0f} s: {status['message']}")
        await asyncio.sleep(POLL_S)


def summary(runs: list[Startup]) -> dict[str, Any]:
    """Return all runs and the medians of their times."""
    medians: dict[str, Any] = {}
    for name in ("initialized_ms", "ready_ms", "first_ms"):
        times = [time for run in runs if (time := getattr(run, name)) is not None]
        medians[name] = median(times) if times else None
    return {**medians, "runs": [asdict(run) for run in runs]}


def folder_mb(folder: Path) -> float:
    """Return the size of all files below `folder`, in millions of bytes."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)

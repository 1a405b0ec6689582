"""What is asked in the quality bench, one case at a time: our pipeline over a loaded model, or llama.cpp as llama.vim asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from bench.peers.http import LlamaServer
from bench.peers.llama_vim import AHEAD_PREDICT_MS, REQUEST
from bench.peers.llama_vim_rules import MAX_LINE_SUFFIX, local_context, render
from bench.tasks import Task
from completer.config import Settings
from completer.types import Snapshot

SETTLE_S = 60.0
NO_HURRY_MS = 60_000


class Tool(Protocol):
    """Answers a task in each of its ways: {name of the way: the document's text afterwards, None where nothing is suggested}."""

    async def answer(self, task: Task) -> dict[str, str | None]:
        """Ask once for each way."""
        ...


class Ours:
    """The pipeline, once the place is prefilled as it is in an editor whose cursor has rested.

    typing     as while typing: only what is sure enough, where a suggestion helps
    asked      explicitly asked for: all that the model says
    budget     as while typing, within `budget_ms`
    """

    def __init__(self, make: Callable[[Settings], Any], settings: Settings, budget_ms: int) -> None:
        self._make, self._settings, self._budget_ms = make, settings, budget_ms

    async def answer(self, task: Task) -> dict[str, str | None]:
        """Ask in the three ways, each time through a new pipeline: nothing is reused but the KV slots."""
        # The hurried way comes first: later ones find logits that are known already.
        hurried = {"budget": (self._budget_ms, False)} if self._budget_ms else {}
        ways = {**hurried, "typing": (NO_HURRY_MS, False), "asked": (NO_HURRY_MS, True)}
        return {way: await self._ask(task, budget_ms, explicit) for way, (budget_ms, explicit) in ways.items()}

    async def _ask(self, task: Task, budget_ms: int, explicit: bool) -> str | None:
        pipeline = self._make(replace(self._settings, budget_ms=NO_HURRY_MS))
        uri = f"file:///bench/{task.group}/{task.path}"
        snapshot = Snapshot(uri, 1, task.language_id, task.prefix + task.suffix, len(task.prefix))
        pipeline.did_open(snapshot)
        if not await pipeline.settled(SETTLE_S):
            raise RuntimeError(f"{task.name}: idle work did not end")
        pipeline.set_settings(replace(self._settings, budget_ms=budget_ms))
        shown = await pipeline.complete(snapshot, explicit=explicit)
        await pipeline.close()
        return None if shown is None else snapshot.text[: shown.start_cp] + shown.text + snapshot.text[shown.end_cp :]


class LlamaVim:
    """`/infill` with llama.vim's window, samplers and limits, without its ring (no other file was open), and what it then draws.

    typing     as the plugin asks by itself: not in front of more than MAX_LINE_SUFFIX characters
    asked      as it does when told to
    """

    def __init__(self, server: LlamaServer) -> None:
        self._server = server

    async def answer(self, task: Task) -> dict[str, str | None]:
        """Ask once: both ways send the same request."""
        lines = (task.prefix + task.suffix).split("\n")
        row, column = task.prefix.count("\n"), len(task.prefix) - task.prefix.rfind("\n") - 1
        context = local_context(lines, row, column)
        body = {
            **REQUEST,
            "input_prefix": context.prefix,
            "input_suffix": context.suffix,
            "input_extra": [],
            "prompt": context.middle,
            "n_indent": context.indent,
            "t_max_predict_ms": AHEAD_PREDICT_MS,
            "seed": 1,
        }
        content = str((await self._server.post("/infill", body)).get("content", ""))
        ghost = render(content, lines, row, column).ghost if content else ""
        whole = task.prefix + ghost + task.suffix if ghost.strip() else None
        return {"typing": None if len(context.line_suffix) > MAX_LINE_SUFFIX else whole, "asked": whole}


@asynccontextmanager
async def open_ours(model: str, settings: Settings, budget_ms: int) -> AsyncIterator[Ours]:
    """Load the model and yield the tool over it."""
    from bench import inside
    from completer.engines.factory import load
    from completer.generator import LocalGenerator
    from completer.loader import make_pipeline

    loaded = await asyncio.to_thread(load, inside.open_model(model), settings, lambda *_: None)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)
    try:
        yield Ours(lambda s: make_pipeline(loaded, generator, s), settings, budget_ms)
    finally:
        generator.close()


@asynccontextmanager
async def open_llama_vim(file: Path, threads: int) -> AsyncIterator[LlamaVim]:
    """Start llama.cpp's server with the model file and yield the tool over it."""
    server = LlamaServer(model=file, threads=threads)
    await server.start()
    try:
        yield LlamaVim(server)
    finally:
        await server.stop()

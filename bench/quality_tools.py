"""What is asked in the quality bench, one case at a time: our pipeline over a loaded model, or llama.cpp as llama.vim asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bench.ablations import without
from bench.peers.http import LlamaServer
from bench.peers.llama_vim import AHEAD_PREDICT_MS, REQUEST
from bench.peers.llama_vim_rules import MAX_LINE_SUFFIX, local_context, render
from bench.tasks import Task
from completer.config import Settings
from completer.types import Snapshot

SETTLE_S = 60.0
NO_HURRY_MS = 60_000


class Answer(NamedTuple):
    """document: its text with the answer in it, None where nothing is suggested.  n_tokens: decoded for it, None: not known."""

    document: str | None
    n_tokens: int | None = None


class Tool(Protocol):
    """Answers a task in each of its ways: {name of the way: answer}."""

    async def answer(self, task: Task) -> dict[str, Answer]:
        """Ask once for each way."""
        ...


class Ours:
    """The pipeline, once the place is prefilled as it is in an editor whose cursor has rested.

    typing     as while typing: only what is sure enough, where a suggestion helps
    asked      explicitly asked for: all that the model says
    budget     as while typing, within `budget_ms`

    rules: each is switched off in turn, and the same place asked again (`typing, no block`): what differs is the rule's doing.
    """

    def __init__(self, make: Callable[[Settings], Any], settings: Settings, budget_ms: int, rules: Sequence[str] = ()) -> None:
        self._make, self._settings, self._budget_ms, self._rules = make, settings, budget_ms, rules

    async def answer(self, task: Task) -> dict[str, Answer]:
        """Ask in each way, each time through a new pipeline: nothing is reused but the KV slots."""
        # The hurried way comes first: later ones find logits that are known already.
        answers = {"budget": await self._ask(task, self._budget_ms, explicit=False)} if self._budget_ms else {}
        for rule in (None, *self._rules):
            with without([rule] if rule else []):
                for way in ("typing", "asked"):
                    name = f"{way}, no {rule}" if rule else way
                    answers[name] = await self._ask(task, NO_HURRY_MS, explicit=way == "asked")
        return answers

    async def _ask(self, task: Task, budget_ms: int, explicit: bool) -> Answer:
        pipeline = self._make(replace(self._settings, budget_ms=NO_HURRY_MS))
        uri = f"file:///bench/{task.group}/{task.path}"
        snapshot = Snapshot(uri, 1, task.language_id, task.prefix + task.suffix, len(task.prefix))
        pipeline.did_open(snapshot)
        if not await pipeline.settled(SETTLE_S):
            raise RuntimeError(f"{task.name}: idle work did not end")
        pipeline.set_settings(replace(self._settings, budget_ms=budget_ms))
        shown = await pipeline.complete(snapshot, explicit=explicit)
        n_tokens = pipeline.metrics()[-1]["n_generated"]
        await pipeline.close()
        text = None if shown is None else snapshot.text[: shown.start_cp] + shown.text + snapshot.text[shown.end_cp :]
        return Answer(text, n_tokens)


class LlamaVim:
    """`/infill` with llama.vim's window, samplers and limits, without its ring (no other file was open), and what it then draws.

    typing     as the plugin asks by itself: not in front of more than MAX_LINE_SUFFIX characters
    asked      as it does when told to
    """

    def __init__(self, server: LlamaServer) -> None:
        self._server = server

    async def answer(self, task: Task) -> dict[str, Answer]:
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
        return {"typing": Answer(None if len(context.line_suffix) > MAX_LINE_SUFFIX else whole), "asked": Answer(whole)}


@asynccontextmanager
async def open_ours(
    model: str, settings: Settings, budget_ms: int, rules: Sequence[str] = (), prefill_ms: float = 0.0
) -> AsyncIterator[Ours]:
    """Load the model and yield the tool over it.

    prefill_ms: the price of a prompt token that windows are sized by, so that they are the same in every run; 0: as measured.
    """
    from bench import inside
    from completer.assemble import load_engine, make_generator, make_pipeline

    inside.locate_model(model)
    settings = replace(settings, model=model)
    loaded = await asyncio.to_thread(load_engine, settings, lambda *_: None, False)
    generator = make_generator(loaded, settings, lambda *_: None)

    def make(asked: Settings) -> Any:
        if prefill_ms:
            loaded.engine.costs = replace(loaded.engine.costs, prefill_ms_per_token=prefill_ms)
        return make_pipeline(loaded, generator, asked)

    try:
        yield Ours(make, settings, budget_ms, rules)
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

"""`completer complete` and `completer demo`: one completion, its surroundings, and where the time went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from rich.console import Console
from rich.text import Text

from completer.assemble import Engines
from completer.cli.progress import progress_bar
from completer.complete.explanation import Explanation
from completer.complete.pipeline import Pipeline
from completer.config import Settings
from completer.errors import BadPosition, EngineError
from completer.models.calibration import CURSOR
from completer.syntax.endings import language_of_file
from completer.system.console import json_for_console
from completer.types import Snapshot, Suggestion

T = TypeVar("T")
Trigger = Literal["typing", "explicit"]
"""What makes an editor ask."""

CONTEXT_LINES = 4
NO_HURRY_MS = 30_000
STAGES = ("tokenise_ms", "queue_ms", "prefill_ms", "ttft_ms", "decode_ms", "trim_ms", "total_ms")


def run(file: Path, line: int, column: int, settings: Settings, as_json: bool) -> None:
    """Complete at a place of a file and print it. Raises: BadPosition; CompleterError, also if the engine failed."""
    snapshot = read_snapshot(file, line, column)
    for suggestion, trace in _completed([snapshot], settings):
        if as_json:
            print(json_for_console(_as_json(suggestion, trace)))
        else:
            _show(Console(), snapshot, suggestion, trace)


def run_demo(settings: Settings) -> None:
    """Complete the demo snippets and print them."""
    files = [f for f in resources.files("completer.models.samples").iterdir() if not f.name.startswith("__")]
    snapshots = []
    for file in sorted(files, key=lambda f: f.name):
        name, text = file.name.removesuffix(".txt"), file.read_text(encoding="utf-8")
        snapshots.append(Snapshot(name, 1, language_of_file(name), text.replace(CURSOR, ""), text.index(CURSOR)))
    console = Console()
    started = time.perf_counter()
    for snapshot, (suggestion, trace) in zip(snapshots, _completed(snapshots, settings), strict=True):
        console.rule(f"[bold]{snapshot.uri}[/bold]", align="left")
        _show(console, snapshot, suggestion, trace)
    console.print(f"\n{len(snapshots)} completions in {time.perf_counter() - started:.1f} s, the loading of the model included.")


def read_snapshot(file: Path, line: int, column: int) -> Snapshot:
    """Return a file with the cursor at a line and column, both from 1. Raises: BadPosition."""
    if not file.is_file():
        raise BadPosition(f"there is no file {file}: name an existing one as FILE:LINE:COL")
    return snapshot_at(file.name, file.read_bytes().decode("utf-8", errors="replace"), line, column)


def snapshot_at(name: str, text: str, line: int, column: int) -> Snapshot:
    """Return a snapshot with the cursor at a line and column, both from 1. Raises: BadPosition."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        raise BadPosition(f"{name} has {len(lines)} lines: line {line} is not one of them")
    width = len(lines[line - 1].rstrip("\r"))
    if not 1 <= column <= width + 1:
        raise BadPosition(f"line {line} of {name} has {width} characters: columns go from 1 to {width + 1}")
    cursor = sum(len(other) + 1 for other in lines[: line - 1]) + column - 1
    return Snapshot(name, 1, language_of_file(name), text, cursor)


def with_completer(settings: Settings, ask: Callable[[Pipeline], Awaitable[T]]) -> T:
    """Load the model, let `ask` use a completer that is in no hurry, and free everything. Raises: CompleterError."""
    engines = Engines()

    async def asked() -> T:
        with progress_bar() as report:
            completer = await asyncio.to_thread(engines.make_completer, settings, report)
        completer.set_settings(replace(settings, budget_ms=NO_HURRY_MS))
        try:
            return await ask(completer)
        finally:
            await completer.close()

    try:
        return asyncio.run(asked())
    finally:
        engines.close()


def _completed(snapshots: list[Snapshot], settings: Settings) -> list[tuple[Suggestion | None, dict[str, Any]]]:
    async def all_of(completer: Pipeline) -> list[tuple[Suggestion | None, dict[str, Any]]]:
        return [await _complete(completer, snapshot) for snapshot in snapshots]

    return with_completer(settings, all_of)


async def _complete(completer: Pipeline, snapshot: Snapshot) -> tuple[Suggestion | None, dict[str, Any]]:
    """Raises: EngineError if the engine failed, or wrote nothing in time: that is not the same as nothing to suggest."""
    suggestion = await completer.complete(snapshot, explicit=True)
    found = completer.explain(snapshot.uri)
    if isinstance(found, Explanation) and found.failed:
        raise EngineError(f"the engine failed: {completer.status()['message'] or 'see the log above'}")
    completer.did_close(snapshot.uri)
    trace = completer.metrics()[-1]
    too_late = trace["total_ms"] >= completer.settings.budget_ms
    if suggestion is None and too_late and trace["n_feed"] and not trace["n_generated"]:
        raise EngineError(f"the model wrote nothing within {trace['total_ms'] / 1e3:.0f} s: is the machine busy?")
    return suggestion, {**trace, **completer.status()}


def _as_json(suggestion: Suggestion | None, trace: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": suggestion.text if suggestion else "",
        "model": trace["model"],
        "engine": trace["engine"],
        "timings_ms": {stage.removesuffix("_ms"): round(trace[stage], 2) for stage in STAGES},
        "tokens": {"keep": trace["n_keep"], "feed": trace["n_feed"], "generated": trace["n_generated"]},
    }


def _show(console: Console, snapshot: Snapshot, suggestion: Suggestion | None, trace: dict[str, Any]) -> None:
    """Print the lines around the cursor with the completion set off, and the stage timings."""
    before = "\n".join(snapshot.prefix.split("\n")[-CONTEXT_LINES - 1 :])
    end_cp = suggestion.end_cp if suggestion else snapshot.cursor_cp
    after = "\n".join(snapshot.text[end_cp:].split("\n")[: CONTEXT_LINES + 1])
    added = Text(suggestion.text if suggestion else "⟨nothing⟩", style="bold black on green")
    console.print(Text(before) + added + Text(after))
    timings = "  ".join(f"{stage.removesuffix('_ms')} {trace[stage]:.1f}" for stage in STAGES)
    console.print(Text(f"ms: {timings}", style="dim"))
    console.print(
        Text(
            f"tokens: keep {trace['n_keep']}  feed {trace['n_feed']}  generated {trace['n_generated']}  "
            f"forwards {trace['n_forwards']}   {trace['model']} on {trace['engine']}",
            style="dim",
        )
    )

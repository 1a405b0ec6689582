"""`completer complete` and `completer demo`: one completion, its surroundings, and where the time went."""

from __future__ import annotations

import asyncio
import json as json_
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from completer.assemble import Engines
from completer.cli.progress import progress_bar
from completer.complete.pipeline import Pipeline
from completer.config import Settings
from completer.errors import BadPosition
from completer.models.calibration import CURSOR
from completer.syntax.languages import language_of_file
from completer.types import Snapshot, Suggestion

CONTEXT_LINES = 4
NO_HURRY_MS = 30_000
STAGES = ("tokenise_ms", "queue_ms", "prefill_ms", "ttft_ms", "decode_ms", "trim_ms", "total_ms")


def run(file: Path, line: int, column: int, settings: Settings, as_json: bool) -> None:
    """Complete at a place of a file and print it. Raises: BadPosition; CompleterError."""
    if not file.is_file():
        raise BadPosition(f"there is no file {file}: name an existing one as FILE:LINE:COL")
    text = file.read_bytes().decode("utf-8", errors="replace")
    snapshot = snapshot_at(file.name, text, line, column)
    for suggestion, trace in _completed([snapshot], settings):
        if as_json:
            print(json_.dumps(_as_json(suggestion, trace), ensure_ascii=False))
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


def _completed(snapshots: list[Snapshot], settings: Settings) -> list[tuple[Suggestion | None, dict[str, Any]]]:
    engines = Engines()

    async def all_of() -> list[tuple[Suggestion | None, dict[str, Any]]]:
        with progress_bar() as report:
            completer = await asyncio.to_thread(engines.make_completer, settings, report)
        completer.set_settings(replace(settings, budget_ms=NO_HURRY_MS))
        try:
            return [await _complete(completer, snapshot) for snapshot in snapshots]
        finally:
            await completer.close()

    try:
        return asyncio.run(all_of())
    finally:
        engines.close()


async def _complete(completer: Pipeline, snapshot: Snapshot) -> tuple[Suggestion | None, dict[str, Any]]:
    suggestion = await completer.complete(snapshot, explicit=True)
    completer.did_close(snapshot.uri)
    return suggestion, {**completer.metrics()[-1], **completer.status()}


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

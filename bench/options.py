"""Command line options that several commands share, and the progress bar."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.replay import Progress as Report
from bench.trace import Trace, TraceError, load

FIXED = Path(__file__).parent / "traces"
DEFAULT_SERVER = "completer lsp"
console = Console(stderr=True)

Server = Annotated[str, typer.Option(help="Command that starts a language server on stdio.")]
Traces = Annotated[list[Path] | None, typer.Option("--trace", help="Trace file; again for more. Default: fixed set.")]
EditorName = Annotated[str, typer.Option("--editor", help="plain, vscode, vscode-plugin, neovim, neovim-plugin.")]
Closed = Annotated[bool, typer.Option("--closed/--open", help="Each key waits for its answer; default: the clock.")]
Out = Annotated[Path, typer.Option(help="Folder for result.json, records.jsonl, report.html and the PNG.")]
Limit = Annotated[int, typer.Option("--lines", help="Play only so many lines of each trace; 0: all.")]
Settings = Annotated[str, typer.Option("--options", help="initializationOptions of our server, as JSON.")]
Model = Annotated[Path | None, typer.Option(help="The GGUF file that peers load; its hash goes into the result.")]


def read_traces(paths: Sequence[Path] | None, lines: int = 0) -> list[Trace]:
    """Return the traces at `paths` (the fixed set of typed lines without any), each cut to `lines` places of work.

    Ends the program with one line when a file cannot be read.
    """
    chosen = list(paths) if paths else sorted(FIXED.glob("typed-*.jsonl"))
    try:
        traces = [load(path) for path in chosen]
    except (OSError, TraceError) as error:
        raise typer.BadParameter(str(error)) from None
    return [shortened(trace, lines) for trace in traces] if lines else traces


def shortened(trace: Trace, lines: int) -> Trace:
    """Return `trace` with its first `lines` segments; the document stays as the typing leaves it."""
    kept = trace.segments()[:lines]
    end = kept[-1].first + len(kept[-1].events) if kept else 0
    return Trace(trace.name, trace.events[:end], trace.origin, trace.licence, trace.note, trace.redacted)


def read_settings(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`; ends the program with one line when it is none."""
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise typer.BadParameter(f"--options is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise typer.BadParameter("--options must be a JSON object")
    return settings


@contextmanager
def progress_bar(traces: Sequence[Trace], tools: Sequence[str]) -> Iterator[Report]:
    """Show one bar per tool on stderr; yields the function that moves them."""
    total = sum(len(trace.events) for trace in traces)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
        tasks = {name: bars.add_task(name, total=total) for name in tools}
        yield lambda name, n: bars.advance(tasks[name], n)


def finish(result: dict[str, Any]) -> None:
    """Print `result` as the last line of standard output."""
    typer.echo(json.dumps(result, ensure_ascii=False, separators=(",", ":")))

"""Command line options that several commands share, and the progress bar."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.editor import EDITORS, Editor
from bench.peers.http import PeerError
from bench.replay import Progress as Report
from bench.replay import Run
from bench.report import write_report
from bench.results import Result, read_records, write
from bench.trace import Trace, TraceError, load

T = TypeVar("T")
FIXED = Path(__file__).parent / "traces"
DEFAULT_SERVER = "completer lsp --in-process"
"""One process, which can be stopped as a whole while another is measured."""
WARM_UP_S = 300.0
console = Console(stderr=True)

Server = Annotated[str, typer.Option(help="Command that starts a language server on stdio.")]
Traces = Annotated[list[Path] | None, typer.Option("--trace", help="Trace file; again for more. Default: fixed set.")]
EditorName = Annotated[str, typer.Option("--editor", help="plain, vscode, vscode-plugin, neovim, neovim-plugin.")]
Closed = Annotated[bool, typer.Option("--closed/--open", help="Each key waits for its answer; default: the clock.")]
Out = Annotated[Path, typer.Option(help="Folder for result.json, records.jsonl, report.html and the PNG.")]
Limit = Annotated[int, typer.Option("--lines", help="Play only so many lines of each trace; 0: all.")]
Settings = Annotated[
    str, typer.Option("--options", help="Settings of our server, as JSON; with --tcp only those that a workspace may set.")
]
TokenFile = Annotated[Path | None, typer.Option(help="The token file of the server of --tcp.", exists=True)]
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


def read_variant(text: str) -> tuple[str, str]:
    """Return the name and the settings (JSON) in NAME=JSON; ends the program with one line when there is no name."""
    name, is_there, settings = text.partition("=")
    if not (name and is_there):
        raise typer.BadParameter(f"a variant is NAME=JSON, not {text!r}")
    return name, settings


@contextmanager
def progress_bar(traces: Sequence[Trace], tools: Sequence[str]) -> Iterator[Report]:
    """Show one bar per tool on stderr; yields the function that moves them."""
    total = sum(len(trace.events) for trace in traces)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
        tasks = {name: bars.add_task(name, total=total) for name in tools}
        yield lambda name, n: bars.advance(tasks[name], n)


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show one bar on stderr; yields the function that moves it."""
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console) as bars:
        task = bars.add_task(label, total=total)
        yield lambda n: bars.advance(task, n)


def finish(result: dict[str, Any]) -> None:
    """Print `result` as the last line of standard output."""
    typer.echo(json.dumps(result, ensure_ascii=False, separators=(",", ":")))


def make_editor(server: str, editor: str, options: str, *, name: str, tcp: str = "", token: str = "") -> Editor:
    """Return the editor model `editor` in front of `server`; ends the program with one line for an unknown one."""
    if editor not in EDITORS:
        raise typer.BadParameter(f"no editor {editor!r}: one of {', '.join(EDITORS)}")
    settings = read_settings(options) | ({"token": token} if token else {})
    return Editor(server, EDITORS[editor], name=name, options=settings, tcp=tcp, warm_up_s=WARM_UP_S)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; a server that cannot be started or dies ends the program with one line."""
    try:
        return asyncio.run(work)
    except (OSError, PeerError, TimeoutError) as error:
        console.print(f"[red]error:[/red] {type(error).__name__}: {error}", highlight=False)
        raise typer.Exit(1) from None


def leave(result: Result, runs: Sequence[Run], out: Path) -> None:
    """Write everything a run leaves into `out`, then print the result as the last line of standard output."""
    write(result, runs, out)
    page = write_report(result, read_records(out / "records.jsonl"), out)
    console.print(f"report: {page}", highlight=False)
    finish(result)


def read_result(folder: Path) -> Result:
    """Return the result of an earlier run; ends the program with one line when there is none."""
    try:
        result: Result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"no result in {folder}: {error}") from None
    return result

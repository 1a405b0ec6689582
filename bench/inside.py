"""What the commands that measure the engine side from inside share: options, the model, tables, the last line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from completer.models.store import ModelFiles

console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)

Model = Annotated[str, typer.Option(help="Manifest id, or path of a GGUF file.")]
Threads = Annotated[int, typer.Option(help="Threads of each engine; 0: one for each core that we may run on.")]
Folders = Annotated[list[Path] | None, typer.Option("--folder", help="More code to choose from; again for more.")]
DEFAULT_MODEL = "qwen2.5-coder-0.5b"


def open_model(name: str) -> ModelFiles:
    """Return the files of a model, converted (that is done here, once); ends the program with one line when it cannot be had."""
    from completer.engines.weights.convert import convert
    from completer.engines.weights.converted import is_converted
    from completer.errors import CompleterError
    from completer.models.store import locate

    try:
        files = locate(name)
        if not is_converted(files.converted):
            with console.status("converting the model, once") as status:
                convert(files.path, files.converted, lambda what, done, n: status.update(f"{what} {done}/{n}"))
    except CompleterError as error:
        fail(str(error))
    return files


def locate_model(name: str) -> ModelFiles:
    """Return the files of a model as they were pulled; ends the program with one line when it cannot be had."""
    from completer.errors import CompleterError
    from completer.models.store import locate

    try:
        return locate(name)
    except CompleterError as error:
        fail(str(error))
        raise AssertionError from error


def n_threads(wanted: int) -> int:
    """Return `wanted`, or what the CPU engines take by themselves."""
    from completer.system.cores import performance_cores

    return wanted or performance_cores()


def fail(message: str) -> typer.Exit:
    """Print one line and end the program with status 1. Never returns."""
    console.print(f"[red]error:[/red] {message}", highlight=False)
    raise typer.Exit(1)


def bars() -> Progress:
    """Return a progress display on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first column is text and whose others are figures."""
    out = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        out.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        out.add_row(*row)
    return out


def figure(value: float | None, form: Callable[[float], str]) -> str:
    """Return `value` in `form`, or a dash where it was not measured."""
    return "–" if value is None else form(value)

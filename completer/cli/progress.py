"""A progress bar on standard error for the slow parts of getting a model ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float | None], None]]:
    """Yield a function (label, fraction or None) that moves the bar; the bar goes away at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(label: str, fraction: float | None) -> None:
            bar.update(task, description=label, completed=fraction or 0.0)

        yield report

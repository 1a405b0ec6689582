"""The figures as one HTML file that needs nothing else: no script, no font and no picture from anywhere.

Bars are told apart by their pattern and their label, not by colour alone; each plot has its numbers beside it as a table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from completer import __version__
from completer.cli.stats.figures import Figures
from completer.cli.stats.plots import BAR_STYLE, PATTERNS, Bar, bar_chart, column_chart
from completer.cli.stats.table import percent
from completer.history.summary import ALL, Acceptance, Summary

_STYLE = """
:root { color-scheme: light dark; --line: #888; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; }
"""


def page(figures: Figures) -> str:
    """Return the whole file."""
    summary = figures.summary
    when = time.strftime("%Y-%m-%d %H:%M")
    parts = [
        f"<h1>completer, the last {summary.n_days} days</h1>",
        f"<p>Version {__version__}, {when}. {summary.n_answers} answers with a suggestion.</p>",
        f"<p><strong>Left this machine:</strong> {escape(figures.left_machine)}.</p>",
        *_latency(summary),
        *_acceptance(summary),
        *_days(summary),
        *_processes(figures),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>completer: {summary.n_days} days</title><style>{_STYLE}{BAR_STYLE}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{PATTERNS}\n' + "\n".join(parts) + "\n</body></html>\n"


def _latency(summary: Summary) -> Iterable[str]:
    yield "<h2>Latency</h2><p>From request to answer, by how the answer came about.</p>"
    groups = [
        (name, [Bar("p50", one.p50_ms, "solid"), Bar("p95", one.p95_ms, "lines"), Bar("p99", one.p99_ms, "dots")])
        for name, one in summary.latency.items()
    ]
    if groups:
        yield bar_chart("Latency in milliseconds", groups, "ms")
    rows = [(name, one.n, one.p50_ms, one.p95_ms, one.p99_ms) for name, one in summary.latency.items()]
    yield _table(("answered by", "answers", "p50 ms", "p95 ms", "p99 ms"), rows)


def _acceptance(summary: Summary) -> Iterable[str]:
    yield "<h2>Acceptance</h2><p>A suggestion counts once, however often it was answered while you typed it along.</p>"
    groups = [
        (name, [Bar("whole", one.whole, "solid"), Bar("line", one.line, "lines"), Bar("word", one.word, "dots")])
        for name, one in summary.languages.items()
    ]
    if groups:
        yield bar_chart("Accepted suggestions", groups, "")
    head = ("language", "suggestions", "accepted", "rate", "whole", "line", "word", "characters shown", "characters accepted")
    yield _table(head, [_row(name, one) for name, one in (*summary.languages.items(), (ALL, summary.total))])


def _row(name: str, one: Acceptance) -> tuple[object, ...]:
    counts = (one.shown, one.accepted, percent(one), one.whole, one.line, one.word)
    return (name, *counts, one.shown_chars, one.accepted_chars)


def _days(summary: Summary) -> Iterable[str]:
    yield "<h2>Days</h2>"
    columns = [
        (day.day.strftime("%m-%d"), [Bar("shown", day.shown, "lines"), Bar("accepted", day.accepted, "solid")])
        for day in summary.by_day
    ]
    yield column_chart("Suggestions shown and accepted, by day", columns)
    yield "<details><summary>as a table</summary>"
    yield _table(("day", "suggestions", "accepted"), [(day.day.isoformat(), day.shown, day.accepted) for day in summary.by_day])
    yield "</details>"


def _processes(figures: Figures) -> Iterable[str]:
    yield "<h2>Running when this page was made</h2>"
    rows: list[tuple[object, ...]] = [(f"language server {one.pid}", f"{one.memory_mb:.0f}", "", "") for one in figures.servers]
    if (worker := figures.worker) is not None:
        rows.append((f"worker {worker.pid}", f"{worker.memory_mb:.0f}", worker.n_fronts, ""))
        for model in worker.models:
            slots = f"{model.n_slots} with {model.n_held} tokens"
            rows.append((f"{model.name} on {model.engine}", "", model.n_fronts, slots))
    yield _table(("process", "MB", "clients", "KV slots"), rows) if rows else "<p>Nothing.</p>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows]
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    return f"<table><tr>{titles}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

"""The pictures of a report, drawn with matplotlib; each function returns a finished figure."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.diagnose import stage_means
from bench.figures import STAGES, relevance_curve
from bench.typing_model import TypingModel

COLOURS = ("#2563eb", "#ea580c", "#7c3aed", "#0d9488", "#be185d")
GREY = "#94a3b8"
Rows = Sequence[dict[str, Any]]
"""Lines of records.jsonl."""

mpl.use("agg")
mpl.rcParams.update(
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "svg.fonttype": "none",
    }
)


def latency(rows: Rows, tools: Sequence[str], typing: TypingModel) -> Figure:
    """Share of asked keys answered within a time, per tool, against the share of answers still relevant by then."""
    figure, axes = _canvas(8.4, 4.4)
    times, relevant = zip(*((max(t, 1.0), share) for t, share in relevance_curve(typing, 10_000)), strict=True)
    axes.fill_between(times, relevant, color=GREY, alpha=0.18, linewidth=0)
    axes.plot(times, relevant, color=GREY, linestyle="--", label="answer still relevant (next key not yet typed)")
    for colour, tool in zip(COLOURS, tools, strict=False):
        asked = [r for r in rows if r["tool"] == tool and r["kind"] == "key" and r["status"] != "not-asked"]
        answered = sorted(max(r["latency_ms"], 1.0) for r in asked if r["latency_ms"] is not None)
        if not answered:
            continue
        shares = [(i + 1) / len(asked) for i in range(len(answered))]
        axes.step([1.0, *answered, 10_000.0], [0.0, *shares, shares[-1]], where="post", color=colour, label=tool)
    axes.axvline(100, color="#16a34a", linewidth=1, alpha=0.6)
    axes.set(xscale="log", xlim=(1, 10_000), ylim=(0, 1.02))
    axes.set(xlabel="milliseconds after the keystroke", ylabel="share of keys")
    axes.set_title("Answers against the time they are good for", loc="left", fontweight="bold")
    axes.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    return figure


def waterfall(result: dict[str, Any]) -> Figure:
    """Mean time of each stage over the keys that need the model, one bar per tool."""
    tools = [name for name, tool in result["tools"].items() if stage_means(tool)]
    figure, axes = _canvas(8.4, 1.2 + 0.6 * max(1, len(tools)))
    for row, name in enumerate(tools):
        left, means = 0.0, stage_means(result["tools"][name])
        for colour, stage in zip([*COLOURS, GREY], STAGES, strict=False):
            axes.barh(row, means.get(stage, 0.0), left=left, color=colour, label=stage if row == 0 else None)
            left += means.get(stage, 0.0)
        axes.text(left, row, f"  {left:.0f} ms", va="center")
    axes.set(yticks=range(len(tools)), yticklabels=tools, xlabel="milliseconds (mean, keys that need the model)")
    axes.margins(x=0.15)
    axes.set_title("Where the time goes", loc="left", fontweight="bold")
    if tools:
        axes.legend(frameon=False, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.4 / max(1, len(tools)) - 0.1))
    return figure


def feeds(rows: Rows, tools: Sequence[str]) -> Figure:
    """Tokens fed at each key in the order of typing, per tool: low is what a warm prompt looks like."""
    figure, axes = _canvas(8.4, 3.4)
    for colour, tool in zip(COLOURS, tools, strict=False):
        traced = [r for r in rows if r["tool"] == tool and r["kind"] == "key" and "n_feed" in r["stages"]]
        fed = [r["stages"]["n_feed"] for r in traced]
        if fed:
            axes.scatter(range(len(fed)), fed, s=9, color=colour, label=tool, alpha=0.7, linewidths=0)
    axes.set(yscale="symlog", ylim=(0, None), xlabel="keys that the server saw", ylabel="tokens fed")
    axes.set_title("Tokens fed per key", loc="left", fontweight="bold")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure


def outcomes(result: dict[str, Any]) -> Figure:
    """What became of the keys, one stacked bar per tool."""
    tools = list(result["tools"])
    names = ("shown", "empty", "stale", "late-empty", "cancelled", "unanswered", "error", "rejected", "not-asked")
    shades = ("#16a34a", "#86efac", "#ea580c", "#fdba74", GREY, "#475569", "#dc2626", "#7f1d1d", "#e2e8f0")
    figure, axes = _canvas(8.4, 1.3 + 0.6 * len(tools))
    for row, tool in enumerate(tools):
        left, keys = 0.0, max(1, result["tools"][tool]["keys"])
        for name, shade in zip(names, shades, strict=True):
            share = result["tools"][tool]["outcomes"].get(name, 0) / keys
            axes.barh(row, share, left=left, color=shade, label=name if row == 0 else None)
            left += share
    axes.set(yticks=range(len(tools)), yticklabels=tools, xlim=(0, 1), xlabel="share of keys")
    axes.set_title("What became of each key", loc="left", fontweight="bold")
    axes.legend(frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.4 / max(1, len(tools)) - 0.1))
    return figure


def svg(figure: Figure) -> str:
    """Return the figure as an <svg> element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure, path: Path) -> None:
    """Write the figure to `path`. Raises: OSError."""
    figure.savefig(path, dpi=160, bbox_inches="tight")


def _canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in))
    return figure, figure.add_subplot()

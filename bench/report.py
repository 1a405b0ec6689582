"""One self-contained HTML page of a result, and the PNG of its main plot."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from bench import plots
from bench.diagnose import diagnose
from bench.results import Result
from bench.typing_model import TypingModel

Cell = Callable[[dict[str, Any]], Any]
STYLE = """
:root{color-scheme:light dark;--ink:#0f172a;--soft:#64748b;--paper:#fff;--line:#e2e8f0;--good:#15803d}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:#f8fafc;margin:0}
main{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .6rem}
section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:1rem 1.2rem;margin:1rem 0}
.soft{color:var(--soft)}table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:.28rem .6rem;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}td.best{font-weight:600;color:var(--good)}
svg{width:100%;height:auto;color-scheme:light}.cards{display:flex;gap:1rem;flex-wrap:wrap}
.card{flex:1;min-width:9rem}.card b{display:block;font-size:1.6rem}code{font-size:.9em}
"""


def _dig(*path: str) -> Cell:
    def get(tool: dict[str, Any]) -> Any:
        value: Any = tool
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return get


ROWS: tuple[tuple[str, Cell, str], ...] = (
    ("keys", _dig("keys"), ""),
    ("answered before the next key", _dig("before_next_key", "answered"), "max"),
    ("something visible before the next key", _dig("before_next_key", "visible"), "max"),
    ("typed through (keys)", _dig("answered_by", "typed-through"), ""),
    ("all keys: p50, ms", _dig("latency_ms", "all", "p50"), "min"),
    ("all keys: p95, ms", _dig("latency_ms", "all", "p95"), "min"),
    ("keys that need the model: p50, ms", _dig("latency_ms", "model", "p50"), "min"),
    ("keys that need the model: p90, ms", _dig("latency_ms", "model", "p90"), "min"),
    ("keys that need the model: p95, ms", _dig("latency_ms", "model", "p95"), "min"),
    ("keys that need the model: p99, ms", _dig("latency_ms", "model", "p99"), "min"),
    ("cut off before an answer (censored)", _dig("latency_ms", "censored"), "min"),
    ("TTFT p50, ms", _dig("model", "ttft_ms", "p50"), "min"),
    ("TPOT p50, ms", _dig("model", "tpot_ms", "p50"), "min"),
    ("tokens fed per model key, p50", _dig("model", "fed_per_model_key", "p50"), "min"),
    ("tokens per forward", _dig("model", "tokens_per_forward"), "max"),
    ("generated tokens never shown (share)", _dig("model", "wasted_share"), "min"),
    ("matched share of the rest of the line", _dig("quality", "matched_share"), "max"),
    ("wrong share of what was visible", _dig("quality", "wrong_share"), "min"),
    ("matched characters", _dig("quality", "matched_chars"), "max"),
    ("exact rest of the line (keys)", _dig("quality", "exact_keys"), "max"),
    ("keystrokes saved, %", _dig("quality", "ks_percent"), "max"),
    ("ratio of completed code", _dig("quality", "rocc"), "max"),
    ("flicker per 100 keys", _dig("quality", "flicker_per_100_keys"), "min"),
    ("CPU ms per key", _dig("cpu_ms_per_key"), "min"),
    ("peak memory, MB", _dig("peak_mb"), "min"),
    ("start and model load, ms", _dig("info", "start_ms"), "min"),
    ("harness: work per key p95, ms", _dig("client", "work_ms", "p95"), ""),
)


def write_report(result: Result, rows: plots.Rows, out: Path) -> Path:
    """Write report.html and latency.png into the folder `out`; return the page's path. Raises: OSError."""
    main = plots.latency(rows, list(result["tools"]), TypingModel())
    plots.png(main, out / "latency.png")
    page = out / "report.html"
    page.write_text(render(result, rows), encoding="utf-8")
    return page


def render(result: Result, rows: plots.Rows) -> str:
    """Return the whole page. Text of documents is nowhere in it."""
    tools = list(result["tools"])
    pictures = (
        plots.latency(rows, tools, TypingModel()),
        plots.waterfall(result),
        plots.feeds(rows, tools),
        plots.outcomes(result),
    )
    body = [_head(result), _ratios(result), *(f"<section>{plots.svg(p)}</section>" for p in pictures)]
    body += [f"<h2>Side by side</h2><section>{side_by_side(result)}</section>", _findings(result), _foot(result)]
    title = escape(f"Latency replay: {', '.join(tools)}")
    head = f'<meta charset="utf-8"><title>{title}</title><meta name="viewport" content="width=device-width">'
    return f"<!doctype html><html lang=en>{head}<style>{STYLE}</style><main>{''.join(body)}</main></html>\n"


def side_by_side(result: Result) -> str:
    """Return the table of all tools; the better figure of each row is set off, also where it is not ours."""
    tools = result["tools"]
    head = "".join(f"<th>{escape(name)}</th>" for name in tools)
    lines = [f"<table><tr><th></th>{head}</tr>"]
    for label, cell, better in ROWS:
        values = [cell(tool) for tool in tools.values()]
        if all(value is None for value in values):
            continue
        known = [v for v in values if v is not None]
        best = {"min": min, "max": max}[better](known) if better and len(known) > 1 else None
        cells = "".join(f"<td{' class=best' if v is not None and v == best else ''}>{_number(v)}</td>" for v in values)
        lines.append(f"<tr><td>{escape(label)}</td>{cells}</tr>")
    return "".join(lines) + "</table>"


def markdown(result: Result) -> str:
    """Return the table of all tools as Markdown, for a README."""
    tools = result["tools"]
    lines = ["| | " + " | ".join(tools) + " |", "|---" * (len(tools) + 1) + "|"]
    for label, cell, _ in ROWS:
        values = [cell(tool) for tool in tools.values()]
        if any(value is not None for value in values):
            lines.append(f"| {label} | " + " | ".join(_number(v) for v in values) + " |")
    return "\n".join(lines) + "\n"


def _head(result: Result) -> str:
    machine = result["machine"]
    loop = "each key waits for its answer" if result["mode"] == "closed" else "on the clock of the trace"
    model = f" · {escape(result['model']['file'])}" if "model" in result else ""
    return (
        f"<h1>Latency replay</h1><p class=soft>{escape(', '.join(t['name'] for t in result['traces']))} · "
        f"{loop} · {escape(machine['cpu'])}, {machine['cores']} cores{model} · "
        f"commit <code>{escape(result['commit'])}</code> · {escape(result['time'])}</p>"
    )


def _ratios(result: Result) -> str:
    parts = []
    for peer, values in result.get("ratios", {}).items():
        cards = "".join(
            f"<div class=card><b>{value:g}×</b><span class=soft>{escape(name.replace('_', ' '))}</span></div>"
            for name, value in values.items()
            if value is not None
        )
        parts.append(f"<h2>Ours against {escape(peer)} (above 1: ours is better)</h2><section class=cards>{cards}</section>")
    return "".join(parts)


def _findings(result: Result) -> str:
    parts = ["<h2>Diagnosis</h2><section>"]
    for name, tool in result["tools"].items():
        items = "".join(f"<li>{escape(f.fact)}: <em>{escape(f.advice)}</em></li>" for f in diagnose(tool))
        parts.append(f"<b>{escape(name)}</b><ul>{items}</ul>")
    return "".join(parts) + "</section>"


def _foot(result: Result) -> str:
    settings = escape(", ".join(f"{k}={v}" for k, v in result["settings"].items() if v not in ("", None)))
    sha = f"; model SHA-256 {result['model']['sha256']}" if "model" in result else ""
    return f"<p class=soft>Settings: {settings}{sha}. Definitions: docs/benchmarks/README.md.</p>"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))

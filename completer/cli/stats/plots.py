"""Bar charts as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

Pattern = Literal["solid", "lines", "dots"]

PATTERNS = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="lines" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="2" height="5" class="ink"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<circle cx="2" cy="2" r="1.2" class="ink"/></pattern></defs></svg>'
)
"""What bars are filled with; once in each page."""
BAR_STYLE = """
.ink, .solid { fill: #2563a8; } .bar { stroke: #2563a8; stroke-width: 1; }
.lines { fill: url(#lines); } .dots { fill: url(#dots); }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
@media (prefers-color-scheme: dark) { .ink, .solid { fill: #7fb2ea; } .bar { stroke: #7fb2ea; } }
"""
_WIDTH, _LEFT, _ROW, _GAP = 800, 130, 16, 10
_COLUMNS_HEIGHT, _NAME = 160, 40


class Bar(NamedTuple):
    label: str
    value: float
    pattern: Pattern


def bar_chart(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], unit: str) -> str:
    """Return groups of horizontal bars below each other, each with its name and value."""
    largest = max((bar.value for _, bars in groups for bar in bars), default=0) or 1
    room = _WIDTH - _LEFT - 180
    parts, y = [], 0
    for name, bars in groups:
        parts.append(f'<text x="0" y="{y + 12}">{escape(name)}</text>')
        for bar in bars:
            width = max(1.0, bar.value / largest * room)
            value = f"{bar.label} {bar.value:.10g} {unit}".strip()
            parts.append(f'<rect class="bar {bar.pattern}" x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}"/>')
            parts.append(f'<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{escape(value)}</text>')
            y += _ROW
        y += _GAP
    return _svg(title, y, parts)


def column_chart(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return groups of columns side by side. The names of some, so many as there is room for, are below them."""
    largest = max((bar.value for _, bars in groups for bar in bars), default=0) or 1
    step = (_WIDTH - 40) / max(1, len(groups))
    every = max(1, round(50 / step))
    parts = [f'<text x="0" y="12">{largest:.10g}</text><text x="0" y="{_COLUMNS_HEIGHT + 12}">0</text>']
    for i, (name, bars) in enumerate(groups):
        width = step * 0.8 / len(bars)
        for j, bar in enumerate(bars):
            height = bar.value / largest * _COLUMNS_HEIGHT
            x, y = 40 + i * step + j * width, 12 + _COLUMNS_HEIGHT - height
            hint = f"<title>{escape(f'{name} {bar.label}: {bar.value:.10g}')}</title>"
            size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
            parts.append(f'<rect class="bar {bar.pattern}" {size}>{hint}</rect>')
        if i % every == 0 and 40 + i * step + _NAME <= _WIDTH:
            parts.append(f'<text x="{40 + i * step:.1f}" y="{_COLUMNS_HEIGHT + 28}">{escape(name)}</text>')
    return _legend(groups[0][1] if groups else ()) + _svg(title, _COLUMNS_HEIGHT + 34, parts)


def _legend(bars: Sequence[Bar]) -> str:
    samples = (
        f'<svg viewBox="0 0 24 12" style="width:24px" aria-hidden="true"><rect class="bar {bar.pattern}" x="1" y="1" width="22" '
        f'height="10"/></svg> {escape(bar.label)}'
        for bar in bars
    )
    return f"<p>{' &nbsp; '.join(samples)}</p>"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    name = escape(title, quote=True)
    return f'<svg role="img" aria-label="{name}" viewBox="0 0 {_WIDTH} {height:.0f}"><title>{name}</title>{"".join(parts)}</svg>'

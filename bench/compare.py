"""Ours against each peer of the same run, as ratios: what a change of machine or load does not move."""

from __future__ import annotations

from typing import Any

from bench.results import Result

Ratios = dict[str, float | None]


def ratios(result: Result, ours: str) -> dict[str, Ratios]:
    """Return, for each other tool of `result`, how many times better ours is (below 1: worse); None: not measured.

    model_p50, model_p95: latency over the keys that need the model, theirs / ours. answered_before_next: share,
    ours / theirs. matched: characters matched, ours / theirs. wrong: wrong share of what was shown, theirs / ours.
    cpu, memory: theirs / ours.
    """
    mine = result["tools"].get(ours)
    if mine is None:
        return {}
    return {name: _ratios(mine, theirs) for name, theirs in result["tools"].items() if name != ours}


def _ratios(mine: Result, theirs: Result) -> Ratios:
    def less(*path: str) -> float | None:
        return _divide(_dig(theirs, path), _dig(mine, path))

    def more(*path: str) -> float | None:
        return _divide(_dig(mine, path), _dig(theirs, path))

    return {
        "model_p50": less("latency_ms", "model", "p50"),
        "model_p95": less("latency_ms", "model", "p95"),
        "all_p50": less("latency_ms", "all", "p50"),
        "all_p95": less("latency_ms", "all", "p95"),
        "answered_before_next": more("before_next_key", "answered"),
        "visible_before_next": more("before_next_key", "visible"),
        "matched": more("quality", "matched_chars"),
        "wrong": less("quality", "pooled_wrong_share"),
        "accepted": more("quality", "accepted_chars"),
        "fed_per_model_key": less("model", "fed_per_model_key", "mean"),
        "cpu": less("cpu_ms_per_key"),
        "memory": less("peak_mb"),
    }


def _dig(tree: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return float(tree) if isinstance(tree, int | float) else None


def _divide(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None or b == 0 else round(a / b, 3)

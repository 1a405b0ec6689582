"""Numbers from records: latency by how a key was answered, tokens, forwards, drafts, waste, the client's own share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bench import oracle
from bench.screen import Frame, Record
from bench.typing_model import TypingModel

Summary = dict[str, Any]
NEEDS_MODEL = ("extended", "cold")
STAGES = ("queue", "context", "tokenise", "prefill", "decode", "trim")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted `values` lie, linear between neighbours.

    Raises: IndexError when there are none.
    """
    place = (len(values) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def spread(values: Iterable[float]) -> Summary:
    """Return n, mean, p50, p90, p95, p99 and max of `values`; only {"n": 0} when there are none."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}
    marks = {f"p{round(q * 100)}": round(percentile(ordered, q), 3) for q in (0.5, 0.9, 0.95, 0.99)}
    return {
        "n": len(ordered),
        "mean": round(sum(ordered) / len(ordered), 3),
        **marks,
        "max": round(ordered[-1], 3),
    }


def figures(records: Sequence[Record], frames: Sequence[Frame], *, closed: bool = False, redacted: bool = False) -> Summary:
    """Return all figures of one run of one tool. Only `key` events count, except for the client's own cost.

    closed: each key waited for its answer, so there is no "before the next key" and no time to look.
    redacted: the text is filler, so quality is left out.
    """
    keys = [r for r in records if r.kind == "key"]
    out: Summary = {
        "keys": len(keys),
        "outcomes": dict(Counter(r.status for r in keys)),
        "problems": dict(Counter(r.problem for r in keys if r.problem is not None)),
        "errors": dict(Counter(r.error for r in keys if r.error and not r.cancelled)),
        "answered_by": dict(Counter(answered_by(r) for r in keys)),
        "latency_ms": latencies(keys),
        "first_visible_ms": spread(first_visible_ms(records, frames)),
        "model": model_work(keys),
        "client": client_cost(records),
    }
    if not closed:
        out["before_next_key"] = before_next(keys)
    if not redacted:
        out["quality"] = quality(records, frames, closed=closed)
    return out


def answered_by(record: Record) -> str:
    """Return typed-through, extended, cold, background, or "unknown" (the server does not say), "none"."""
    if record.answered_by:
        return record.answered_by
    return "unknown" if record.answered_ms is not None else "none"


def latencies(keys: Sequence[Record]) -> Summary:
    """Return the spread of the time from the key to the answer, by how it was answered.

    `model`: extended, cold and unknown together, so the keys that needed the model. `censored`: requests
    that were cut off by the next key, whose time is therefore missing; read percentiles beside it.
    """
    groups: dict[str, list[float]] = {"all": [], "model": []}
    for record in keys:
        if (latency := record.latency_ms) is None or record.status in ("rejected", "cancelled"):
            continue
        by = answered_by(record)
        groups["all"].append(latency)
        groups.setdefault(by, []).append(latency)
        if by in NEEDS_MODEL or by == "unknown":
            groups["model"].append(latency)
    out: Summary = {name: spread(values) for name, values in groups.items()}
    out["censored"] = sum(r.status in ("cancelled", "unanswered") for r in keys)
    return out


def first_visible_ms(records: Sequence[Record], frames: Sequence[Frame]) -> list[float]:
    """Return, for each place of work, the time from its first key until anything was visible there, at whichever key.

    A place begins where the cursor moves or a file is opened; places at which nothing ever showed are left out.
    """
    visible_ms: dict[int, float] = {}
    for frame in frames:
        if frame.text:
            visible_ms.setdefault(frame.record, frame.t_ms)
    found: list[float] = []
    begun_ms: float | None = None
    waiting = False
    for record in records:
        if record.kind in ("open", "move"):
            begun_ms, waiting = None, True
        elif record.kind == "key" and waiting:
            begun_ms = record.t_ms if begun_ms is None else begun_ms
            if record.index in visible_ms:
                found.append(visible_ms[record.index] - begun_ms)
                waiting = False
    return found


def before_next(keys: Sequence[Record]) -> Summary:
    """Return the shares of keys (those with a next event) answered, and shown something, before the next event."""
    followed = [r for r in keys if r.next_ms is not None]
    answered = sum(r.status in ("shown", "empty") for r in followed)
    seen = sum(bool(r.visible) for r in followed)
    n = max(1, len(followed))
    return {"keys": len(followed), "answered": round(answered / n, 4), "visible": round(seen / n, 4)}


def model_work(keys: Sequence[Record]) -> Summary:
    """Return token counts and stage times from the server's own traces; {"traced": 0} where it keeps none."""
    traced = [r for r in keys if r.stages]
    if not traced:
        return {"traced": 0}
    model = [r for r in traced if answered_by(r) in NEEDS_MODEL] or traced
    generated = sum(_in_all(r, "n_generated") for r in traced)
    forwards = sum(_in_all(r, "n_forwards") for r in traced)
    drafted, accepted = _by_source(traced, "drafted"), _by_source(traced, "accepted")
    wasted = sum(_in_all(r, "n_generated") for r in traced if r.status not in ("shown", "empty"))
    return {
        "traced": len(traced),
        "model_keys": len(model),
        "model_keys_with_text": round(sum(_count(r, "n_chars") > 0 for r in model) / len(model), 4),
        "ttft_ms": spread(_present(model, "ttft_ms")),
        "tpot_ms": spread(t for r in model if (t := tpot_ms(r)) is not None),
        "stages_ms": {s: spread(_present(model, f"{s}_ms")) for s in STAGES},
        "total_ms": spread(_present(model, "total_ms")),
        "fed_per_key": spread(_count(r, "n_feed") for r in traced),
        "fed_per_model_key": spread(_count(r, "n_feed") for r in model),
        "kept_per_model_key": spread(_count(r, "n_keep") for r in model),
        "forwards_per_key": round(forwards / len(traced), 3),
        "generated": generated,
        "tokens_per_forward": round(generated / forwards, 3) if forwards else None,
        "drafted": drafted,
        "accepted": accepted,
        "wasted_tokens": wasted,
        "wasted_share": round(wasted / generated, 4) if generated else None,
    }


def tpot_ms(record: Record) -> float | None:
    """Return (last token - first token) / (n - 1) of one request, from its stages; None below two tokens."""
    n = _count(record, "n_generated")
    if n < 2 or "ttft_ms" not in record.stages:
        return None
    last = sum(float(record.stages.get(f"{s}_ms") or 0) for s in STAGES if s != "trim")
    return max(0.0, last - float(record.stages["ttft_ms"])) / (n - 1)


def client_cost(records: Sequence[Record]) -> Summary:
    """Return what the harness itself cost: work per event, and how late it pressed the keys."""
    return {
        "work_ms": spread(r.work_ms for r in records if r.kind != "open"),
        "lateness_ms": spread(max(0.0, r.t_ms - r.due_ms) for r in records if r.kind != "open"),
    }


def quality(records: Sequence[Record], frames: Sequence[Frame], *, closed: bool) -> Summary:
    """Return how good the visible text was, and what a person would have accepted of it."""
    policy = oracle.Policy(min_visible_ms=0.0) if closed else oracle.Policy()
    fit = oracle.match(records, policy.min_chars)
    taken = oracle.accepts(records, frames, policy)
    per_1000 = 1000 * taken.accepted / taken.typed if taken.typed else 0.0
    return {
        "judged_keys": fit.keys,
        "visible_keys": fit.shown,
        "matched_share": _rounded(fit.matched_share),
        "wrong_share": _rounded(fit.wrong_share),
        "pooled_matched_share": _rounded(fit.pooled_matched_share),
        "pooled_wrong_share": _rounded(fit.pooled_wrong_share),
        "matched_chars": fit.matched_chars,
        "wrong_chars": fit.wrong_chars,
        "exact_keys": fit.exact,
        "exact_lines": fit.exact_lines,
        "lines": fit.lines,
        "ks_percent": round(taken.ks_percent, 2),
        "rocc": round(taken.rocc, 4),
        "accepts": taken.accepts,
        "accepted_chars": taken.accepted,
        "accepted_per_1000_typed": round(per_1000, 1),
        "flicker_per_100_keys": round(oracle.flicker(records), 2),
    }


def relevance_curve(model: TypingModel, up_to_ms: int = 2000, step_ms: int = 10) -> list[tuple[float, float]]:
    """Return (t_ms, share of keys for which an answer after t_ms still comes before the next key)."""
    return [(float(t), model.survival(t)) for t in range(0, up_to_ms + 1, step_ms)]


def _present(records: Sequence[Record], name: str) -> list[float]:
    return [float(r.stages[name]) for r in records if r.stages.get(name) is not None]


def _count(record: Record, name: str) -> int:
    return int(record.stages.get(name) or 0)


def _in_all(record: Record, name: str) -> int:
    """Return a count over a whole generation, or up to the answer where the server says no more."""
    return _count(record, f"{name}_in_all") or _count(record, name)


def _by_source(records: Sequence[Record], name: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for record in records:
        total.update(record.stages.get(name) or {})
    return dict(total)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

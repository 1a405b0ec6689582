"""Answers turned into figures: how many bodies pass their tests, how many are placeholders or nothing, and pairs of tools."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.bodies.case import Body
from bench.client import Json
from bench.quality import wilson
from bench.sandbox import passes
from completer.suggest.placeholder import is_placeholder

VOID_MS = 60_000.0
"""An answer that took the longest budget was cut short by the machine, and is left out."""

Passes = Callable[[str], bool]


def body_of(text: str) -> str:
    """Return `text` up to the first line at the margin: where a function of the set ends."""
    first, *others = text.split("\n")
    end = next((i for i, line in enumerate(others) if line.strip() and not line[0].isspace()), len(others))
    return "\n".join([first, *others[:end]]).rstrip()


def judged(rows: Iterable[Json], bodies: Mapping[str, Body], passes: Passes = passes) -> dict[str, dict[str, Json]]:
    """Return {"tool, state": {case: judgement}} of the rows that are whole; the last row of a case counts."""
    arms: dict[str, dict[str, Json]] = {}
    for row in rows:
        body = bodies.get(row["case"])
        if body is None or row["failed"] or row["ms"] >= VOID_MS:
            continue
        text = body_of(row["text"])
        arms.setdefault(f"{row['tool']}, {row['state']}", {})[row["case"]] = {
            "program": body.prefix + text + body.suffix + body.tests,
            "empty": not text.strip(),
            "placeholder": bool(text.strip()) and is_placeholder(text),
            "chars": len(text),
            "ms": row["ms"],
        }
    seen: dict[str, bool] = {}
    for arm in arms.values():
        for judgement in arm.values():
            program = judgement.pop("program")
            if program not in seen:
                seen[program] = not judgement["empty"] and passes(program)
            judgement["passed"] = seen[program]
    return arms


def summarise(arms: Mapping[str, Mapping[str, Json]]) -> Json:
    """Return the figures of each arm over the cases that all have answered, and of each pair of arms."""
    common = sorted(set.intersection(*(set(arm) for arm in arms.values()))) if arms else []
    kept = {name: [arm[case] for case in common] for name, arm in arms.items()}
    names = list(kept)
    pairs = {f"{a} – {b}": _pair(kept[a], kept[b]) for i, a in enumerate(names) for b in names[i + 1 :]}
    return {"n_common": len(common), "arms": {name: _figures(found) for name, found in kept.items()}, "pairs": pairs}


def _figures(found: Sequence[Json]) -> Json:
    n, passed = len(found), sum(one["passed"] for one in found)
    middle = sorted(found, key=lambda one: float(one["ms"]))[n // 2] if found else {"ms": 0.0}
    return {
        "n": n,
        "passed": passed,
        "interval": [round(share, 3) for share in wilson(passed, n)],
        "placeholders": sum(one["placeholder"] for one in found),
        "empty": sum(one["empty"] for one in found),
        "chars": sum(one["chars"] for one in found) // max(1, n),
        "ms_p50": middle["ms"],
    }


def _pair(a: Sequence[Json], b: Sequence[Json]) -> Json:
    """Return how many bodies only one of two arms got right. p: of McNemar's exact test."""
    only_a = sum(x["passed"] and not y["passed"] for x, y in zip(a, b, strict=True))
    only_b = sum(y["passed"] and not x["passed"] for x, y in zip(a, b, strict=True))
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    return {"only_first": only_a, "only_second": only_b, "p": round(min(1.0, 2 * tail), 3)}

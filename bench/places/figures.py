"""Answers turned into figures: of each tool and state, by language and kind of line, and of pairs of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import quantiles

from bench.client import Json
from bench.places.case import family
from bench.quality import Z, wilson

Arms = dict[str, dict[str, Json]]
"""{"tool, state": {case: row}}"""

LAWS = (
    ("explicit-again", "explicit-cold"),
    ("explicit-warm", "explicit-cold"),
    ("automatic-cold, late", "explicit-cold"),
    ("automatic-warm", "explicit-warm"),
)
"""States of one tool that should agree: `differ` counts the cases in which they show different lines."""

PARTS: dict[str, Callable[[Json], str]] = {
    "language": lambda row: family(row["language"]),
    "kind": lambda row: str(row["kind"]),
    "place": lambda row: str(row["place"]),
}


def arms_of(rows: Iterable[Json]) -> Arms:
    """Return the rows by tool and state; of a case that was asked twice the last row counts."""
    arms: Arms = {}
    for row in rows:
        arms.setdefault(f"{row['tool']}, {row['state']}", {})[row["case"]] = row
    return arms


def summarise(rows: Iterable[Json], peer: str) -> Json:
    """Return figures of each arm over the cases that all arms have answered, by parts of them, and of pairs.

    peer: the tool that all others are compared with, case by case.
    """
    arms = arms_of(rows)
    common = set.intersection(*(set(arm) for arm in arms.values())) if arms else set()
    kept = {name: [arm[case] for case in sorted(common)] for name, arm in arms.items()}
    return {
        "n_common": len(common),
        "arms": {name: figures(found) for name, found in kept.items()},
        "by": {part: _by_part(kept, key) for part, key in PARTS.items()},
        "pairs": {f"{a} – {b}": paired(arms[a], arms[b]) for a, b in pairs(arms, peer)},
        "n_of_arms": {name: len(arm) for name, arm in arms.items()},
    }


def figures(rows: Sequence[Json]) -> Json:
    """Return the figures of one arm.

    ms: of all answers, those that show nothing included.
    many, missing: of first lines; all_many, all_missing: of whole answers.
    load_max: highest load of the machine; above the number of its cores the times are void.
    """
    n, right = len(rows), sum(row["right"] for row in rows)
    code = [row for row in rows if row["kind"] != "comment"]
    cuts = quantiles([row["ms"] for row in rows], n=20, method="inclusive") if n > 1 else [row["ms"] for row in rows] * 19
    return {
        "n": n,
        "right": right,
        "interval": _interval(right, n),
        "n_code": len(code),
        "right_code": sum(row["right"] for row in code),
        "shown": sum(row["shown"] > 0 for row in rows),
        "n_balanced": sum(row["many"] is not None for row in rows),
        **{name: sum(bool(row[name]) for row in rows) for name in ("many", "missing", "all_many", "all_missing")},
        "ms_p50": round(cuts[9], 1) if cuts else None,
        "ms_p95": round(cuts[18], 1) if cuts else None,
        "shown_chars": sum(row["shown"] for row in rows),
        "problems": sum(row["problem"] is not None for row in rows),
        "load_max": max((row["load"] for row in rows), default=None),
        "commits": sorted({row["commit"] for row in rows}),
    }


def _by_part(arms: Mapping[str, Sequence[Json]], key: Callable[[Json], str]) -> Json:
    """Return {part: {arm: {n, right, interval}}}."""
    out: defaultdict[str, Json] = defaultdict(dict)
    for name, rows in arms.items():
        by: defaultdict[str, list[bool]] = defaultdict(list)
        for row in rows:
            by[key(row)].append(row["right"])
        for part, rights in by.items():
            out[part][name] = {"n": len(rights), "right": sum(rights), "interval": _interval(sum(rights), len(rights))}
    return dict(sorted(out.items()))


def pairs(arms: Iterable[str], peer: str) -> list[tuple[str, str]]:
    """Return the pairs of arms to compare: each with each of the peer's, and those of LAWS within a tool."""
    names = list(arms)
    beside = [name for name in names if name.startswith(f"{peer}, ")]
    found = [(name, other) for other in beside for name in names if name not in beside]
    tools = dict.fromkeys(name.split(", ", 1)[0] for name in names)
    laws = [(f"{tool}, {a}", f"{tool}, {b}") for tool in tools for a, b in LAWS]
    return found + [(a, b) for a, b in laws if a in names and b in names]


def paired(a: Mapping[str, Json], b: Mapping[str, Json]) -> Json:
    """Return how two arms compare case by case.

    difference: share of cases right in `a` less that in `b`, with its 95 % interval.
    same, differ: both show something, and the first line is the same, or is not.
    Source: Agresti and Min, Statistics in Medicine 24 (2005): half a case more in each cell, then Wald.
    """
    cases = sorted(set(a) & set(b))
    rights = [(a[case]["right"], b[case]["right"]) for case in cases]
    only_a, only_b = rights.count((True, False)), rights.count((False, True))
    shown = [(a[case]["first"].rstrip(), b[case]["first"].rstrip()) for case in cases if a[case]["shown"] and b[case]["shown"]]
    same = sum(one == other for one, other in shown)
    n = len(cases)
    middle = (only_a - only_b) / (n + 2)
    half = Z * math.sqrt((only_a + only_b + 1) / (n + 2) - middle**2) / math.sqrt(n + 2)
    return {
        "n": n,
        "both": rights.count((True, True)),
        "only_first": only_a,
        "only_second": only_b,
        "difference": round((only_a - only_b) / max(1, n), 3),
        "interval": [round(middle - half, 3), round(middle + half, 3)],
        "same": same,
        "differ": len(shown) - same,
    }


def _interval(right: int, n: int) -> list[float]:
    return [round(x, 3) for x in wilson(right, n)]

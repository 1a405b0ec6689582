"""The figures as tables on standard error."""

from __future__ import annotations

from bench import inside
from bench.client import Json

COLUMNS = ("n", "right", "of code", "shown", "chars", "too many, missing", "p50, p95 ms", "problems", "load")
"""right: with the 95 % interval of its share.  too many, missing: closing brackets, of the files that can be judged."""


def show(found: Json) -> None:
    """Print the table of tools and states, those by language, kind and place, and that of the pairs."""
    inside.console.print(inside.table("places", ["tool, state", *COLUMNS], [_arm(*one) for one in found["arms"].items()]))
    arms = list(found["arms"])
    for part, groups in found["by"].items():
        rows = [[name, *(_cell(arm_of.get(arm)) for arm in arms)] for name, arm_of in groups.items()]
        inside.console.print(inside.table(f"right, by {part}", [part, *arms], rows))
    names = ("n", "both right", "only first", "only second", "difference", "same line", "other line")
    rows = [[name, *_pair(pair)] for name, pair in found["pairs"].items()]
    inside.console.print(inside.table("case by case", ["first – second", *names], rows))


def _arm(name: str, f: Json) -> list[str]:
    times = [inside.figure(f[key], lambda ms: f"{ms:.0f}") for key in ("ms_p50", "ms_p95")]
    return [
        name,
        str(f["n"]),
        f"{f['right']} ({_span(f['interval'])})",
        f"{f['right_code']}/{f['n_code']}",
        str(f["shown"]),
        str(f["shown_chars"]),
        f"{f['many']}, {f['missing']}/{f['n_balanced']}",
        ", ".join(times),
        str(f["problems"]),
        inside.figure(f["load_max"], lambda load: f"{load:.1f}"),
    ]


def _cell(f: Json | None) -> str:
    return "–" if f is None else f"{f['right']}/{f['n']}"


def _pair(f: Json) -> list[str]:
    counts = [str(f[key]) for key in ("n", "both", "only_first", "only_second")]
    return [*counts, f"{f['difference']:+.2f} ({_span(f['interval'])})", str(f["same"]), str(f["differ"])]


def _span(interval: list[float]) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}"

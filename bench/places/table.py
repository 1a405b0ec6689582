"""The figures as tables on standard error."""

from __future__ import annotations

from bench import inside
from bench.client import Json

COLUMNS = (
    "n",
    "right",
    "share",
    "of code",
    "shown",
    "characters",
    "closers too many",
    "missing",
    "p50 ms",
    "p95 ms",
    "problems",
    "load",
)


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
    balanced = f["n_balanced"]
    return [
        name,
        str(f["n"]),
        str(f["right"]),
        f"{f['right'] / max(1, f['n']):.2f} ({_span(f['interval'])})",
        f"{f['right_code']}/{f['n_code']}",
        str(f["shown"]),
        str(f["shown_chars"]),
        f"{f['many']}/{balanced}",
        f"{f['missing']}/{balanced}",
        inside.figure(f["ms_p50"], lambda ms: f"{ms:.0f}"),
        inside.figure(f["ms_p95"], lambda ms: f"{ms:.0f}"),
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

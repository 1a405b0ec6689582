"""What is suggested, judged against what stood there: exact match, tests passed, and how much of what is shown is wrong.

`python -m bench quality`. Sets: `bench.tasks`; tools and ways of asking: `bench.quality_tools`. Answers are written one by one,
and what is in the file already is not asked again: a long run may be cut into pieces, and the table is drawn from the file.

exact     the hole is filled as it was (white space at line ends aside); of `line` tasks only the line counts
first     the first line of the hole is; what runs on behind it does not count
passed    the document with the answer in it passes its tests (HumanEval; `bench.sandbox`)
shown     something is suggested at all
broken    what is shown breaks an invariant of `bench.invariants` (brackets count in documents that are balanced without it)
matched   characters of the first line right from the cursor on, of those that stood there; wrong: of those shown
all lines the same over the whole text, white space at its end aside: of blocks, how far they are right and how much runs on
tokens    decoded until the answer was complete
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import inside
from bench.ablations import RULES
from bench.client import Json
from bench.invariants import is_balanced, violations
from bench.options import finish, read_settings
from bench.oracle import common_prefix
from bench.provenance import provenance
from bench.quality_tools import Tool, open_llama_vim, open_ours
from bench.sandbox import passes
from bench.tasks import SETS, Task, read_tasks
from completer.types import Snapshot, Suggestion

Z = 1.96


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share. Source: Wilson, JASA 22 (1927)."""
    if n == 0:
        return 0.0, 1.0
    share, square = right / n, Z * Z / n
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return middle - half, middle + half


def judge(task: Task, document: str | None) -> Json:
    """Return the judgement on the document as it is with the answer in it (None: nothing was suggested)."""
    if document is None:
        nothing = {"exact": False, "passed": False if task.tests else None, "matched": 0, "shown": 0}
        return {**nothing, "rest": _rest(task), "broken": []}
    whole = task.prefix + task.truth + task.suffix
    ours, right = (_first_line(text[len(task.prefix) :]) for text in (document, whole))
    shown = ours if task.line else _first_line(_middle(task, document))
    exact = shown.rstrip() == right.rstrip() if task.line else _bare(document) == _bare(whole)
    passed = (exact or passes(document + task.tests)) if task.tests else None
    matched = common_prefix(shown, _first_line(task.truth))
    return {
        "exact": exact,
        "passed": passed,
        "matched": matched,
        "shown": len(shown),
        "rest": _rest(task),
        "broken": _broken(task, document),
    }


def _broken(task: Task, document: str) -> list[str]:
    text, at = task.prefix + task.suffix, len(task.prefix)
    # Where the document does not end as before, the rest of the line was replaced.
    kept = task.suffix if document.endswith(task.suffix) else task.suffix[len(_first_line(task.suffix)) :]
    shown = Suggestion("", 0, document[at : len(document) - len(kept)], at, len(text) - len(kept), "cold")
    snapshot = Snapshot("", 0, task.language_id, text, at)
    return violations(snapshot, shown, is_balanced(text, task.language_id))


def _middle(task: Task, document: str) -> str:
    end = len(document) - len(task.suffix)
    return document[len(task.prefix) : max(end, len(task.prefix))]


def _rest(task: Task) -> int:
    return len(_first_line(task.truth))


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0]


def _bare(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def figures(rows: Sequence[Json]) -> Json:
    """Return the figures of one tool, way and set."""
    n = len(rows)
    exact, tested = sum(r["exact"] for r in rows), [r for r in rows if r["passed"] is not None]
    passed = sum(r["passed"] for r in tested)
    matched, shown, rest = (sum(r[key] for r in rows) for key in ("matched", "shown", "rest"))
    texts = [((r["text"] or "").rstrip(), r["truth"].rstrip()) for r in rows]
    right = sum(common_prefix(text, truth) for text, truth in texts)
    return {
        "n": n,
        "exact": exact,
        "exact_interval": [round(x, 3) for x in wilson(exact, n)],
        "first_line": sum(_first_line(r["text"] or "").rstrip() == _first_line(r["truth"]).rstrip() for r in rows),
        "passed": passed if tested else None,
        "passed_interval": [round(x, 3) for x in wilson(passed, n)] if tested else None,
        "shown": sum(r["shown"] > 0 for r in rows),
        "broken": sum(bool(r["broken"]) for r in rows),
        "matched_share": round(matched / max(1, rest), 3),
        "wrong_share": round(1 - matched / max(1, shown), 3),
        "all_matched_share": round(right / max(1, sum(len(truth) for _, truth in texts)), 3),
        "all_wrong_share": round(1 - right / max(1, sum(len(text) for text, _ in texts)), 3),
        "n_tokens": sum(tokens) if None not in (tokens := [r.get("n_tokens") for r in rows]) else None,
    }


def summarise(rows: Iterable[Json]) -> dict[str, dict[str, Json]]:
    """Return {set: {"tool, way": figures}}, over the tasks that every tool of the set has answered."""
    by: dict[str, dict[str, dict[str, Json]]] = {}
    for row in rows:
        by.setdefault(row["set"], {}).setdefault(f"{row['tool']}, {row['way']}", {})[row["task"]] = row
    out: dict[str, dict[str, Json]] = {}
    for group, arms in by.items():
        common = set.intersection(*(set(arm) for arm in arms.values()))
        out[group] = {name: figures([arm[task] for task in sorted(common)]) for name, arm in arms.items()}
    return out


async def ask_all(tool: Tool, name: str, tasks: Sequence[Task], out: Path, limit_s: float) -> None:
    """Ask for every task that `out` lacks, and add a line for each way. Mutates: the file."""
    begun = time.perf_counter()
    known = {(row["tool"], row["set"], row["task"]) for row in read_rows(out)}
    with inside.bars() as bars, out.open("a", encoding="utf-8") as file:
        for task in bars.track([t for t in tasks if (name, t.group, t.name) not in known], description=name):
            if time.perf_counter() - begun > limit_s:
                return
            for way, (document, n_tokens) in (await tool.answer(task)).items():
                text = None if document is None else _middle(task, document)
                row = {"tool": name, "way": way, "set": task.group, "task": task.name, **judge(task, document), "text": text}
                row["n_tokens"] = n_tokens
                file.write(json.dumps({**row, "truth": task.truth}, ensure_ascii=False) + "\n")
            file.flush()


def read_rows(out: Path) -> list[Json]:
    """Return the lines of an answers' file, [] where there is none."""
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []


def quality(
    out: Annotated[Path, typer.Option(help="File of the answers (JSON lines); what it holds is not asked again.")],
    model: inside.Model = inside.DEFAULT_MODEL,
    group: Annotated[list[str] | None, typer.Option("--set", help=f"{', '.join(SETS)}; again for more. Default: all.")] = None,
    cases: Annotated[int, typer.Option(help="Cases of each set.")] = 100,
    beyond: Annotated[
        int, typer.Option(help="Leave out the cases that `--cases` so many has: those that rules were made on.")
    ] = 0,
    tool: Annotated[list[str] | None, typer.Option(help="completer, llama.vim; again for more. None: only the table.")] = None,
    name: Annotated[str, typer.Option(help="What ours is called in the file, to tell settings apart.")] = "completer",
    setting: Annotated[str, typer.Option(help="Settings as JSON.")] = "{}",
    ablate: Annotated[
        list[str] | None,
        typer.Option("--without", help=f"Ask each place again with this rule off: {', '.join(RULES)}; again for more."),
    ] = None,
    prefill_ms: Annotated[
        float, typer.Option(help="Windows as on a machine with this price of a prompt token; 0: as measured here.")
    ] = 1.5,
    budget_ms: Annotated[int, typer.Option(help="Also ask within this budget; 0: do not.")] = 80,
    limit_s: Annotated[float, typer.Option(help="Seconds after which no further case of a tool is begun.")] = 3600.0,
    threads: inside.Threads = 0,
) -> None:
    """Print exact match, tests passed, matched and wrong shares of ours, and of llama.vim with the same model file."""
    from completer.config import Settings, update

    n = inside.n_threads(threads)
    if unknown := set(group or ()) - set(SETS):
        raise typer.BadParameter(f"no set {sorted(unknown)}: one of {', '.join(SETS)}")
    if unknown := set(tool or ()) - {"completer", "llama.vim"}:
        raise typer.BadParameter(f"no tool {sorted(unknown)}: completer or llama.vim")
    if unknown := set(ablate or ()) - set(RULES):
        raise typer.BadParameter(f"no rule {sorted(unknown)}: one of {', '.join(RULES)}")
    rounds = zip_longest(*(read_tasks(one, cases, beyond) for one in group or SETS))  # sets take turns: a run cut short is even
    tasks = [task for one_round in rounds for task in one_round if task is not None]
    settings = update(Settings(threads=n), read_settings(setting))
    out.parent.mkdir(parents=True, exist_ok=True)
    file = inside.open_model(model).path

    async def run() -> None:
        for one in tool or ():
            opened: Any = open_llama_vim(file, n)
            if one == "completer":
                opened = open_ours(model, settings, budget_ms, ablate or (), prefill_ms)
            async with opened as asked:
                await ask_all(asked, name if one == "completer" else one, tasks, out, limit_s)

    asyncio.run(run())
    found = summarise(read_rows(out))
    _show(found)
    asked = {
        "cases": cases,
        "beyond": beyond,
        "setting": setting,
        "without": ablate or [],
        "budget_ms": budget_ms,
        "prefill_ms": prefill_ms,
    }
    finish({**provenance(file), "settings": asked, "sets": found})


def _show(found: dict[str, dict[str, Json]]) -> None:
    rows = []
    for group, arms in found.items():
        for name, f in arms.items():
            exact, passed = _share(f["exact"], f["n"], f["exact_interval"]), "–"
            if f["passed"] is not None:
                passed = _share(f["passed"], f["n"], f["passed_interval"])
            shown = f"{f['shown'] / max(1, f['n']):.2f}"
            first = f"{f['first_line'] / max(1, f['n']):.3f}"
            line, whole = (f"{f[f'{of}matched_share']:.3f}, {f[f'{of}wrong_share']:.3f}" for of in ("", "all_"))
            tokens = inside.figure(f["n_tokens"], str)
            rows.append([group, name, str(f["n"]), exact, first, passed, shown, str(f["broken"]), line, whole, tokens])
    names = ("exact", "first line", "passed", "shown", "broken", "matched, wrong", "all lines", "tokens")
    inside.console.print(inside.table("quality", ["set", "tool, way", "n", *names], rows))


def _share(right: int, n: int, interval: Sequence[float]) -> str:
    return f"{right / max(1, n):.3f} ({interval[0]:.2f}–{interval[1]:.2f})"

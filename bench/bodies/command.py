"""Whole bodies: a function with name and docstring and an empty body, in front of another one, asked for explicitly.

`python -m bench bodies`. Cases: `bench.bodies.case`. Ours is asked over LSP as in `bench.places.server`, with a budget that
no machine exceeds; beside it llama.cpp with the same model file (`bench.bodies.peers`). A body is right if the program
passes its tests (`bench.sandbox`). Answers are written one by one, and what is in the file already is not asked again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench import inside
from bench.bodies.case import HALVES, Body, read_bodies
from bench.bodies.figures import judged, summarise
from bench.bodies.peers import Bodies
from bench.client import Json
from bench.options import finish, read_settings
from bench.places.case import Case
from bench.places.command import DEFAULT_SERVER, run_tool
from bench.places.server import STATES, Server
from bench.places.visit import Plan, Tool, read_rows
from bench.provenance import provenance

OURS, PEER = "completer", "llama.cpp"
UNHURRIED: Json = {"explicit_budget_ms": 60_000, "max_tokens": 64}
"""A busy machine must not change what is said; a block may have twice as many tokens as a line."""


def bodies(
    out: Annotated[Path, typer.Option(help="File of the answers (JSON lines); what it holds is not asked again.")],
    half: Annotated[str, typer.Option(help=f"{', '.join(HALVES)}: rules are made on the first one only.")] = "tune",
    cases_n: Annotated[int, typer.Option(help="How many cases, from the first one on; 0: all.")] = 0,
    tool: Annotated[list[str] | None, typer.Option(help=f"{OURS}, {PEER}; again for more. None: only the table.")] = None,
    state: Annotated[list[str] | None, typer.Option(help=f"Of ours: {', '.join(STATES)}; again for more.")] = None,
    form: Annotated[list[str] | None, typer.Option(help=f"Of {PEER}: {', '.join(Bodies.STATES)}. Default: all.")] = None,
    name: Annotated[str, typer.Option(help="What ours is called in the file, to tell runs apart.")] = OURS,
    server: Annotated[str, typer.Option(help="Command that starts our server on stdio.")] = DEFAULT_SERVER,
    options: Annotated[str, typer.Option(help="initializationOptions of our server, as JSON.")] = "",
    model: inside.Model = inside.DEFAULT_MODEL,
    limit_s: Annotated[float, typer.Option(help="Seconds after which no further case of a tool is begun.")] = 3600.0,
    threads: inside.Threads = 0,
) -> None:
    """Print how many bodies pass their tests, ours beside llama.cpp in three forms of the prompt."""
    if half not in HALVES:
        raise typer.BadParameter(f"no half {half!r}: one of {', '.join(HALVES)}")
    if unknown := set(tool or ()) - {OURS, PEER}:
        raise typer.BadParameter(f"no tool {sorted(unknown)}: {OURS} or {PEER}")
    found = [body for body in read_bodies() if body.half == half]
    chosen = found[: cases_n or None]
    n, file = inside.n_threads(threads), inside.locate_model(model).path
    settings = {"model": model, "threads": n, **UNHURRIED, **read_settings(options)}
    made = provenance(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    for one in tool or ():
        asked: Tool = Server(server, settings) if one == OURS else Bodies(file, n)
        states: Sequence[str] = (state or ("explicit-cold",)) if one == OURS else (form or Bodies.STATES)
        if one == OURS:
            inside.open_model(model)  # converts it, so that no start of the server has to
        plan = Plan(name if one == OURS else one, states, made["commit"], limit_s=limit_s)
        run_tool(asked, plan, [_case(body) for body in chosen], out)
    by_name = {body.name: body for body in chosen}
    figures = summarise(judged(read_rows(out), by_name))
    _show(figures)
    result = {**made, "settings": {"half": half, "server": server, "options": settings}, **figures}
    out.with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    finish(result)


def _case(body: Body) -> Case:
    path = f"{body.name.replace('/', '-')}/solution.py"
    return Case(body.name, "humaneval", path, "python", "line", "indent", "body", body.prefix, body.body, body.suffix)


def _show(found: Json) -> None:
    rows = []
    for name, f in found["arms"].items():
        low, high = f["interval"]
        passed = f"{f['passed']} = {f['passed'] / max(1, f['n']):.3f} ({low:.2f}–{high:.2f})"
        rows.append([name, str(f["n"]), passed, str(f["placeholders"]), str(f["empty"]), str(f["chars"]), f"{f['ms_p50']:.0f}"])
    columns = ("tool, state", "n", "passed", "placeholders", "nothing", "characters", "ms, p50")
    inside.console.print(inside.table("bodies", columns, rows))
    pairs = [[name, str(p["only_first"]), str(p["only_second"]), str(p["p"])] for name, p in found["pairs"].items()]
    inside.console.print(inside.table("pairs", ("first – second", "only first", "only second", "p"), pairs))

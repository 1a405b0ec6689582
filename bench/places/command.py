"""The answer at a new place: somebody goes to a place in a file and asks, at once or after a rest.

`python -m bench places`. Cases: `bench.places.pick`. The states in which our server is asked:
`bench.places.server`. Beside it llama.cpp with the same model file: `bench.places.peers`. Each tool runs
alone, in the order of `--tool`. Answers are written one by one, and what is in the file already is not asked
again: a long run may be cut into pieces, and the tables are drawn from the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer

from bench import inside
from bench.client import Json
from bench.options import finish, read_settings
from bench.peers.http import PeerError
from bench.places.case import Case, Hole, read_cases, write_cases
from bench.places.figures import summarise
from bench.places.peers import LlamaVim, Psm
from bench.places.pick import pick
from bench.places.server import STATES, Server
from bench.places.table import show
from bench.places.visit import Plan, Tool, read_rows, visit_all
from bench.provenance import provenance

OURS, PSM, VIM = "completer", "llama.cpp-psm", "llama.vim"
TOOLS = (PSM, VIM, OURS)
DEFAULT_SERVER = f"{shlex.quote(sys.executable)} -m completer lsp --in-process"


def places(
    cases: Annotated[Path, typer.Option(help="File of the cases (JSON lines): read, or written from --source.")],
    source: Annotated[list[Path] | None, typer.Option(help="Checkout to cut cases from; again for more.")] = None,
    cases_n: Annotated[int, typer.Option(help="Cases to cut; of a file that is there, how many to ask, from its top.")] = 400,
    kind: Annotated[str, typer.Option(help=f"What is cut out: {', '.join(get_args(Hole))}.")] = "line",
    seed: Annotated[int, typer.Option(help="Of the choice of files, lines and columns.")] = 1,
    out: Annotated[Path | None, typer.Option(help="File of the answers (JSON lines); what it holds is not asked again.")] = None,
    tool: Annotated[list[str] | None, typer.Option(help=f"{', '.join(TOOLS)}; again for more. None: only the tables.")] = None,
    state: Annotated[list[str] | None, typer.Option(help=f"{', '.join(STATES)}; again for more. Default: all.")] = None,
    beside: Annotated[list[Path] | None, typer.Option(help="Answers of other runs at the same cases, for the tables.")] = None,
    name: Annotated[str, typer.Option(help="What ours is called in the file, to tell runs apart.")] = OURS,
    server: Annotated[str, typer.Option(help="Command that starts our server on stdio.")] = DEFAULT_SERVER,
    options: Annotated[str, typer.Option(help="initializationOptions of our server, as JSON.")] = "",
    model: inside.Model = inside.DEFAULT_MODEL,
    restart: Annotated[int, typer.Option(help="Visits after which a tool is started anew; 0: never.")] = 0,
    limit_s: Annotated[float, typer.Option(help="Seconds after which no further case of a tool is begun.")] = 3600.0,
    threads: inside.Threads = 0,
) -> None:
    """Print how often the line at a new place is right, by tool and state, beside llama.cpp."""
    _check(kind, tool or (), state or ())
    chosen = _cases(cases, source or (), cases_n, kind, seed)
    if out is None:
        finish({"cases": _about(cases, chosen)})
        return
    n, file = inside.n_threads(threads), inside.locate_model(model).path
    settings = {"model": model, "threads": n, **read_settings(options)}
    made = provenance(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    for one in tool or ():
        asked, states = _open(one, server, settings, file, state or STATES)
        if one == OURS:
            inside.open_model(model)  # converts it, so that no start of the server has to
        plan = Plan(name if one == OURS else one, states, made["commit"], restart, limit_s)
        run_tool(asked, plan, chosen, out)
    names = {case.name for case in chosen}
    rows = [row for answers in (*(beside or ()), out) for row in read_rows(answers) if row["case"] in names]
    found = summarise(rows, PSM)
    show(found)
    result = {**made, "settings": {"server": server, "options": settings}, "cases": _about(cases, chosen), **found}
    out.with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    finish(result)


def _check(kind: str, tools: Sequence[str], states: Sequence[str]) -> None:
    for given, known, what in (([kind], get_args(Hole), "kind"), (tools, TOOLS, "tool"), (states, STATES, "state")):
        if unknown := set(given) - set(known):
            raise typer.BadParameter(f"no {what} {sorted(unknown)}: one of {', '.join(known)}")


def _cases(file: Path, sources: Sequence[Path], n: int, kind: str, seed: int) -> list[Case]:
    """Return the cases of a file, or cut them and write the file."""
    if not sources:
        try:
            return read_cases(file)[:n]
        except (OSError, ValueError, TypeError) as error:
            raise typer.BadParameter(f"no cases in {file} (cut them with --source): {error}") from None
    hole: Hole = "line" if kind == "line" else "line-end"
    cut = pick(sources, n, hole, seed)
    try:
        write_cases(cut, file)
    except FileExistsError:
        raise typer.BadParameter(f"{file} is there already: leave out --source, or name another file") from None
    return cut


def _open(name: str, server: str, settings: Json, model: Path, states: Sequence[str]) -> tuple[Tool, Sequence[str]]:
    if name == PSM:
        return Psm(model, settings["threads"]), Psm.STATES
    if name == VIM:
        return LlamaVim(model, settings["threads"]), LlamaVim.STATES
    cold_comes_twice = "explicit-again" in states
    return Server(server, settings), [one for one in states if one != "explicit-cold" or not cold_comes_twice]


def run_tool(tool: Tool, plan: Plan, cases: Sequence[Case], out: Path) -> None:
    """Visit the cases; a tool that cannot be started ends the program with one line."""
    try:
        asyncio.run(visit_all(tool, plan, cases, out))
    except (OSError, PeerError, TimeoutError) as error:
        inside.fail(f"{plan.name}: {type(error).__name__}: {error}")


def _about(file: Path, cases: Sequence[Case]) -> Json:
    """Return number, hash and make-up of the cases."""
    counts: Json = {}
    for part in ("source", "language", "hole", "place", "kind"):
        values = [getattr(case, part) for case in cases]
        counts[part] = {value: values.count(value) for value in sorted(set(values))}
    return {"file": file.name, "n": len(cases), "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), **counts}

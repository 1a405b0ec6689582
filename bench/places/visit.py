"""What a tool is to this bench, and the loop that visits every case with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Protocol

import psutil

from bench import inside
from bench.client import Json
from bench.peers.http import PeerError
from bench.places.case import Case
from bench.places.judge import judge

BLOCK = 40
"""Cases visited in one state before the next has its turn: too many for any cache to hold their text."""

Done = set[tuple[str, str, str]]
"""(tool, state, case) of the rows that are there already."""


class Reply(NamedTuple):
    """What a tool answered.

    text: what would be shown after the cursor ("": nothing).  problem: why nothing could be shown, or None.
    failed: the tool died or took too long; another run asks again.
    """

    text: str
    ms: float
    problem: str | None = None
    failed: bool = False


class Tool(Protocol):
    """What is asked at places; started and stopped as often as wanted."""

    async def start(self) -> None:
        """Start the process and load the model. Raises: OSError, PeerError, TimeoutError."""

    async def stop(self) -> None:
        """End the process."""

    def names(self, state: str) -> tuple[str, ...]:
        """Return the names of the answers that a visit in `state` gives."""

    async def visit(self, case: Case, state: str) -> dict[str, Reply]:
        """Ask at a place; return the answers by name. Raises: OSError, PeerError, TimeoutError."""


class Plan(NamedTuple):
    """What to do with a tool.

    restart: visits after which its process is replaced, 0: never.  limit_s: no visit begins later.
    """

    name: str
    states: Sequence[str]
    commit: str
    restart: int = 0
    limit_s: float = 1e9


async def visit_all(tool: Tool, plan: Plan, cases: Sequence[Case], out: Path) -> None:
    """Visit what `out` lacks and add the answers to it, one by one.

    A visit that fails is a row, too; the tool is then restarted, and another run asks again.
    Raises: OSError, PeerError, TimeoutError (the tool did not start).
    """
    _mend(out)
    done = {(row["tool"], row["state"], row["case"]) for row in read_rows(out) if not row["failed"]}
    todo = [(case, state) for case, state in _order(cases, plan.states) if not _is_done(done, plan.name, tool.names(state), case)]
    if not todo:
        return
    begun = perf_counter()
    await tool.start()
    try:
        with inside.bars() as bars, out.open("a", encoding="utf-8") as file:
            for i, (case, state) in enumerate(bars.track(todo, description=plan.name)):
                if perf_counter() - begun > plan.limit_s:
                    return
                if plan.restart and i and i % plan.restart == 0:
                    await _restart(tool)
                replies = await _visit(tool, case, state)
                for name, reply in replies.items():
                    file.write(json.dumps(_row(plan, name, case, reply), ensure_ascii=False) + "\n")
                file.flush()
    finally:
        await tool.stop()


async def _visit(tool: Tool, case: Case, state: str) -> dict[str, Reply]:
    begun = perf_counter()
    try:
        return await tool.visit(case, state)
    except (OSError, PeerError, TimeoutError) as error:
        failed = Reply("", (perf_counter() - begun) * 1e3, f"{type(error).__name__}: {error}"[:300], failed=True)
        await _restart(tool)
        return dict.fromkeys(tool.names(state), failed)


async def _restart(tool: Tool) -> None:
    await tool.stop()
    await tool.start()


def _order(cases: Sequence[Case], states: Sequence[str]) -> Iterator[tuple[Case, str]]:
    for first in range(0, len(cases), BLOCK):
        yield from ((case, state) for state in states for case in cases[first : first + BLOCK])


def _is_done(done: Done, tool: str, names: Sequence[str], case: Case) -> bool:
    return all((tool, name, case.name) in done for name in names)


def _row(plan: Plan, state: str, case: Case, reply: Reply) -> Json:
    about = {"language": case.language, "hole": case.hole, "place": case.place, "kind": case.kind}
    answer = {"ms": round(reply.ms, 1), "text": reply.text, "want": case.want, "problem": reply.problem, "failed": reply.failed}
    who = {"tool": plan.name, "state": state, "case": case.name, "commit": plan.commit}
    load = round(psutil.getloadavg()[0], 1)
    return {**who, "load": load, **about, **judge(case, reply.text), **answer}


def _mend(out: Path) -> None:
    """Take off a last line that was cut off when an earlier run was killed. Mutates: the file."""
    if out.exists() and not (data := out.read_bytes()).endswith(b"\n"):
        out.write_bytes(data[: data.rfind(b"\n") + 1])


def read_rows(out: Path) -> list[Json]:
    """Return the rows of a file of answers, [] without one. A last line that was cut off is left out."""
    if not out.exists():
        return []
    lines = out.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]

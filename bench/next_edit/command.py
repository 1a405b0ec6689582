"""`python -m bench next-edit`: the public scenarios, and cases of repositories, through the server's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.next_edit.drive import Typist, percentile
from bench.next_edit.histories import Outcome, cases
from bench.next_edit.histories import run as run_case
from bench.next_edit.scenarios import read_scenarios, summary
from bench.next_edit.scenarios import run as run_scenario


def next_edit(
    scenarios: Annotated[Path | None, typer.Option(help="Folder of public scenarios (.txtar).")] = None,
    repository: Annotated[list[Path] | None, typer.Option(help="Git directory with history; again for more.")] = None,
    cases_each: Annotated[int, typer.Option(help="Cases of each repository that want an edit, and quiet ones.")] = 60,
) -> None:
    """Offer next edits without a model; print exact, shown, right place and quiet rate, and milliseconds.

    The half of the scenarios on which gates may be tuned is reported apart from the other one.
    """
    typists: list[Typist] = []
    found: dict[str, Any] = {}
    if scenarios is not None:
        results = [run_scenario(one, _new(typists)) for one in read_scenarios(scenarios)]
        found["tuning"] = summary([result for result in results if result.scenario.is_tuning])
        found["other"] = summary([result for result in results if not result.scenario.is_tuning])
    for folder in repository or ():
        outcomes = [run_case(case, _new(typists)) for case in cases(folder, cases_each)]
        found[f"{folder.parent.name}/{folder.name}"] = _rates(outcomes)
    for name in ("key_ms", "find_ms"):
        times = [value for typist in typists for value in getattr(typist, name)]
        found[name] = {"p50": round(percentile(times, 0.5), 3), "p95": round(percentile(times, 0.95), 3)}
    typer.echo(json.dumps(found))


def _new(typists: list[Typist]) -> Typist:
    typists.append(Typist())
    return typists[-1]


def _rates(outcomes: list[Outcome]) -> dict[str, float]:
    wanted, quiet = [o for o in outcomes if o.wanted], [o for o in outcomes if not o.wanted]
    shown, places, exact = (sum(getattr(o, name) for o in wanted) for name in ("shown", "place", "exact"))
    return {
        **{"n_wanted": len(wanted), "shown": shown, "right_place": places, "exact": exact},
        **{"n_quiet": len(quiet), "false_alarms": sum(o.shown for o in quiet)},
    }

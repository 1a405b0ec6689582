"""`completer explain`: why a suggestion is what it is, or why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from completer.cli.complete import Trigger, with_completer
from completer.complete.explanation import Explanation
from completer.complete.pipeline import Pipeline
from completer.complete.quiet import Quiet
from completer.config import Settings
from completer.errors import ConfigError
from completer.system.console import json_for_console
from completer.types import Snapshot

REST_S = 60.0
"""The full window is prefilled first, as when a user rests at the place; a slow machine may need so long."""


@dataclass(frozen=True, slots=True)
class Form:
    """How to explain. texts: whether texts of the document and the model are printed, otherwise only their lengths are.

    trace: file for the steps of the request; None: none.
    """

    json: bool = False
    texts: bool = True
    trace: Path | None = None


class _Answer(NamedTuple):
    """An explanation, and the steps in the Trace Event Format."""

    why: Explanation | Quiet | str
    trace: dict[str, Any] | None


def run(snapshot: Snapshot, settings: Settings, trigger: Trigger, form: Form) -> None:
    """Request a suggestion at a place of a file, as an editor would, and explain it.

    Raises: CompleterError; ConfigError for a trace that cannot be written.
    """

    async def asked(completer: Pipeline) -> _Answer:
        return await _ask(completer, snapshot, trigger, to_its_end=form.trace is not None)

    found, trace = with_completer(settings, asked)
    if isinstance(found, Explanation) and not form.texts:
        found = found.without_texts()
    if form.json:
        plain = {"why": found.why, "reason": found.reason} if isinstance(found, Quiet) else found
        print(json_for_console(plain.as_dict() if isinstance(plain, Explanation) else plain, indent=2))
    else:
        show(Console(), found)
    if form.trace is not None:
        _write(form.trace, trace)


async def _ask(completer: Pipeline, snapshot: Snapshot, trigger: Trigger, *, to_its_end: bool) -> _Answer:
    """to_its_end: wait for what is decoded after the answer, which belongs to the steps."""
    completer.did_move_cursor(snapshot)
    await completer.settled(REST_S)
    await completer.complete(snapshot, explicit=trigger == "explicit")
    found = completer.explain(snapshot.uri)
    if to_its_end:
        await completer.settled(REST_S)
    answer = _Answer(found, completer.chrome_trace(snapshot.uri))
    completer.did_close(snapshot.uri)
    return answer


def _write(file: Path, trace: dict[str, Any] | None) -> None:
    """Raises: ConfigError."""
    if trace is None:
        raise ConfigError("there are no steps to write: the model was not asked")
    try:
        file.write_text(json.dumps(trace), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error


def show(console: Console, found: Explanation | Quiet | str) -> None:
    """Print an explanation as sections that are read from the cursor to the suggestion."""
    if isinstance(found, Quiet):
        console.print(Text(f"nothing is shown ({found.reason}): {found.why}"))
        return
    if isinstance(found, str):
        console.print(Text(f"nothing is shown: {found}"))
        return
    for title, values in (("cursor", found.cursor), ("prompt", found.prompt), ("generation", found.generation)):
        console.rule(title, align="left")
        console.print(Text("  ".join(f"{name}: {value!r}" for name, value in values.items())))
    console.rule("output of the model", align="left")
    words = Table("text", "probability", "line so far", box=None)
    for text, prob, joint in found.words:
        words.add_row(Text(repr(text)), f"{prob:.3f}", f"{joint:.3f}")
    console.print(words)
    console.rule("what was removed", align="left")
    for step in found.steps:
        console.print(Text(f"{step.stage}: {step.text!r} is left"))
    if not found.steps:
        console.print(Text("nothing"))
    console.rule("shown", align="left")
    console.print(Text(repr(found.shown) if found.shown else f"nothing: {found.why}"))

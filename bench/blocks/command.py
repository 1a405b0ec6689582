"""How much of a block to show: the model's answers to bodies cut out of real files, judged by rules.

`python -m bench blocks`. Bodies: `bench.blocks.pick`. Answers are recorded once (`bench.blocks.record`), one by one,
and what is in the file already is not asked again; the rules (`bench.blocks.rules`) are then judged without the
model, by what a reader accepts by word, line and whole.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bench import inside
from bench.blocks.pick import Body, pick, read, write
from bench.blocks.record import Form, Recorder
from bench.blocks.record import read as read_answers
from bench.blocks.record import write as write_answer

if TYPE_CHECKING:
    from completer.config import Settings


def blocks(
    cases: Annotated[Path, typer.Option(help="File of the bodies (JSON lines): read, or written from --source.")],
    answers: Annotated[Path, typer.Option(help="File of the answers (JSON lines); what it holds is not asked again.")],
    source: Annotated[list[Path] | None, typer.Option(help="Checkout to cut bodies from; again for more.")] = None,
    cases_n: Annotated[int, typer.Option(help="Bodies to cut; of a file that is there, how many to judge, from its top.")] = 80,
    seed: Annotated[int, typer.Option(help="Of the choice of files and bodies.")] = 1,
    form: Annotated[list[str] | None, typer.Option(help=f"{', '.join(get_args(Form))}; again for more.")] = None,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Whether missing answers are asked of the model.")] = True,
    limit_s: Annotated[float, typer.Option(help="Seconds after which no further body is asked.")] = 3600.0,
    model: inside.Model = inside.DEFAULT_MODEL,
    threads: inside.Threads = 0,
) -> None:
    """Print what a reader accepts of each block, by rule."""
    if source:
        write(pick(source, cases_n, seed), cases)
    found = read(cases)[:cases_n]
    if ask:
        from completer.config import Settings

        _ask(found, form or list(get_args(Form)), answers, model, Settings(threads=threads), limit_s)


def _ask(found: Sequence[Body], forms: Sequence[Form], answers: Path, model: str, settings: Settings, limit_s: float) -> None:
    """Record what `answers` lacks. Mutates: that file."""
    from completer.engines.factory import load
    from completer.generate.scheduler import LocalGenerator

    begun = time.perf_counter()
    known = {(said.name, said.form) for said in read_answers(answers)}
    loaded = load(inside.open_model(model), settings)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)
    recorder = Recorder(generator, loaded.tokenizer)
    try:
        todo = [(body, form) for body in found for form in forms if (body.name, form) not in known]
        with inside.bars() as bars:
            for body, form in bars.track(todo, description="bodies"):
                if time.perf_counter() - begun > limit_s:
                    break
                write_answer(recorder.ask(body, form), answers)
    finally:
        generator.close()

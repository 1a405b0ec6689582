"""How much of a block to show: the model's answers to bodies cut out of real files, judged by rules.

`python -m bench blocks`. Bodies: `bench.blocks.pick`. Answers are recorded once (`bench.blocks.record`), one by one,
and what is in the file already is not asked again; the rules (`bench.blocks.rules`) are then judged without the model.

now        today's rule: each word of a line is probable, with all of the line before it
at rest    what a user who rests gets (`completer.suggest.block_part`)
whole      all of it, as an explicit request shows it
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bench import inside
from bench.blocks.pick import Body, pick, read, write
from bench.blocks.record import Form, Recorder
from bench.blocks.record import read as read_answers
from bench.blocks.record import write as write_answer
from bench.blocks.rules import RULES, Answer, figures, grid
from bench.blocks.rules import answers as answers_of
from bench.client import Json
from bench.options import finish

if TYPE_CHECKING:
    from completer.config import Settings

N_BEST = 12
"""Rules of the grid that are printed."""


def blocks(
    cases: Annotated[Path, typer.Option(help="File of the bodies (JSON lines): read, or written from --source.")],
    answers: Annotated[Path, typer.Option(help="File of the answers (JSON lines); what it holds is not asked again.")],
    source: Annotated[list[Path] | None, typer.Option(help="Checkout to cut bodies from; again for more.")] = None,
    cases_n: Annotated[int, typer.Option(help="Bodies to cut; of a file that is there, how many to judge, from its top.")] = 80,
    seed: Annotated[int, typer.Option(help="Of the choice of files and bodies.")] = 1,
    form: Annotated[list[str] | None, typer.Option(help=f"{', '.join(get_args(Form))}; again for more.")] = None,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Whether missing answers are asked of the model.")] = True,
    try_all: Annotated[bool, typer.Option("--try-all", help="Judge a grid of rules, too, to choose from.")] = False,
    limit_s: Annotated[float, typer.Option(help="Seconds after which no further body is asked.")] = 3600.0,
    model: inside.Model = inside.DEFAULT_MODEL,
    threads: inside.Threads = 0,
) -> None:
    """Print what a reader takes of a block, by rule."""
    forms = [one for one in get_args(Form) if form is None or one in form]
    if source:
        write(pick(source, cases_n, seed), cases)
    bodies = read(cases)[:cases_n]
    if ask:
        from completer.config import Settings

        _ask(bodies, forms, answers, model, Settings(threads=threads), limit_s)
    found = list(answers_of(bodies, read_answers(answers)))
    result = {one: _judge([answer for answer in found if answer.form == one], try_all) for one in forms}
    for one, groups in result.items():
        _show(one, groups)
    finish(result)


def _judge(found: Sequence[Answer], try_all: bool) -> dict[str, Json]:
    """Return the figures of each rule, and by language those of the one at rest."""
    rules = {name: figures(found, rule) for name, rule in RULES.items()}
    languages = sorted({answer.language for answer in found})
    by_language = {
        f"{name}, {one}": figures([answer for answer in found if answer.language == one], RULES[name])
        for one in languages
        for name in ("now", "at rest")
    }
    tried = grid(found) if try_all else {}
    best = sorted(tried, key=lambda name: -tried[name]["worth"])[:N_BEST]
    return {**rules, **by_language, **{name: tried[name] for name in best}}


def _show(title: str, groups: Mapping[str, Json]) -> None:
    columns = ("n", "shown at", "shown", "by word", "by line", "whole", "wrong", "kept", "of visible", "lines found", "worth")
    rows = [
        [
            name,
            *(str(f[key]) for key in ("n", "shown_at", "shown", "word", "line", "whole")),
            f"{f['wrong_share']:.2f}",
            str(f["kept"]),
            f"{f['kept_share']:.2f}",
            f"{f['found']}/{f['lines']}",
            str(f["worth"]),
        ]
        for name, f in groups.items()
    ]
    inside.console.print(inside.table(f"bodies, {title}", ["rule", *columns], rows))


def _ask(found: Sequence[Body], forms: Sequence[Form], answers: Path, model: str, settings: Settings, limit_s: float) -> None:
    """Record what `answers` lacks. Mutates: that file."""
    from completer.engines.factory import load
    from completer.generate.scheduler import LocalGenerator

    begun = time.perf_counter()
    known = {(said.name, said.form) for said in read_answers(answers)}
    todo = [(body, form) for body in found for form in forms if (body.name, form) not in known]
    if not todo:
        return
    loaded = load(inside.open_model(model), settings)
    generator = LocalGenerator(loaded.engine, loaded.tokenizer)
    recorder = Recorder(generator, loaded.tokenizer)
    try:
        with inside.bars() as bars:
            for body, form in bars.track(todo, description="bodies"):
                if time.perf_counter() - begun > limit_s:
                    break
                write_answer(recorder.ask(body, form), answers)
    finally:
        generator.close()

"""`python -m bench traces ...`: make traces from sources, recordings and session logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.options import finish
from bench.record import trace_from_log
from bench.trace import Trace, TraceError, load, redact, save
from bench.traces_from_editing import convert, read_patches, typing_gaps_ms
from bench.typing_model import fit
from bench.typist import jump_session, mixed_session, rename_session, type_lines, with_origin

app = typer.Typer(help=__doc__, no_args_is_help=True)

Seed = Annotated[int, typer.Option(help="Same seed, same trace.")]


@app.command("type")
def type_command(
    source: Path,
    out: Path,
    language: Annotated[str, typer.Option(help="LSP language id.")],
    lines: Annotated[int, typer.Option(help="How many lines to type again.")] = 10,
    seed: Seed = 1,
    mixed: Annotated[bool, typer.Option("--mixed", help="With typos, pastes and undo.")] = False,
    repeating: Annotated[bool, typer.Option("--repeating", help="Only lines much like one close above.")] = False,
    origin: str = "",
    licence: str = "",
) -> None:
    """Type lines of SOURCE again, key by key."""
    text = source.read_text(encoding="utf-8")
    if mixed:
        trace = mixed_session(text, file=source.name, language=language, n_lines=lines, seed=seed)
    else:
        trace = type_lines(text, file=source.name, language=language, n_lines=lines, seed=seed, repeating=repeating)
    _leave(with_origin(trace, origin, licence), out)


@app.command("jumps")
def jumps_command(
    traces: Annotated[list[Path], typer.Argument(help="Traces whose files are opened.")],
    out: Annotated[Path, typer.Option(help="The trace to write.")],
    lines: Annotated[int, typer.Option(help="Places in each file.")] = 6,
    keys: Annotated[int, typer.Option(help="Keys typed at each place.")] = 8,
    seed: Seed = 1,
) -> None:
    """Jump between the files that TRACES open, and type at once: what a cold place costs."""
    sources = [load(path) for path in traces]
    trace = jump_session([source.events[0] for source in sources], n_lines=lines, n_keys=keys, seed=seed)
    licences = " / ".join(sorted({source.licence for source in sources}))
    _leave(with_origin(trace, "the files of " + ", ".join(path.name for path in traces), licences), out)


@app.command("rename")
def rename_command(
    trace: Annotated[Path, typer.Argument(help="Trace of the file in which to rename; as it is at its end.")],
    out: Annotated[Path, typer.Argument(help="The trace to write.")],
    old: Annotated[str, typer.Option(help="Identifier that is renamed.")],
    new: Annotated[str, typer.Option(help="What it is called from now on.")],
    seed: Seed = 1,
) -> None:
    """Rename an identifier by hand, place by place."""
    source = load(trace)
    opened = source.events[0]
    try:
        made = rename_session(source.texts()[0], old=old, new=new, file=opened.file, language=opened.language, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    _leave(with_origin(made, source.origin, source.licence), out)


@app.command()
def editing(
    recording: Path,
    out: Path,
    language: Annotated[str, typer.Option(help="LSP language id.")],
    file: Annotated[str, typer.Option(help="File name that the document gets.")],
    start: int = 0,
    count: int = 1500,
    exact: Annotated[bool, typer.Option("--exact", help="The stamps are milliseconds: keep them.")] = False,
    seed: Seed = 1,
) -> None:
    """Turn a part of a recording of josephg/editing-traces into a trace."""
    _leave(convert(recording, file=file, language=language, start=start, count=count, exact=exact, seed=seed), out)


@app.command()
def record(
    log: Path,
    out: Path,
    lengths_only: Annotated[bool, typer.Option("--lengths-only", help="Keep no text.")] = False,
) -> None:
    """Turn the session log that a server wrote into a trace."""
    try:
        trace = trace_from_log(log)
    except (OSError, TraceError) as error:
        raise typer.BadParameter(str(error)) from None
    _leave(redact(trace) if lengths_only else trace, out)


@app.command("fit")
def fit_command(recordings: list[Path]) -> None:
    """Fit the typing model to recordings with millisecond stamps."""
    gaps = [gap for path in recordings for gap in typing_gaps_ms(read_patches(path)[1])]
    model = fit(gaps)
    finish({"gaps": len(gaps), "mu": round(model.mu, 3), "sigma": round(model.sigma, 3)})


def _leave(trace: Trace, out: Path) -> None:
    save(trace, out)
    keys = sum(event.kind == "key" for event in trace.events)
    seconds = round(trace.events[-1].t_ms / 1e3, 1) if trace.events else 0
    finish({"trace": str(out), "events": len(trace.events), "keys": keys, "seconds": seconds})

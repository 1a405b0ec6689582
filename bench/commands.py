"""The commands of `python -m bench`. Progress goes to stderr; the last line of stdout is JSON."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bench import options as o
from bench.editor import EDITORS, Editor
from bench.replay import replay
from bench.results import build, write

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("replay")
def replay_command(
    server: o.Server = o.DEFAULT_SERVER,
    trace: o.Traces = None,
    editor: o.EditorName = "plain",
    closed: o.Closed = False,
    lines: o.Limit = 0,
    options: o.Settings = "",
    tcp: Annotated[str, typer.Option(help="HOST:PORT of a running server, instead of --server.")] = "",
    model: o.Model = None,
    out: o.Out = Path("out/bench/replay"),
) -> None:
    """Type traces into one language server and say what came back, when."""
    if editor not in EDITORS:
        raise typer.BadParameter(f"no editor {editor!r}: one of {', '.join(EDITORS)}")
    traces = o.read_traces(trace, lines)
    tool = Editor(server, EDITORS[editor], name="server", options=o.read_settings(options), tcp=tcp)
    with o.progress_bar(traces, [tool.name]) as progress:
        runs = asyncio.run(replay([tool], traces, closed=closed, progress=progress))
    settings = {"server": server, "editor": editor, "lines": lines, "options": o.read_settings(options)}
    result = build(runs, traces, settings=settings, closed=closed, model=model)
    write(result, runs, out)
    o.finish(result)

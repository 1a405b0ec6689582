"""The commands of `python -m bench`. Progress goes to stderr; the last line of stdout is JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench import options as o
from bench import trace_commands
from bench.compare import ratios
from bench.diagnose import diagnose
from bench.drive import Tool
from bench.editor import EDITORS
from bench.figures import Summary
from bench.gate import FLOORS, PATIENT, PATIENT_BUDGET_MS, check, read_floors, recorded
from bench.load import breaks_at, measure, read_token, serving
from bench.peers.registry import PEERS, make_peer
from bench.provenance import provenance
from bench.replay import replay
from bench.report import markdown as markdown_table
from bench.report import write_report
from bench.results import build, read_records
from bench.soak import soak
from bench.startup import Startup, folder_mb, start_once, summary

OURS = "completer"

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(trace_commands.app, name="traces")


@app.command("replay")
def replay_command(
    server: o.Server = o.DEFAULT_SERVER,
    trace: o.Traces = None,
    editor: o.EditorName = "plain",
    closed: o.Closed = False,
    lines: o.Limit = 0,
    options: o.Settings = "",
    tcp: Annotated[str, typer.Option(help="HOST:PORT of a running server, instead of --server.")] = "",
    token_file: o.TokenFile = None,
    model: o.Model = None,
    out: o.Out = Path("out/bench/replay"),
) -> None:
    """Type traces into one language server and say what came back, when."""
    traces = o.read_traces(trace, lines)
    tool = o.make_editor(server, editor, options, name="server", tcp=tcp, token=read_token(token_file))
    with o.progress_bar(traces, [tool.name]) as progress:
        runs = o.run(replay([tool], traces, closed=closed, progress=progress))
    settings = {"server": server, "editor": editor, "lines": lines, "options": options}
    result = build(runs, traces, settings=settings, closed=closed, model=model)
    o.leave(result, runs, out)


@app.command()
def peers(
    peer: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PEERS)} or none; again for more.")] = None,
    server: o.Server = o.DEFAULT_SERVER,
    trace: o.Traces = None,
    editor: o.EditorName = "plain",
    closed: o.Closed = False,
    lines: o.Limit = 0,
    options: o.Settings = "",
    model: o.Model = None,
    url: Annotated[str, typer.Option(help="A running llama-server, instead of one started from the wheel.")] = "",
    threads: Annotated[int, typer.Option(help="Threads of the started llama.cpp server.")] = 2,
    ours: Annotated[bool, typer.Option("--ours/--no-ours", help="Whether our server takes part.")] = True,
    variant: Annotated[list[str] | None, typer.Option(help="Our server with other settings, too: NAME=JSON.")] = None,
    out: o.Out = Path("out/bench/peers"),
) -> None:
    """Type the same traces into our server and into peers, in turn, in one run."""
    names = (peer or ["llama.vim"]) if peer != ["none"] else []
    for name in names:
        if name not in PEERS:
            raise typer.BadParameter(f"no peer {name!r}: one of {', '.join(PEERS)}")
    traces = o.read_traces(trace, lines)
    tools: list[Tool] = [o.make_editor(server, editor, options, name=OURS)] if ours else []
    for name, changed in map(o.read_variant, variant or ()):
        tools.append(o.make_editor(server, editor, changed, name=name))
    tools += [make_peer(name, model=model, url=url, threads=threads, closed=closed) for name in names]
    with o.progress_bar(traces, [tool.name for tool in tools]) as progress:
        runs = o.run(replay(tools, traces, closed=closed, progress=progress))
    settings = {"server": server, "editor": editor, "lines": lines, "options": options, "threads": threads}
    if variant:
        settings["variants"] = list(variant)
    result = build(runs, traces, settings=settings, closed=closed, model=model)
    result["ratios"] = ratios(result, OURS)
    o.leave(result, runs, out)


@app.command()
def report(
    result: Annotated[Path, typer.Argument(help="Folder with result.json and records.jsonl.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown instead of JSON.")] = False,
) -> None:
    """Draw the page and the PNG of an earlier run again, and say what dominates."""
    read = o.read_result(result)
    page = write_report(read, read_records(result / "records.jsonl"), result)
    if markdown:
        typer.echo(markdown_table(read))
        return
    found = {name: [asdict(f) for f in diagnose(tool)] for name, tool in read["tools"].items()}
    o.finish({"report": str(page), "diagnosis": found})


@app.command()
def gate(
    server: o.Server = o.DEFAULT_SERVER,
    model: o.Model = None,
    url: Annotated[str, typer.Option(help="A running llama-server, instead of one started from the wheel.")] = "",
    options: o.Settings = "",
    lines: Annotated[
        int, typer.Option(help="Lines typed of each trace; 1 takes about five minutes, most of them the peer's.")
    ] = 1,
    threads: Annotated[int, typer.Option(help="Threads of the started llama.cpp server.")] = 2,
    budget: Annotated[float, typer.Option(help="Begin no further trace after so many seconds of typing.")] = 900.0,
    record: Annotated[bool, typer.Option("--record", help="Move the floors to what was measured, less a fifth.")] = False,
    floors: Annotated[Path, typer.Option(help="The recorded floors.")] = FLOORS,
    out: o.Out = Path("out/bench/gate"),
) -> None:
    """Fail (status 1) when the ratio to the peer or the tokens fed per key are worse than recorded."""
    bounds = read_floors(floors)
    traces = o.read_traces(None, lines)
    patient = json.dumps(o.read_settings(options) | {"budget_ms": PATIENT_BUDGET_MS})
    tools: list[Tool] = [
        o.make_editor(server, "plain", options, name=OURS),
        o.make_editor(server, "plain", patient, name=PATIENT),
    ]
    tools += [make_peer(name, model=model, url=url, threads=threads, closed=True) for name in bounds["ratios"]]
    with o.progress_bar(traces, [tool.name for tool in tools]) as progress:
        runs = o.run(replay(tools, traces, closed=True, budget_s=budget, progress=progress))
    result = build(runs, traces, settings={"server": server, "lines": lines, "budget_s": budget}, closed=True, model=model)
    result["ratios"] = ratios(result, OURS)
    checks = check(result, bounds, OURS)
    result["checks"] = {c.name: c.ok for c in checks}
    for one in checks:
        o.console.print(str(one), highlight=False)
    if record:
        floors.write_text(json.dumps(recorded(result, bounds, OURS), indent=1) + "\n", encoding="utf-8")
    o.leave(result, runs, out)
    if not record and not all(c.ok for c in checks):
        raise typer.Exit(1)


@app.command("load")
def load_command(
    server: Annotated[
        str, typer.Option(help='Server command; with "{address}" in it one server for all, over TCP.')
    ] = "completer lsp --in-process --tcp {address} --token-file {token_file}",
    tcp: Annotated[str, typer.Option(help="HOST:PORT of a running server, instead of --server.")] = "",
    token_file: o.TokenFile = None,
    typists: Annotated[list[int] | None, typer.Option(help="How many at once; again for more. Default 1 2 4 8.")] = None,
    trace: o.Traces = None,
    editor: o.EditorName = "plain",
    lines: o.Limit = 3,
    out: o.Out = Path("out/bench/load"),
) -> None:
    """Let 1, 2, 4 and 8 people type at once and see where the server breaks."""
    if editor not in EDITORS:
        raise typer.BadParameter(f"no editor {editor!r}: one of {', '.join(EDITORS)}")
    traces = o.read_traces(trace, lines)

    async def all_steps() -> list[Summary]:
        async with serving(server, tcp, token_file) as target:
            return [await measure(target, n, traces, EDITORS[editor], warm_up_s=o.WARM_UP_S) for n in typists or [1, 2, 4, 8]]

    with o.console.status("typing"):
        steps = o.run(all_steps())
    settings = {"server": server, "editor": editor, "lines": lines}
    result = {**provenance(), "settings": settings, "steps": steps, "breaks_at": breaks_at(steps)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "load.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    o.finish(result)


@app.command()
def startup(
    server: o.Server = o.DEFAULT_SERVER,
    repeats: Annotated[int, typer.Option(help="Starts.")] = 3,
    options: o.Settings = "",
    folder: Annotated[Path | None, typer.Option(help="A folder or file whose size is printed too.")] = None,
) -> None:
    """Start the server several times: until it answers, until the model is ready, until the first suggestion."""
    settings = {"budget_ms": 60_000, "confidence": 0, **o.read_settings(options)}  # the first suggestion, however late

    async def all_runs() -> list[Startup]:
        return [await start_once(server, settings) for _ in range(repeats)]

    result = {**provenance(), "server": server, **summary(o.run(all_runs()))}
    o.finish(result if folder is None else {**result, "size_mb": folder_mb(folder)})


@app.command("soak")
def soak_command(
    server: o.Server = o.DEFAULT_SERVER,
    trace: o.Traces = None,
    warm: Annotated[int, typer.Option(help="Keys to type first: slots and caches fill up to their bounds.")] = 2000,
    keys: Annotated[int, typer.Option(help="Keys over which memory must stay flat.")] = 2000,
    idle: Annotated[float, typer.Option(help="Seconds of rest in which CPU time is counted.")] = 60.0,
    options: o.Settings = "",
    out: o.Out = Path("out/bench/soak"),
) -> None:
    """Type for long, then rest: memory must stay flat, an idle server must cost nothing."""
    traces = o.read_traces(trace)
    tool = o.make_editor(server, "plain", options, name="server")
    with o.bar("typing", warm + keys) as progress:
        found = o.run(soak(tool, traces, n_warm=warm, n_keys=keys, idle_s=idle, progress=progress))
    result = {**provenance(), "settings": {"server": server, "options": options}, **found.summary()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    o.finish(result)

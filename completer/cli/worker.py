"""`completer worker`: the engine process. `run` is it; the other commands speak to it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from completer.errors import ConfigError
from completer.system.user_settings import read_user_settings

if TYPE_CHECKING:
    from completer.worker.start import Place
    from completer.worker.wire import LoadedModel

app = typer.Typer(no_args_is_help=True)

LOG_BYTES = 1 << 20


@app.command()
def status() -> None:
    """Show the engine process: its models, their users, its memory."""
    from completer.worker import control

    report = control.ask(_place())
    if report is None:
        typer.echo("no engine process runs")
        return
    typer.echo(
        f"process {report.pid}, completer {report.version}, for {report.uptime_s / 60:.0f} min, "
        f"{report.memory_mb:.0f} MB, clients: {report.n_fronts}"
    )
    for model in report.models:
        typer.echo(_line(model))


@app.command()
def stop() -> None:
    """End the engine process. The next keystroke in any editor starts it again."""
    from completer.worker import control

    typer.echo("ended" if control.stop(_place()) else "no engine process ran")


@app.command()
def restart() -> None:
    """End the engine process and start a new one. Models are loaded again at the next keystroke."""
    from completer.worker import control, start

    place = _place()
    control.stop(place)
    start.attach(place).close()
    typer.echo("started")


@app.command(hidden=True)
def run(
    socket: Annotated[Path, typer.Option(help="Where to listen.")],
    log_file: Annotated[Path, typer.Option(help="Where to keep the log.")],
) -> None:
    """Be the engine process. Language servers start it; there is no need to do so by hand."""
    _start_logging(log_file)
    import asyncio
    import os

    from completer.cli.hosted import load_hosted
    from completer.system.private import listening_socket
    from completer.worker.server import Server

    sys.setswitchinterval(0.001)  # an answer that is ready must not wait for 5 ms of Python in the decoder
    with listening_socket(socket) as listening:
        asyncio.run(Server(listening, load_hosted).serve())
    logging.shutdown()
    os._exit(0)  # a download or a library's thread may go on, and nothing else is left to do


@app.command(hidden=True)
def llama_server() -> None:
    """Be llama.cpp's server for the process that started this and holds the other end of standard input."""
    from completer.engines.llama_cpp.child import main

    main()


def _line(model: LoadedModel) -> str:
    slots = f"slots: {model.n_slots} with {model.n_held} tokens"
    return f"  {model.name} on {model.engine}, clients: {model.n_fronts}, {slots}, idle for {model.idle_s:.0f} s"


def _place() -> Place:
    from completer.worker.start import is_possible, place_of

    if not is_possible():
        raise ConfigError("there are no Unix sockets here, so there is no engine process: each language server runs the engine")
    values, problems = read_user_settings()
    for problem in problems:
        typer.echo(f"completer: {problem}", err=True)
    return place_of(values.get("worker_python", ""))


def _start_logging(log_file: Path) -> None:
    import faulthandler
    from logging.handlers import RotatingFileHandler

    faulthandler.enable()
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    try:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = RotatingFileHandler(log_file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError:  # a cache folder that cannot be written costs the log
        logging.basicConfig(level=logging.WARNING, format=form)
    else:
        logging.basicConfig(level=logging.INFO, handlers=[handler], format=form)

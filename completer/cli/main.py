"""The command line: one function for each command. Errors are one line with the mend; `--debug` shows the traceback."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from completer import __version__
from completer.config import Settings, check, update
from completer.errors import BadPosition, CompleterError, ConfigError
from completer.system.console import escape_unprintable
from completer.system.user_settings import read_user_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

ModelOption = Annotated[str | None, typer.Option(help="Model id, GGUF file or Hugging Face folder.")]
EngineOption = Annotated[str | None, typer.Option(help="Engine, see `completer doctor`.")]
SetOption = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="Any setting; lists as JSON. May be repeated.")]


@app.command()
def lsp(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak over standard input and output (the default).")] = False,
    socket: Annotated[str, typer.Option(metavar="PATH|auto", help="Serve many clients of this user at a Unix socket.")] = "",
    tcp: Annotated[str, typer.Option(help="Serve many clients at HOST:PORT; each must send the token.")] = "",
    token_file: Annotated[Path | None, typer.Option(help="Where --tcp writes its token, instead of the runtime folder.")] = None,
    allow_remote: Annotated[bool, typer.Option(help="Let --tcp listen on an address other than loopback.")] = False,
    in_process: Annotated[bool, typer.Option("--in-process", help="Run the engine in this process.")] = False,
    model: ModelOption = None,
    engine: EngineOption = None,
    set_: SetOption = [],  # noqa: B006
    log_file: Annotated[Path | None, typer.Option(help="Write the log to this file instead of standard error.")] = None,
    verbose: Annotated[bool, typer.Option(help="Log every request (never text of documents).")] = False,
    record: Annotated[Path | None, typer.Option(help="Keep a log of this session, to be replayed; it holds your code.")] = None,
    lengths_only: Annotated[bool, typer.Option("--lengths-only", help="Record lengths in place of any text.")] = False,
) -> None:
    """Start the language server."""
    from completer.cli.lsp import Endpoint, serve

    endpoint = Endpoint(stdio, tcp, socket, token_file, allow_remote)
    serve(options_of(model, engine, set_), endpoint, log_file, verbose, record, lengths_only, in_process)


@app.command()
def complete(
    place: Annotated[str, typer.Argument(metavar="FILE:LINE:COL", help="Line and column from 1, columns in characters.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: ModelOption = None,
    engine: EngineOption = None,
    set_: SetOption = [],  # noqa: B006
) -> None:
    """Complete the code at a place of a file, and show what it took."""
    from completer.cli.complete import run

    file, line, column = parse_place(place)
    run(file, line, column, settings_of(model, engine, set_), json)


@app.command()
def explain(
    place: Annotated[str, typer.Argument(metavar="FILE:LINE:COL", help="Line and column from 1, columns in characters.")],
    trigger: Annotated[
        Literal["typing", "explicit"], typer.Option(help="Explain what you see while typing, or after an explicit request.")
    ] = "typing",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    no_text: Annotated[bool, typer.Option("--no-text", help="Print lengths instead of texts of the file and the model.")] = False,
    trace: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the steps for Perfetto; without any text.")] = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    set_: SetOption = [],  # noqa: B006
) -> None:
    """Explain the suggestion at a place of a file, or why there is none."""
    from completer.cli.complete import read_snapshot
    from completer.cli.explain import Form, run

    run(read_snapshot(*parse_place(place)), settings_of(model, engine, set_), trigger, Form(json, not no_text, trace))


@app.command()
def demo(model: ModelOption = None, engine: EngineOption = None, set_: SetOption = []) -> None:  # noqa: B006
    """Complete snippets in four languages with the real model."""
    from completer.cli.complete import run_demo

    run_demo(settings_of(model, engine, set_))


@app.command()
def doctor(model: ModelOption = None, engine: EngineOption = None, set_: SetOption = []) -> None:  # noqa: B006
    """Say what is installed, which engines can run here, and what this machine's speed means for the budget."""
    from completer.cli.doctor import run

    run(settings_of(model, engine, set_))


@app.command()
def stats(
    days: Annotated[int, typer.Option(min=1, max=90, help="How many days to look back.")] = 30,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Print the text format of Prometheus.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one self-contained page with plots.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date until you press Ctrl-C.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Delete the history.")] = False,
) -> None:
    """Show how fast answers come, what you accept, what runs, and what left the machine."""
    from completer.cli.stats import run

    if clear:
        typer.echo("deleted" if run.clear() else "there was no history")
        return
    run.run(settings_of(None, None, []), days, run.Form(json, prometheus, html, watch))


@app.command()
def setup(
    editor: Annotated[str, typer.Argument(help="vscode, neovim, emacs, helix, zed, jetbrains, sublime or kate.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Write the configuration, where that is safe.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take away what --write wrote.")] = False,
) -> None:
    """Print the configuration for an editor, write it, or remove it. Without an editor: list those of this machine."""
    from completer.cli.setup import run

    if write and remove:
        raise ConfigError("--write and --remove exclude each other: give one of them")
    if not editor:
        if write or remove:
            raise ConfigError("name the editor: `completer setup` lists those of this machine")
        run.list_editors()
        return
    try:
        typer.echo(run.write(editor) if write else run.remove(editor) if remove else "\n".join(run.show(editor)))
    except OSError as error:
        raise ConfigError(f"{error.filename or 'the file'} cannot be read or written: {error.strerror or error}") from error


def settings_of(model: str | None, engine: str | None, pairs: list[str]) -> Settings:
    """Return the settings of the user's file with those of the options, as `options_of`. Problems of the file go to stderr."""
    values, problems = read_user_settings()
    for problem in problems:
        typer.echo(f"completer: {problem}", err=True)
    return update(Settings(), values | options_of(model, engine, pairs))


def options_of(model: str | None, engine: str | None, pairs: list[str]) -> dict[str, Any]:
    """Return the checked settings that were given as options.

    pairs: NAME=VALUE, the value JSON or else a string.  Raises: ConfigError.
    """
    changes: dict[str, Any] = {name: value for name, value in (("model", model), ("engine", engine)) if value is not None}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair!r} is not NAME=VALUE: write for instance --set budget_ms=120")
        try:
            changes[name] = json_.loads(value)
        except ValueError:
            changes[name] = value
    values, problems = check(changes)
    if problems:
        raise ConfigError("; ".join(problems))
    return values


def parse_place(place: str) -> tuple[Path, int, int]:
    """Return file, line and column (from 1) of FILE:LINE:COL. Raises: BadPosition."""
    parts = place.rsplit(":", 2)
    if len(parts) != 3 or not parts[1].isdecimal() or not parts[2].isdecimal():
        raise BadPosition(f"{place!r} is not FILE:LINE:COL: write for instance src/main.py:12:5")
    return Path(parts[0]), int(parts[1]), int(parts[2])


def version_option(show: bool) -> None:
    if show:
        typer.echo(f"completer {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=version_option, is_eager=True, help="Show it.")] = False,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Code completion under 100 ms, from a model on your own machine."""


def main() -> None:
    """Run the command line; a CompleterError becomes one line on standard error and exit status 1."""
    from completer.cli.models import app as models
    from completer.cli.worker import app as worker

    escape_unprintable()
    app.add_typer(models, name="models", help="List, pull, verify and remove models.")
    app.add_typer(worker, name="worker", help="The engine process: show, stop and restart it.")
    try:
        app()
    except CompleterError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"completer: {error}", err=True)
        sys.exit(1)

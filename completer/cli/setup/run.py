"""`completer setup`: prints a guide, writes the configuration where that is safe, or takes it away. Asks nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from completer.cli.setup.editors import EDITORS, Editor, editor_named, where_found
from completer.cli.setup.guides import Guide, Programs, Target
from completer.cli.setup.host import Host, this_host
from completer.cli.setup.installation import Installation, this_installation
from completer.errors import CompleterError, ConfigError
from completer.system.marked_block import block, edit_file, with_block, without_block
from completer.system.programs import NEUTRAL_FOLDER, find_program

_PROGRAM_TIMEOUT_S = 120.0


def list_editors() -> None:
    """Print the editors of this machine, and the command for each."""
    host = this_host()
    table = Table("editor", "found", "set-up", box=None, pad_edge=False)
    missing = []
    for editor in EDITORS.values():
        if found := where_found(editor, host):
            table.add_row(editor.title, found, f"completer setup {editor.name}")
        else:
            missing.append(editor.name)
    console = Console()
    console.print(table if table.row_count else "none of the editors that completer knows was found", soft_wrap=True)
    if missing:
        console.print(f"\nnot found: {', '.join(missing)}", soft_wrap=True, highlight=False)
    console.print("\nThe command prints the configuration; with --write it writes it.", soft_wrap=True, highlight=False)


def show(name: str, host: Host | None = None, installation: Installation | None = None) -> Iterator[str]:
    """Yield the lines that tell how to set an editor up. Raises: ConfigError."""
    editor = editor_named(name)
    guide = editor.guide(host or this_host(), installation or this_installation())
    yield f"{editor.title}: {guide.gives}"
    if not guide.text:
        yield str(guide.writes)
        return
    if guide.before:
        yield f"Needs {guide.before}"
    yield f"Put this into {guide.place}:"
    yield ""
    yield block(guide.text, guide.writes.comment) if isinstance(guide.writes, Target) else guide.text
    yield ""
    yield f"To check it: {guide.check}."
    yield _about_writing(name, guide)


def write(name: str, host: Host | None = None, installation: Installation | None = None) -> str:
    """Write the configuration of an editor; return what was done. A second call changes nothing.

    Raises: ConfigError where that is not safe, with what to do instead; OSError.
    """
    editor, guide, how = _writing(name, host, installation)
    if isinstance(how, Programs):
        _start(editor, how.install)
        return f"The extension is installed. To check it: {guide.check}."
    try:
        done = edit_file(Path(how.file), lambda old: with_block(old, guide.text, how.comment, may_append=how.may_append))
    except CompleterError as error:
        raise ConfigError(f"{how.file} is left as it is: {error}; `completer setup {name}` prints it") from error
    if not done.changed:
        return f"{done.file} is up to date"
    kept = f"; what was there before is in {done.backup}" if done.backup else ""
    return f"{done.file} is written{kept}. To check it: {guide.check}."


def remove(name: str, host: Host | None = None, installation: Installation | None = None) -> str:
    """Take away what `write` wrote; return what was done. The rest of the file stays, byte for byte.

    Raises: ConfigError where that is not safe; OSError.
    """
    editor, _, how = _writing(name, host, installation)
    if isinstance(how, Programs):
        _start(editor, how.uninstall)
        return "The extension is removed"
    try:
        done = edit_file(Path(how.file), lambda old: without_block(old, how.comment))
    except CompleterError as error:
        raise ConfigError(f"{how.file} is left as it is: {error}") from error
    if not done.changed:
        return f"{done.file} holds no configuration of completer"
    kept = f"; what was there before is in {done.backup}" if done.backup else ""
    return f"The configuration is removed from {done.file}{kept}"


def _writing(name: str, host: Host | None, installation: Installation | None) -> tuple[Editor, Guide, Target | Programs]:
    editor = editor_named(name)
    guide = editor.guide(host or this_host(), installation or this_installation())
    if isinstance(guide.writes, str):
        raise ConfigError(f"nothing is written for {editor.title}: {guide.writes}; `completer setup {name}` tells what to do")
    return editor, guide, guide.writes


def _about_writing(name: str, guide: Guide) -> str:
    if isinstance(guide.writes, str):
        return f"--write does not do this: {guide.writes}."
    if isinstance(guide.writes, Programs):
        return f"`completer setup {name} --write` installs the extension."
    only = "" if guide.writes.may_append else ", unless that file is there already"
    return f"`completer setup {name} --write` does this for you{only}."


def _start(editor: Editor, arguments: tuple[str, ...]) -> None:
    """Run the editor's program, found by an absolute path, outside the working folder. Raises: ConfigError."""
    program = next(filter(None, map(find_program, editor.programs)), None)
    if program is None:
        raise ConfigError(f"{editor.title}'s command {editor.programs[0]!r} is not on the PATH: install it from the editor")
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd=NEUTRAL_FOLDER,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PROGRAM_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{program} cannot be run: {error}") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ConfigError(f"{program} failed with status {done.returncode}: {lines[-1] if lines else 'it printed nothing'}")

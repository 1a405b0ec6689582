"""The command `completer stats`: gathers the figures and shows them in one form."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from completer.cli.stats.figures import gather
from completer.cli.stats.table import tables
from completer.config import Settings
from completer.errors import ConfigError
from completer.system.console import json_for_console

WATCH_S = 2.0


@dataclass(frozen=True, slots=True)
class Form:
    """How to show the figures: at most one of these; none is a table."""

    json: bool = False
    prometheus: bool = False
    html: Path | None = None
    watch: bool = False

    def check(self) -> None:
        """Raises: ConfigError."""
        if sum((self.json, self.prometheus, self.html is not None, self.watch)) > 1:
            raise ConfigError("--json, --prometheus, --html and --watch exclude each other: choose one")


def run(settings: Settings, n_days: int, form: Form) -> None:
    """Show the figures of the last `n_days` days. Raises: HistoryError; ConfigError, also for a file that cannot be written."""
    form.check()
    if form.watch:
        _watch(settings, n_days)
        return
    figures = gather(settings, n_days)
    if form.json:
        print(json_for_console(figures.as_dict(), indent=2))
    elif form.prometheus:
        from completer.cli.stats.prometheus import exposition

        print(exposition(figures), end="")
    elif form.html is not None:
        from completer.cli.stats.page import page

        try:
            form.html.write_text(page(figures), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{form.html} cannot be written: {error.strerror}") from error
    else:
        Console().print(tables(figures))


def clear() -> bool:
    """Delete the history; return whether there was one. Raises: HistoryError; ConfigError."""
    from completer.history.database import clear as clear_file
    from completer.history.writer import history_path

    return clear_file(history_path())


def _watch(settings: Settings, n_days: int) -> None:
    """Show the table until interrupted, and read the file anew every WATCH_S seconds."""
    with contextlib.suppress(KeyboardInterrupt), Live(tables(gather(settings, n_days)), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_S)
            live.update(tables(gather(settings, n_days)), refresh=True)

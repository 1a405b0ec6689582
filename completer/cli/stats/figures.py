"""What `completer stats` shows, in whichever form: the history, the processes that run, and where prompts go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import msgspec
import psutil

from completer.config import Settings
from completer.engines.registry import leaves_machine
from completer.errors import CompleterError
from completer.history.summary import Summary, summarise
from completer.history.writer import history_path
from completer.worker import control, start
from completer.worker.wire import Report


@dataclass(frozen=True, slots=True)
class Process:
    """A language server of this user. memory_mb: resident."""

    pid: int
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Figures:
    """history_on: the setting `history`, as far as the settings file tells.  worker: None if none runs.

    left_machine: one sentence.
    """

    summary: Summary
    history_on: bool
    servers: tuple[Process, ...]
    worker: Report | None
    left_machine: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        summary = asdict(self.summary)
        summary["total"]["rate"] = self.summary.total.rate
        summary["by_day"] = [{**day, "day": day["day"].isoformat()} for day in summary["by_day"]]
        for language, acceptance in self.summary.languages.items():
            summary["languages"][language]["rate"] = acceptance.rate
        worker = None
        if self.worker is not None:
            worker = _fields(self.worker) | {"models": [_fields(model) for model in self.worker.models]}
        return {
            "history_in_settings_file": self.history_on,
            **summary,
            "servers": [asdict(server) for server in self.servers],
            "worker": worker,
            "left_machine": self.left_machine,
        }


def gather(settings: Settings, n_days: int) -> Figures:
    """Return the figures of now. Asks the worker, if it runs, and no editor. Raises: HistoryError; ConfigError."""
    summary = summarise(history_path(), n_days)
    return Figures(summary, settings.history, _servers(), _worker(settings), _left_machine(settings, summary))


def _servers() -> tuple[Process, ...]:
    """Return the language servers that run, of those processes that this user may see."""
    found = []
    for process in psutil.process_iter(["cmdline", "memory_info", "username"]):
        info = process.info
        if info["memory_info"] is not None and info["username"] == _USER and is_server(info["cmdline"] or ()):
            found.append(Process(process.pid, round(info["memory_info"].rss / 2**20, 1)))
    return tuple(found)


_USER = psutil.Process().username()


def is_server(command: Sequence[str]) -> bool:
    """Return whether a command line is that of a language server of ours: `completer lsp`, however it is started."""
    return any(PurePath(program).stem == "completer" and word == "lsp" for program, word in pairwise(command))


def _worker(settings: Settings) -> Report | None:
    if not start.is_possible():
        return None
    try:
        return control.ask(start.place_of(settings.worker_python))
    except (CompleterError, OSError):  # it does not answer, or cannot be there: `completer worker status` tells why
        return None


def _left_machine(settings: Settings, summary: Summary) -> str:
    if summary.n_remote:
        return f"prompts: {summary.n_remote} of {summary.n_answers} answers came from a server"
    if settings.engine != "auto" and leaves_machine(settings.engine):
        return f"prompts, if you type: the engine of the settings file is {settings.engine!r}"
    if summary.n_answers:
        return f"nothing: all {summary.n_answers} answers came from an engine on this machine"
    return "nothing, with an engine on this machine"


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}

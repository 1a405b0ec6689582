"""Language servers and their worker in folders of their own, for runs that try to break them: nothing of the user is touched.

With `tiny` the worker has the engine of tests/e2e/fake_worker.py, which needs no model and completes every text.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.client import CLIENT_KEY

END_S = 20.0


@dataclass(slots=True)
class Stand:
    """folder: holds sockets, cache, state and logs.  command: starts `completer lsp`, to which options are added."""

    folder: Path
    command: str
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        names = ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
        own = {name: str(self.folder / name[4:7].lower()) for name in names}
        if "worker_python" in self.settings:
            own["COMPLETER_CACHE"] = str(self.folder / "cache")
        return os.environ | own | {"COMPLETER_CLIENT_KEY": CLIENT_KEY}

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a language server; what it says goes to the folder."""
        for name in ("run", "con", "sta"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        given = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        log = (self.folder / "server.err").open("ab")
        with log:
            return subprocess.Popen(
                [*shlex.split(self.command), *given, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
            )

    def workers(self) -> list[psutil.Process]:
        """Return the workers of these servers."""
        return [one for one in self.processes() if "run" in (one.info["cmdline"] or [])]

    def processes(self) -> list[psutil.Process]:
        """Return every process that names the folder."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            if any(str(self.folder) in word for word in line) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def end(self) -> list[str]:
        """End the worker as a user would who logs out; return the command lines of what is left, which is killed."""
        for worker in self.workers():
            worker.terminate()
        until = time.monotonic() + END_S
        while self.processes() and time.monotonic() < until:
            time.sleep(0.1)
        left = self.processes()
        for process in left:
            process.kill()
        return [" ".join(process.info["cmdline"]) for process in left]


@contextmanager
def stand(server: str = "", tiny: str = "words") -> Iterator[Stand]:
    """Yield a stand; its processes and its folder are gone afterwards. server: its command, without options.

    tiny: which of the tiny models; "" for the user's settings.
    """
    with tempfile.TemporaryDirectory(prefix="c") as name:
        made = Stand(Path(name), server or f"{sys.executable} -m completer lsp")
        if tiny:
            from tests.e2e.fake_worker import interpreter  # a checkout has the tests, too

            made.settings = {"worker_python": interpreter(Path(name)), "model": tiny}
        try:
            yield made
        finally:
            made.end()

"""An interpreter for the setting `worker_python` that starts the real worker over a fake engine.

`interpreter(folder)` makes it; what it is told to run, `-P -m completer worker run …`, runs with another `load_hosted`.
The engine completes every text with the same words; with the model "echo", with what followed the same tokens
before, so that every suggestion is made of its document's own words. What goes wrong is told by `model` and by files:

    model crash     the process ends while the model is loaded
    model hungry    loading takes 4 GB, which the process may not have until there is a file `memory`
    model mapped    each forward reads a page of the mapped file `weights`, which loading writes
    file fail       one forward raises the exception that the file names, RuntimeError if it is empty
    file kill       each forward ends the process

The network use of the worker is noted in the file that AUDIT_FILE names, if it is set.
"""

from __future__ import annotations

import builtins
import mmap
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from completer.config import Settings
from completer.engines.base import Logits
from completer.engines.factory import Loaded, VocabularyFile
from completer.tokens.tokenizer import Tokenizer
from completer.types import Progress
from tests.fake_engine import FakeEngine

ROOT = Path(__file__).parents[2]
WORDS = "self.prefix + str(value)"
STEP_S = 0.002


class WordsEngine(FakeEngine):
    """Says WORDS, whatever the prompt is, then ends."""

    name = "words"
    weights: mmap.mmap | None = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer.vocab_size, n_slots=4, max_len=2048)
        ids = tokenizer.encode(WORDS)
        self._next = dict(zip(ids, [*ids[1:], min(tokenizer.fim.end)], strict=True))
        self._first = ids[0]

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        time.sleep(STEP_S)
        if (fail := folder() / "fail").exists():
            kind = getattr(builtins, fail.read_text() or "RuntimeError")
            fail.unlink()
            raise kind("the device failed")
        if (folder() / "kill").exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.weights is not None:
            self.weights[-mmap.PAGESIZE]
        return super().forward(slot, ids, n_logits)

    def logits_after(self, ids: Sequence[int]) -> Logits:
        logits = np.zeros(self.vocab_size, np.float32)
        logits[self._next.get(ids[-1], self._first)] = 20.0
        return logits


class EchoEngine(WordsEngine):
    """Goes on as the document did the last time when its last N_SAME tokens were there."""

    N_SAME = 3

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self._fim = tokenizer.fim

    def logits_after(self, ids: Sequence[int]) -> Logits:
        at = {id_: i for i, id_ in enumerate(ids) if id_ in (self._fim.prefix, self._fim.suffix, self._fim.middle)}
        begin = at.get(self._fim.prefix, -1) + 1
        seen = [*ids[begin : at.get(self._fim.suffix)], *(ids[at[self._fim.middle] + 1 :] if self._fim.middle in at else ())]
        same = seen[-self.N_SAME :]
        found = next((i for i in range(len(seen) - self.N_SAME - 1, -1, -1) if seen[i : i + self.N_SAME] == same), None)
        logits = np.zeros(self.vocab_size, np.float32)
        logits[min(self._fim.end) if found is None else seen[found + self.N_SAME]] = 20.0
        return logits


def load(settings: Settings, progress: Progress) -> Loaded:
    """Stands for `completer.assemble.load_engine`."""
    progress("loading", 0, 1)
    if settings.model == "crash":
        os._exit(3)
    if settings.model == "hungry":
        eat()
    path = folder() / "tokenizer.json"
    tokenizer = Tokenizer.load(path)
    engine = EchoEngine(tokenizer) if settings.model == "echo" else WordsEngine(tokenizer)
    if settings.model == "mapped":
        (folder() / "weights").write_bytes(bytes(64 * mmap.PAGESIZE))
        with (folder() / "weights").open("rb") as file:
            engine.weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Loaded(engine, tokenizer, settings.model, lambda _: None, vocabulary=VocabularyFile(path))


def folder() -> Path:
    return Path(os.environ["FAKE_WORKER_FOLDER"])


def eat() -> None:
    """Take 4 GB of address space; unless there is a file `memory`, the process may have only 1 GB more than now."""
    import resource

    here = psutil.Process().memory_info().vms
    most = resource.RLIM_INFINITY if (folder() / "memory").exists() else here + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    np.empty(4 << 30, np.uint8)


def interpreter(folder: Path) -> Path:
    """Write the interpreter and the vocabulary to `folder`; return its path."""
    from tests.tiny import tokenizer_text

    (folder / "tokenizer.json").write_text(tokenizer_text(), encoding="utf-8")
    program = folder / "python"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nsys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        f"os.environ['FAKE_WORKER_FOLDER'] = {str(folder)!r}\nimport fake_worker\nfake_worker.main()\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def main() -> None:
    """Run the command line that the interpreter was given."""
    assert sys.argv[1:4] == ["-P", "-m", "completer"], sys.argv
    del sys.argv[1:4]
    import audited

    audited.watch()
    from completer.cli import hosted
    from completer.cli.main import main as run

    hosted.load_engine = load  # type: ignore[assignment]
    run()

"""An interpreter for the setting `worker_python` that starts the real worker over a fake engine.

`interpreter(folder)` makes it; what it is told to run, `-P -m completer worker run …`, runs with another `load_hosted`.
The engine completes every text with the same words. `model` "crash" ends the process while it is loaded. A file `fail` in
the folder lets one forward raise. The network use of the worker is noted in the file that AUDIT_FILE names, if it is set.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer.vocab_size, n_slots=4, max_len=2048)
        ids = tokenizer.encode(WORDS)
        self._next = dict(zip(ids, [*ids[1:], min(tokenizer.fim.end)], strict=True))
        self._first = ids[0]

    def forward(self, slot: int, ids: Sequence[int], n_logits: int) -> Logits:
        time.sleep(STEP_S)
        if (fail := Path(os.environ["FAKE_WORKER_FOLDER"]) / "fail").exists():
            fail.unlink()
            raise RuntimeError("the device failed")
        return super().forward(slot, ids, n_logits)

    def logits_after(self, ids: Sequence[int]) -> Logits:
        logits = np.zeros(self.vocab_size, np.float32)
        logits[self._next.get(ids[-1], self._first)] = 20.0
        return logits


def load(settings: Settings, progress: Progress) -> Loaded:
    """Stands for `completer.assemble.load_engine`."""
    progress("loading", 0, 1)
    if settings.model == "crash":
        os._exit(3)
    path = Path(os.environ["FAKE_WORKER_FOLDER"]) / "tokenizer.json"
    tokenizer = Tokenizer.load(path)
    return Loaded(WordsEngine(tokenizer), tokenizer, settings.model, lambda _: None, vocabulary=VocabularyFile(path))


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

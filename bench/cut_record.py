"""Record what the model would say at many cursors, with its probabilities, so that stop rules can be compared without it.

`python -m bench cut-record`. Lines are chosen as in `bench.cursors`, a few neighbouring ones of each file; the cursor stands
at one random column, in some lines at every column. Decoding is greedy, anchored at the line's start, healed to the word's
start, and never cut: until a line break, an end token or MAX_TOKENS. One JSON line for each cursor; `cut-rules` reads them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bench import inside
from bench.corpus import Source, read_corpus
from bench.cursors import HEADER_LINES, MIN_BEHIND, column
from completer.engines.base import StepEngine
from completer.prompt.prompt import Window, build_prompt, set_anchor
from completer.tokens.prefix import common_length
from completer.tokens.tokenizer import Tokenizer
from completer.types import Prompt, Snapshot

WINDOW = Window(512, 160, full=True)
MAX_TOKENS = 32
N_TOP = 8
REGION_ROWS = 60
DRAFT_WIDTH = 7


@dataclass(frozen=True, slots=True)
class Spot:
    """A line to ask at. row: from 0.  every: at every column, not only at the random one `at`."""

    source: Source
    row: int
    at: int
    every: bool


def spots(source: Source, n_lines: int, n_every: int) -> list[Spot]:
    """Return `n_lines` lines of one region of the source, in their order; `n_every` of them are asked at every column."""
    rng = random.Random(source.name)
    lines = source.text.splitlines()
    first = rng.randrange(HEADER_LINES, max(HEADER_LINES + 1, len(lines) - REGION_ROWS))
    rows = list(range(first, min(first + REGION_ROWS, len(lines))))
    rng.shuffle(rows)
    chosen = [(row, at) for row in rows if (at := column(lines[row], rng)) is not None][:n_lines]
    return sorted((Spot(source, row, at, i < n_every) for i, (row, at) in enumerate(chosen)), key=lambda spot: spot.row)


def cursors(spot: Spot) -> Iterator[Snapshot]:
    """Yield the snapshots to ask at: as if the line were being typed, so nothing stands behind the cursor in its line."""
    lines = spot.source.text.splitlines(keepends=True)
    line = lines[spot.row].rstrip("\r\n")
    before = "".join(lines[: spot.row])
    after = spot.source.text[len(before) + len(line) :]
    indent = len(line) - len(line.lstrip())
    columns = range(indent, len(line.rstrip()) - MIN_BEHIND + 1) if spot.every else [spot.at]
    for at in columns:
        head = before + line[:at]
        yield Snapshot(spot.source.name, 1, spot.source.language, head + after, len(head))


class Recorder:
    """Asks one engine, greedily, and keeps the likeliest tokens of each step. Mutates: slot 0 of the engine."""

    def __init__(self, engine: StepEngine, tokenizer: Tokenizer) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._slot: list[int] = []
        self._last: list[int] = []

    def ask(self, prompt: Prompt) -> list[list[list[float]]]:
        """Return for each generated token the likeliest ids with their probabilities: [n_tokens][N_TOP][id, probability]."""
        context = list(prompt.ids[: len(prompt.ids) - prompt.n_heal])
        draft = self._draft(context)
        pending = prompt.heal_bytes
        generated: list[int] = []
        out: list[list[list[float]]] = []
        self._fill(context)
        while len(generated) < MAX_TOKENS:
            feed = [*context, *generated][len(self._slot) :]
            ahead = draft[len(generated) : len(generated) + DRAFT_WIDTH] if draft[: len(generated)] == generated else []
            logits = self._engine.forward(0, [*feed, *ahead], 1 + len(ahead))
            self._slot += [*feed, *ahead]
            for row in range(1 + len(ahead)):
                top = self._top(logits[row], pending)
                id_ = int(top[0][0])
                out.append(top)
                if id_ in self._tokenizer.fim.end or not self._tokenizer.token_bytes[id_]:
                    return self._end(context, generated, out)
                generated.append(id_)
                piece = self._tokenizer.token_bytes[id_]
                healed, pending = bool(pending), pending[len(piece) :]
                if b"\n" in piece and not healed:
                    return self._end(context, generated, out)
                if row < len(ahead) and ahead[row] != id_:
                    break
            self._truncate(len(context) + len(generated) - 1)
        return self._end(context, generated, out)

    def _end(self, context: list[int], generated: list[int], out: list[list[list[float]]]) -> list[list[list[float]]]:
        self._last = [*context, *generated]
        return out

    def _draft(self, context: list[int]) -> list[int]:
        return self._last[len(context) :] if self._last[: len(context)] == context else []

    def _fill(self, context: Sequence[int]) -> None:
        self._truncate(min(common_length(self._slot, context), len(context) - 1))
        feed = context[len(self._slot) : -1]
        if len(feed) > 8:
            for _ in self._engine.prefill(0, feed):
                pass
            self._slot += feed

    def _truncate(self, length: int) -> None:
        self._engine.truncate(0, length)
        del self._slot[length:]

    def _top(self, row: NDArray[np.float32], pending: bytes) -> list[list[float]]:
        row = row[: self._tokenizer.vocab_size]
        ids = self._tokenizer.index.allowed(pending) if pending else np.arange(len(row))
        scores = row[ids]
        top = np.argsort(-scores)[:N_TOP] if len(scores) <= N_TOP else np.argpartition(-scores, N_TOP)[:N_TOP]
        top = top[np.argsort(-scores[top])]
        total = float(np.exp(scores - scores[top[0]]).sum())
        return [[int(ids[i]), round(float(np.exp(scores[i] - scores[top[0]])) / total, 5)] for i in top]


def record(recorder: Recorder, tokenizer: Tokenizer, spot: Spot) -> Iterator[dict[str, Any]]:
    """Yield one record for each cursor of the spot."""
    line = spot.source.text.splitlines()[spot.row].rstrip()
    for snapshot in cursors(spot):
        anchor = set_anchor(snapshot, WINDOW, tokenizer)
        prompt = build_prompt(anchor, anchor.typed(snapshot), tokenizer)
        at = len(snapshot.line_prefix)
        yield {
            "file": spot.source.name,
            "language": spot.source.language,
            "row": spot.row,
            "column": at,
            "rest": line[at:],
            "random": at == spot.at,
            "every": spot.every,
            "heal": prompt.heal_bytes.decode("latin-1"),
            "tokens": recorder.ask(prompt),
        }


def cut_record(
    out: Annotated[Path, typer.Option(help="JSON lines are added here; files recorded already are left out.")],
    model: inside.Model = inside.DEFAULT_MODEL,
    files: Annotated[int, typer.Option(help="Files of each language.")] = 12,
    lines: Annotated[int, typer.Option(help="Lines of each file.")] = 5,
    every: Annotated[int, typer.Option(help="How many of them are asked at every column.")] = 2,
    language: Annotated[list[str] | None, typer.Option(help="Only these languages; again for more.")] = None,
    limit_s: Annotated[float, typer.Option(help="Begin no file later than this.")] = 280.0,
    threads: inside.Threads = 0,
    folder: inside.Folders = None,
) -> None:
    """Record the model's choices at many cursors inside lines, for `cut-rules`."""
    import time

    from completer.config import Settings
    from completer.engines.factory import load

    begun = time.perf_counter()
    corpus = read_corpus(files, folder or (), installed=not folder)
    known = {json.loads(row)["file"] for row in out.read_text().splitlines()} if out.exists() else set()
    sources = [s for rows in corpus.values() for s in rows if s.name not in known and (not language or s.language in language)]
    loaded = load(inside.open_model(model), Settings(threads=threads))
    recorder = Recorder(loaded.engine, loaded.tokenizer)
    out.parent.mkdir(parents=True, exist_ok=True)
    with inside.bars() as bars, out.open("a", encoding="utf-8") as file:
        for source in bars.track(sorted(sources, key=lambda s: s.name[::-1]), description="files"):
            if time.perf_counter() - begun > limit_s:
                break
            rows = [r for spot in spots(source, lines, every) for r in record(recorder, loaded.tokenizer, spot)]
            file.writelines(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)
            file.flush()
    loaded.engine.close()

"""What rounding the weights costs in quality: likelihood and choice of tokens of each format against bf16, on real code.

`python -m bench weights`. The text: windows of 512 tokens from the corpus (its rule is in `bench.corpus`), end to end
from the second window of each file (the first is licences and imports), the same number from each language. The
first token of a window is not scored. The reference is the lean decoder with the file's weights dequantised to bf16; for
a GGUF file these are rounded already, so what is measured is our own rounding on top.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from bench import inside
from bench.client import Json
from bench.corpus import Source, read_corpus, summary
from bench.formats import build
from bench.options import finish
from bench.provenance import provenance

if TYPE_CHECKING:
    from completer.engines.base import StepEngine

WINDOW_TOKENS = 512
PIECE = {"onnx": 8}
"""Tokens in one forward where that is not a whole window: onnxruntime's kernels are those of decoding only in short forwards."""
SCORED = ("bf16", "int8", "int4", "onnx")


@dataclass(frozen=True, slots=True)
class Score:
    """nll: [n] negative log-likelihood of each scored token.  choices: [n] likeliest id.  ms: of the whole text."""

    nll: NDArray[np.float64]
    choices: NDArray[np.int64]
    ms: float
    weight_bytes: int


def windows(corpus: dict[str, list[Source]], n: int, encode: Callable[[str], Sequence[int]]) -> list[list[int]]:
    """Return about `n` windows of WINDOW_TOKENS ids, equally many from each language, as evenly from its files as they allow."""
    per_language = math.ceil(n / len(corpus))
    chosen: list[list[int]] = []
    for sources in corpus.values():
        per_file = math.ceil(per_language / len(sources))
        found: list[list[int]] = []
        for source in sources:
            ids = list(encode(source.text))
            starts = range(WINDOW_TOKENS, len(ids) - WINDOW_TOKENS + 1, WINDOW_TOKENS)
            found += [ids[start : start + WINDOW_TOKENS] for start in starts[:per_file]]
        chosen += found[:per_language]
    return chosen


def score_rows(logits: NDArray[np.float32], following: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the NLL of the ids that follow and the likeliest ids. logits: [n, vocab], following: [n]."""
    top = logits.max(axis=1)
    spread = np.exp(logits - top[:, None]).sum(axis=1, dtype=np.float64)
    right = logits[np.arange(len(following)), np.asarray(following)]
    return top + np.log(spread) - right, logits.argmax(axis=1)


def score(engine: StepEngine, texts: Sequence[Sequence[int]], piece: int, step: Callable[[], None]) -> Score:
    """Return the scores of all `texts`, forwarded `piece` tokens at a time. Mutates: slot 0 of the engine."""
    nll, choices, ms = [], [], 0.0
    for ids in texts:
        engine.truncate(0, 0)
        for start in range(0, len(ids) - 1, piece):
            fed = ids[start : min(start + piece, len(ids) - 1)]
            begun = time.perf_counter()
            logits = engine.forward(0, fed, len(fed))
            ms += (time.perf_counter() - begun) * 1e3
            rows = score_rows(logits, ids[start + 1 : start + 1 + len(fed)])
            nll.append(rows[0])
            choices.append(rows[1])
        step()
    return Score(np.concatenate(nll), np.concatenate(choices), ms, 0)


def describe(found: Score, reference: Score) -> Json:
    """Return one format's part of the result. nll: nats per token; nll_more and agreement: against the reference."""
    n = len(found.nll)
    more = float(found.nll.mean() / reference.nll.mean() - 1)
    same = float((found.choices == reference.choices).mean())
    return {
        "tokens": n,
        "nll": round(float(found.nll.mean()), 5),
        "nll_more": round(more, 5),
        "agreement": round(same, 5),
        "ms_per_token": round(found.ms / n, 3),
        "weight_mb": round(found.weight_bytes / 1e6, 1),
    }


def weights(
    model: inside.Model = inside.DEFAULT_MODEL,
    subject: Annotated[list[str] | None, typer.Option("--format", help=f"{', '.join(SCORED)}; again for more.")] = None,
    tokens: Annotated[int, typer.Option(help="Tokens scored, about.")] = 8_000,
    threads: inside.Threads = 0,
    folder: inside.Folders = None,
) -> None:
    """Print the likelihood and the agreement with bf16 of each weight format on real code."""
    names = ["bf16", *(name for name in subject or SCORED if name != "bf16")]
    if unknown := set(names) - set(SCORED):
        raise typer.BadParameter(f"no format {sorted(unknown)}: one of {', '.join(SCORED)}")
    files = inside.open_model(model)
    n = inside.n_threads(threads)
    corpus = read_corpus(8, folder or ())
    texts: list[list[int]] = []
    scores: dict[str, Score] = {}
    with inside.bars() as bars:
        for name in names:
            task = bars.add_task(f"{name}: loading", total=None)
            built = build(name, files, n)
            texts = texts or windows(corpus, math.ceil(tokens / WINDOW_TOKENS), built.tokenizer.encode)
            bars.update(task, description=name, total=len(texts))
            found = score(built.engine, texts, PIECE.get(name, WINDOW_TOKENS), lambda task=task: bars.advance(task))  # type: ignore[misc]
            scores[name] = Score(found.nll, found.choices, found.ms, built.weight_bytes)
            built.engine.close()
            del built
            gc.collect()  # the next format may not fit beside this one
    formats = {name: describe(found, scores["bf16"]) for name, found in scores.items()}
    rows = [
        [
            name,
            f"{f['nll']:.4f}",
            f"{f['nll_more']:+.2%}",
            f"{f['agreement']:.2%}",
            f"{f['ms_per_token']:.2f}",
            f"{f['weight_mb']:.0f}",
        ]
        for name, f in formats.items()
    ]
    columns = ["weights", "NLL", "more", "same choice as bf16", "ms per token", "MB"]
    inside.console.print(inside.table(f"{len(scores['bf16'].nll)} tokens of code", columns, rows))
    settings = {"model": model, "threads": n, "window": WINDOW_TOKENS, "pieces": PIECE, "corpus": summary(corpus)}
    head = provenance(files.path if files.path.is_file() else None)
    finish({**head, "settings": settings, "formats": formats})


if __name__ == "__main__":
    typer.run(weights)

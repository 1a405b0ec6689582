"""Whether the engine of a graphics card computes what the CPU computes: `python -m bench logits --device cuda`.

The same weights both times: as the card holds them, and dequantised to float32 in the plain decoder on the CPU. Real code is
fed one window after the other as a decoder would: a prefill, then steps of 1 to 8 tokens. With `--device cpu` the card's own
static decoder runs on the CPU, without the capture. Ends with status 1 where the two part further than rounding explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bench import inside
from bench.client import Json
from bench.corpus import read_corpus
from bench.formats import ON_CUDA
from bench.options import finish
from bench.provenance import provenance
from bench.weights import windows

if TYPE_CHECKING:
    from completer.engines.base import StepEngine

PREFILLED = 256
STEPS = (1, 2, 3, 4, 5, 8, 8, 1)
MIN_COSINE, MIN_SAME = 0.98, 0.9
"""Median cosine and share of equal choices that bfloat16 activations leave; a wrong position or mask is far below."""


def fed_as_decoded(engine: StepEngine, ids: list[int]) -> NDArray[np.float32]:
    """Return the logits of the tokens behind the prefill, [sum of STEPS, vocab]. Mutates: slot 0."""
    engine.truncate(0, 0)
    for _ in engine.prefill(0, ids[:PREFILLED]):
        pass
    rows, at = [], PREFILLED
    for n in STEPS:
        rows.append(np.array(engine.forward(0, ids[at : at + n], n)))
        at += n
    return np.concatenate(rows)


def compare(fast: NDArray[np.float32], slow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the cosine and whether the choice is the same, for each row."""
    cosine = (fast * slow).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(slow, axis=1)
    return cosine, fast.argmax(1) == slow.argmax(1)


def logits(
    model: inside.Model = inside.DEFAULT_MODEL,
    weights: Annotated[str, typer.Option(help=f"{', '.join(ON_CUDA)}.")] = "bf16",
    device: Annotated[str, typer.Option(help="cuda, or cpu for the same decoder without a card.")] = "cuda",
    texts: Annotated[int, typer.Option(help="Windows of code.")] = 8,
) -> None:
    """Compare the logits of the static decoder on a device with the plain one on the CPU."""
    import torch

    from bench.engine import check_device
    from completer.engines.cuda.engine import CudaCapture, CudaEngine
    from completer.engines.cuda.load import make_slots, model_on
    from completer.engines.kv import KvSlots
    from completer.engines.lean.build import dense, lean_model
    from completer.engines.lean.decoder import LeanEngine
    from completer.engines.weights.checkpoint import open_checkpoint
    from completer.tokens.tokenizer import Tokenizer

    check_device(device)
    if weights not in ON_CUDA or (device == "cpu" and weights == "int4"):
        raise typer.BadParameter(f"--weights {weights} on {device}: one of {', '.join(ON_CUDA)} (int4: a card only)")
    files = inside.open_model(model)
    tokenizer = Tokenizer.load(files.converted / "tokenizer.json", files.entry.prompt if files.entry else "")
    chosen = windows(read_corpus(8, ()), texts, tokenizer.encode)
    place = torch.device(device)
    checkpoint = open_checkpoint(files.path)
    held = model_on(checkpoint, weights, place, with_plain=True)
    fast = CudaEngine(
        held, make_slots(held.spec, 0, place), place, tokenizer.vocab_size, CudaCapture() if device == "cuda" else None
    )
    found = [fed_as_decoded(fast, ids) for ids in inside.bars().track(chosen, description=device)]
    fast.close()
    exact = lean_model(checkpoint, dense(torch.float32))
    slow = LeanEngine(exact, KvSlots(exact.spec, 1, 1024))
    pairs = [compare(rows, fed_as_decoded(slow, ids)) for rows, ids in zip(found, chosen, strict=True)]
    result: Json = verdict(np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs]))
    rows = [[f"{weights} on {device}", *(f"{result[key]:.4f}" for key in ("cosine_p50", "cosine_min", "same_choice"))]]
    inside.console.print(inside.table(f"{result['tokens']} rows against float32 on the CPU", list(COLUMNS), rows))
    settings: dict[str, Any] = {"model": model, "weights": weights, "device": device}
    finish({**provenance(files.path if files.path.is_file() else None), "settings": settings, **result})
    if not result["right"]:
        inside.fail(f"the logits on {device} are not those of the CPU")


COLUMNS = ("engine", "cosine, p50", "cosine, least", "same choice")


def verdict(cosine: NDArray[np.float32], same: NDArray[np.bool_]) -> Json:
    """Return the figures, and whether they are what rounding explains."""
    middle, share = float(np.median(cosine)), float(same.mean())
    return {
        "tokens": len(cosine),
        "cosine_p50": round(middle, 5),
        "cosine_min": round(float(cosine.min()), 5),
        "same_choice": round(share, 4),
        "right": middle >= MIN_COSINE and share >= MIN_SAME,
    }


if __name__ == "__main__":
    typer.run(logits)

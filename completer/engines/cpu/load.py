"""Loads a model for the CPU: converts it if need be, and converts it again if the converted files are damaged."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from completer.config import Settings
from completer.engines.base import StepEngine
from completer.engines.cpu.phased import PendingPrefiller, PhasedEngine, Prefiller
from completer.engines.health import Health
from completer.engines.weights.converted import MAX_LEN as EXPORTED_LEN
from completer.engines.weights.converted import Damage, find_damage, withdraw
from completer.engines.weights.rowfile import RowFile
from completer.errors import (
    CompleterError,
    DownloadCancelled,
    EngineUnavailable,
    ModelError,
    OutOfMemory,
    in_words,
    is_out_of_memory,
)
from completer.models import store
from completer.models.store import ModelFiles
from completer.models.transfer import is_disk_full, no_space
from completer.system.cachefile import require_writable
from completer.system.cores import performance_cores
from completer.tokens.tokenizer import Tokenizer
from completer.types import Progress

if TYPE_CHECKING:
    from completer.engines.kv import KvSlots
    from completer.engines.lean.decoder import LeanEngine
    from completer.engines.weights.spec import ModelSpec

log = logging.getLogger(__name__)

MAX_LEN = 2048


def physical_threads(settings: Settings) -> int:
    """Return the number of threads for a CPU engine: the setting, or one for each performance core."""
    return settings.threads or performance_cores()


class LoadedConversion(NamedTuple):
    """An engine over converted files. health: is told what fails later, in the background."""

    engine: StepEngine
    tokenizer: Tokenizer
    health: Health


def load_converted(name: str, files: ModelFiles, settings: Settings, progress: Progress) -> LoadedConversion:
    """Return the engine `name` over our own form of the weights, and the tokenizer.

    The form is made first where it is missing or damaged. Where an engine cannot be made of it, every hash is compared:
    damaged files are made anew, once; files that are right are not the cause, and the error is passed on.
    Raises: HashMismatch where the pulled files are damaged, too; CacheError, ModelError, EngineError; they name the
    folder.
    """
    _ensure_converted(files, settings, progress)
    try:
        return _open(name, files, settings, progress)
    except DownloadCancelled:
        raise
    except Exception as error:
        damage = find_damage(files.converted, every_hash=True, progress=_hashing(progress))
        if damage is None:
            raise _not_loaded(files.converted, error) from error
        log.warning("%s, found as it could not be loaded: %s", damage, error)
        withdraw(damage)
    _ensure_converted(files, settings, progress)
    try:
        return _open(name, files, settings, progress)
    except DownloadCancelled:
        raise
    except Exception as error:
        raise _not_loaded(files.converted, error) from error


def condemn(damage: Damage) -> str:
    """Withdraw a conversion that is in use, so that the next start makes it anew; return what to tell the user."""
    withdraw(damage)
    return (
        f"{damage}: suggestions may be wrong; run 'completer worker restart' (with --in-process, restart the language server), "
        "and the model is converted anew"
    )


def _ensure_converted(files: ModelFiles, settings: Settings, progress: Progress) -> None:
    folder = files.converted
    damage = find_damage(folder, progress=_hashing(progress))
    if damage is None:
        return
    if folder.is_dir():
        log.warning("%s: the model is converted anew", damage)
        withdraw(damage)
    require_writable(folder.parent)  # before minutes of work
    if files.entry is not None:  # a damaged source would be converted without an error, into a model that talks nonsense
        store.verify(files.entry.id, progress)
    import torch

    from completer.engines.weights.convert import convert

    torch.set_num_threads(physical_threads(settings))
    try:
        convert(files.path, folder, progress)
    except CompleterError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise no_space(folder.parent, f"to convert {files.path}") from error
        if not isinstance(error, OSError):
            raise
        raise ModelError(
            f"{files.path} cannot be converted into {folder} ({error}): free space or mend permissions there, "
            "delete that folder, or set COMPLETER_CACHE to another one"
        ) from error


def _hashing(progress: Progress) -> Callable[[int, int], None]:
    return lambda done, total: progress("checking the converted files", done, total)


def _not_loaded(folder: Path, error: Exception) -> CompleterError:
    if isinstance(error, CompleterError):
        return error
    if is_out_of_memory(error):
        return OutOfMemory(f"the model in {folder} cannot be loaded: {in_words(error)}")
    return EngineUnavailable(
        f"the model in {folder}, whose files are undamaged, cannot be loaded ({type(error).__name__}: {error}): "
        "choose another engine (see 'completer doctor'), or delete the folder"
    )


def _open(name: str, files: ModelFiles, settings: Settings, progress: Progress) -> LoadedConversion:
    folder, health = files.converted, Health()
    progress("loading", 0, 1)
    # Three parts that hardly wait for each other: the vocabulary, torch with its packed rows, and the rest here.
    background = ThreadPoolExecutor(max_workers=2, thread_name_prefix="completer-background")
    try:
        tokenizer = background.submit(Tokenizer.load_quickly, folder / "tokenizer.json", files.fim)
        if name == "torch" and settings.weights in ("int4", "bf16"):
            engine: StepEngine = _build_from_source(files.path, settings)
        else:
            engine = _build(name, folder, settings, background, health)
        return LoadedConversion(engine, tokenizer.result(), health)
    finally:
        background.shutdown(wait=False)  # what was submitted goes on


def _build_from_source(path: Path, settings: Settings) -> StepEngine:
    """Return the lean decoder over weights rounded now: for comparisons, and for CPUs whose 8-bit kernels are slow."""
    import torch

    from completer.engines.lean.build import dense, int4, lean_model
    from completer.engines.lean.decoder import LeanEngine
    from completer.engines.lean.linear import Int4Linear
    from completer.engines.weights.checkpoint import open_checkpoint

    torch.set_num_threads(physical_threads(settings))
    checkpoint = open_checkpoint(path)
    four = settings.weights == "int4"
    model = lean_model(checkpoint, int4 if four else dense(torch.bfloat16), torch.bfloat16, Int4Linear if four else None)
    return LeanEngine(model, _slots(checkpoint.spec, settings))


def _slots(spec: ModelSpec, settings: Settings) -> KvSlots:
    from completer.engines.kv import KvSlots, n_slots_for

    max_len = min(MAX_LEN, EXPORTED_LEN, spec.max_positions)
    return KvSlots(spec, n_slots_for(spec, max_len, settings.kv_memory_mb), max_len)


def _build(name: str, folder: Path, settings: Settings, background: Executor, health: Health) -> StepEngine:
    """Return the engine over converted files. What "phased" prefills with is made in `background` and waited for later."""
    from completer.engines.weights.spec import ModelSpec

    spec = ModelSpec.from_json((folder / "spec.json").read_text(encoding="utf-8"))
    kv = _slots(spec, settings)
    embed = RowFile(folder / "embed.npy")
    if name == "torch":
        return _lean(folder, spec, embed, kv, settings, with_head=True)

    def make_prefiller() -> Prefiller:
        try:
            made = _lean(folder, spec, embed, kv, settings, with_head=False)
        except Exception as error:
            _report_prefiller(folder, error, health)
            raise
        gc.freeze()  # torch's modules live for ever: the collector need not walk them at some key
        return made

    making = background.submit(make_prefiller) if name == "phased" else None
    from completer.engines.cpu.ort import OnnxEngine

    decoder = OnnxEngine(folder / "decode.onnx", spec, embed, kv, physical_threads(settings))
    return PhasedEngine(decoder, PendingPrefiller(making, kv, decoder), name) if making else decoder


def _report_prefiller(folder: Path, error: Exception, health: Health) -> None:
    """Tell why the prefill engine is missing; where a file is the reason, the next start converts the model anew."""
    log.error("the prefill engine could not be loaded", exc_info=error)
    damage = find_damage(folder, every_hash=True)
    cause = f"{type(error).__name__}: {error}" if damage is None else condemn(damage)
    health.report(f"the prefill engine could not be loaded, new places take longer ({cause})")


def _lean(folder: Path, spec: ModelSpec, embed: RowFile, kv: KvSlots, settings: Settings, with_head: bool) -> LeanEngine:
    import torch
    from safetensors.torch import load_file

    from completer.engines.lean.decoder import Bfloat16Rows, LeanEngine
    from completer.engines.weights.convert import int8_model

    torch.set_num_threads(physical_threads(settings))
    rows = load_file(str(folder / "prefill.safetensors"))
    return LeanEngine(int8_model(spec, Bfloat16Rows(embed), rows, with_head), kv)

"""Builds the engine that the settings ask for. The only place that knows all engines by name."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from completer.config import Settings
from completer.engines.base import CostCurve, StepEngine, StreamEngine
from completer.engines.cpu.allocator import keep_freed_memory
from completer.engines.cpu.phased import PendingPrefiller, PhasedEngine, Prefiller
from completer.engines.measure import KeptCosts, measure_costs
from completer.engines.other.load import FOLDER_ENGINES, load_folder, open_lmdeploy
from completer.engines.registry import ENGINES, availability, has_cuda
from completer.engines.weights.converted import MAX_LEN as EXPORTED_LEN
from completer.engines.weights.converted import is_converted
from completer.engines.weights.rowfile import RowFile
from completer.errors import ConfigError, EngineUnavailable
from completer.models.store import ModelFiles
from completer.system.cachefile import require_writable
from completer.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from completer.engines.kv import KvSlots
    from completer.engines.lean.decoder import LeanEngine
    from completer.engines.weights.spec import ModelSpec

Progress = Callable[[str, int, int], None]
MAX_LEN = 2048


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run: its engine, its tokenizer, and the names to show."""

    engine: StepEngine
    tokenizer: Tokenizer
    model: str
    keep_costs: Callable[[CostCurve], None]
    """Keeps what the engine has learned of its costs for the next start."""


@dataclass(frozen=True, slots=True)
class Served:
    """As Loaded, for an engine that decodes for itself."""

    engine: StreamEngine
    tokenizer: Tokenizer
    model: str


def load_remote(settings: Settings, progress: Progress = lambda *_: None) -> Served:
    """Connect to the server that the settings name. Raises: ConfigError; ServerError and its kinds."""
    from completer.engines.remote.load import connect

    made = connect(settings, progress)
    return Served(made.engine, made.tokenizer, made.engine.model)


def load_lmdeploy(files: ModelFiles, settings: Settings, progress: Progress = lambda *_: None) -> Served:
    """Load the model in lmdeploy, which decodes for itself. Raises: as `load`."""
    resolve(settings)
    progress("loading", 0, 1)
    engine, tokenizer = open_lmdeploy(files, settings, MAX_LEN)
    progress("ready", 1, 1)
    return Served(engine, tokenizer, files.name)


def physical_threads(settings: Settings) -> int:
    """Return the number of threads for a CPU engine: the setting, or one for each core we may run on."""
    return settings.threads or len(os.sched_getaffinity(0))


def load(files: ModelFiles, settings: Settings, progress: Progress = lambda *_: None, measure: bool = False) -> Loaded:
    """Convert the model if that was not done yet, load it, and find out what it costs.

    progress: called with (what is being done, steps done, steps in all).  measure: anew, whatever was measured before.
    Raises: ConfigError for an unknown engine or one that streams; EngineUnavailable; ModelError; CacheError.
    """
    name, versions = resolve(settings)
    if ENGINES[name].streams:
        raise ConfigError(f"the engine {name!r} decodes for itself and forwards no single steps: choose another one for this")
    if name == "torch" and has_cuda():
        return _load_on_cuda(files, settings, progress)
    keep_freed_memory()
    if name in FOLDER_ENGINES:
        import torch

        torch.set_num_threads(physical_threads(settings))
        progress("loading", 0, 1)
        engine, tokenizer = load_folder(name, files, settings, MAX_LEN)
    else:
        engine, tokenizer = _load_converted(name, files, settings, progress)
    if files.converted.is_dir():
        key = f"{name} {settings.weights}, {physical_threads(settings)} threads, {versions}"
        kept = KeptCosts(files.converted / "costs.json", key)
        engine.costs = kept.read(lambda: measure_costs(engine), again=measure)
        keep = kept.write
    else:
        engine.costs = measure_costs(engine)
        keep = _forget
    progress("ready", 1, 1)
    return Loaded(engine, tokenizer, files.name, keep)


def _forget(costs: CostCurve) -> None:
    """Keep nothing: the model has no folder of ours."""


def resolve(settings: Settings) -> tuple[str, str]:
    """Return the name of the engine that the settings mean and the versions of its packages.

    Raises: ConfigError for an unknown engine; EngineUnavailable.
    """
    name = settings.engine
    if name == "auto":
        name = "torch" if has_cuda() else "phased"
    if name not in ENGINES:
        raise ConfigError(f"unknown engine {name!r}: choose one of auto, {', '.join(ENGINES)}")
    state = availability(name, try_import=False)
    if not state.available:
        raise EngineUnavailable(f"engine {name!r} cannot run here: {state.reason}")
    return name, state.version


def _load_converted(name: str, files: ModelFiles, settings: Settings, progress: Progress) -> tuple[StepEngine, Tokenizer]:
    """Return an engine over our own form of the weights, which is made first where it is not there yet."""
    folder = files.converted
    if not is_converted(folder):
        _convert(files.path, folder, settings, progress)
    progress("loading", 0, 1)
    # Three parts that hardly wait for each other: the vocabulary, torch with its packed rows, and the rest here.
    background = ThreadPoolExecutor(max_workers=2, thread_name_prefix="completer-background")
    tokenizer = background.submit(Tokenizer.load_quickly, folder / "tokenizer.json", files.fim)
    if name == "torch" and settings.weights in ("int4", "bf16"):
        engine: StepEngine = _build_from_source(files.path, settings)
    else:
        engine = _build(name, folder, settings, background)
    background.shutdown(wait=False)  # what was submitted goes on
    return engine, tokenizer.result()


def _convert(source: Path, folder: Path, settings: Settings, progress: Progress) -> None:
    require_writable(folder.parent)  # before minutes of work, and with a message that names the folder
    import torch

    from completer.engines.weights.convert import convert

    torch.set_num_threads(physical_threads(settings))
    convert(source, folder, progress)


def _load_on_cuda(files: ModelFiles, settings: Settings, progress: Progress) -> Loaded:
    """Load the model onto the graphics card, from its own files: nothing is converted."""
    from completer.engines.cuda.load import load_on_cuda
    from completer.engines.weights.checkpoint import open_checkpoint
    from completer.engines.weights.convert import write_tokenizer

    progress("loading", 0, 1)
    checkpoint = open_checkpoint(files.path, "cuda")
    with TemporaryDirectory() as folder:
        tokenizer = write_tokenizer(checkpoint, files.path, Path(folder), files.fim)
    engine = load_on_cuda(checkpoint, settings, tokenizer.vocab_size)
    engine.costs = measure_costs(engine)
    progress("ready", 1, 1)
    return Loaded(engine, tokenizer, files.name, _forget)


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


def _build(name: str, folder: Path, settings: Settings, background: Executor) -> StepEngine:
    """Return the engine over converted files. What "phased" prefills with is made in `background` and waited for later."""
    from completer.engines.weights.spec import ModelSpec

    spec = ModelSpec.from_json((folder / "spec.json").read_text(encoding="utf-8"))
    kv = _slots(spec, settings)
    embed = RowFile(folder / "embed.npy")
    if name == "torch":
        return _lean(folder, spec, embed, kv, settings, with_head=True)

    def make_prefiller() -> Prefiller:
        made = _lean(folder, spec, embed, kv, settings, with_head=False)
        gc.freeze()  # torch's modules live for ever: the collector need not walk them at some key
        return made

    making = background.submit(make_prefiller) if name == "phased" else None
    from completer.engines.cpu.ort import OnnxEngine

    decoder = OnnxEngine(folder / "decode.onnx", spec, embed, kv, physical_threads(settings))
    return PhasedEngine(decoder, PendingPrefiller(making, kv), name) if making else decoder


def _lean(folder: Path, spec: ModelSpec, embed: RowFile, kv: KvSlots, settings: Settings, with_head: bool) -> LeanEngine:
    import torch
    from safetensors.torch import load_file

    from completer.engines.lean.decoder import Bfloat16Rows, LeanEngine
    from completer.engines.weights.convert import int8_model

    torch.set_num_threads(physical_threads(settings))
    rows = load_file(str(folder / "prefill.safetensors"))
    return LeanEngine(int8_model(spec, Bfloat16Rows(embed), rows, with_head), kv)

"""Builds the engine that the settings name, with its tokenizer and its costs. Which engines there are: registry.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from completer.config import Settings
from completer.engines.base import CostCurve, StepEngine, StreamEngine
from completer.engines.cpu.allocator import keep_freed_memory
from completer.engines.cpu.load import MAX_LEN, load_converted, physical_threads
from completer.engines.health import Health
from completer.engines.measure import KeptCosts, measure_costs
from completer.engines.other.load import FOLDER_ENGINES, load_folder, open_lmdeploy
from completer.engines.registry import ENGINES, availability, has_cuda
from completer.errors import CacheError, ConfigError, EngineUnavailable
from completer.models.store import ModelFiles
from completer.system.cachefile import require_writable
from completer.tokens.tokenizer import Tokenizer
from completer.types import Progress


@dataclass(frozen=True, slots=True)
class VocabularyFile:
    """The tokenizer.json from which another process makes the same tokenizer. fim: its prompt format, "" to detect it.

    keeps: what is worked out of it may be kept beside it (`Tokenizer.load_quickly`).
    """

    path: Path
    fim: str = ""
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run: its engine, its tokenizer, and the names to show.

    converted: the folder of converted files that it runs from; None where it runs from the model's own files.
    health: what went wrong since.  vocabulary: None if the tokenizer comes from no file.
    """

    engine: StepEngine
    tokenizer: Tokenizer
    model: str
    keep_costs: Callable[[CostCurve], None]
    """Keeps what the engine has learned of its costs for the next start."""
    converted: Path | None = None
    health: Health = field(default_factory=Health)
    vocabulary: VocabularyFile | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """As Loaded, for an engine that decodes for itself."""

    engine: StreamEngine
    tokenizer: Tokenizer
    model: str
    vocabulary: VocabularyFile | None = None


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
    return Served(engine, tokenizer, files.name, VocabularyFile(files.path / "tokenizer.json", files.fim))


def load_llama_cpp(files: ModelFiles, settings: Settings, progress: Progress = lambda *_: None) -> Served:
    """Start llama.cpp's server over the model's GGUF file. Raises: as `load`; ServerError."""
    resolve(settings)
    from completer.engines.llama_cpp import load as llama_cpp

    header = llama_cpp.header_of(files)
    order = llama_cpp.order_for(files, settings, header, physical_threads(settings), MAX_LEN)
    progress("loading", 0, 1)
    path, tokenizer = llama_cpp.tokenizer_of(header, _folder_of_tokenizer(files), files.fim)
    engine = llama_cpp.open_engine(order, tokenizer, progress)
    progress("ready", 1, 1)
    return Served(engine, tokenizer, files.name, VocabularyFile(path, files.fim, keeps=True))


def load(files: ModelFiles, settings: Settings, progress: Progress = lambda *_: None, measure: bool = False) -> Loaded:
    """Convert the model if that was not done yet, load it, and find out what it costs.

    progress: called with (what is being done, steps done, steps in all).  measure: anew, whatever was measured before.
    Raises: ConfigError for an unknown engine or one that streams; EngineUnavailable; CacheError; ModelError, and of its
    kinds HashMismatch where a pulled model must be pulled again before it can be converted.
    """
    name, versions = resolve(settings)
    if ENGINES[name].streams:
        raise ConfigError(f"the engine {name!r} decodes for itself and forwards no single steps: choose another one for this")
    if name == "torch" and has_cuda():
        return _load_on_cuda(files, settings, progress)
    keep_freed_memory()
    health, converted = Health(), None
    if name in FOLDER_ENGINES:
        import torch

        torch.set_num_threads(physical_threads(settings))
        progress("loading", 0, 1)
        engine, tokenizer = load_folder(name, files, settings, MAX_LEN)
        vocabulary = VocabularyFile(files.path / "tokenizer.json", files.fim)
    else:
        engine, tokenizer, health = load_converted(name, files, settings, progress)
        converted = files.converted
        vocabulary = VocabularyFile(files.converted / "tokenizer.json", files.fim, keeps=True)
    if files.converted.is_dir():
        key = f"{name} {settings.weights}, {physical_threads(settings)} threads, {versions}"
        kept = KeptCosts(files.converted / "costs.json", key)
        engine.costs = kept.read(lambda: measure_costs(engine), again=measure)
        keep = kept.write
    else:
        engine.costs = measure_costs(engine)
        keep = _forget
    progress("ready", 1, 1)
    return Loaded(engine, tokenizer, files.name, keep, converted, health, vocabulary)


def _forget(costs: CostCurve) -> None:
    """Keep nothing: the model has no folder of ours."""


def resolve(settings: Settings) -> tuple[str, str]:
    """Return the name of the engine that the settings mean and the versions of its packages.

    Raises: ConfigError for an unknown engine; EngineUnavailable.
    """
    name = settings.engine
    if name == "auto":
        name = _automatic(settings)
    if name not in ENGINES:
        raise ConfigError(f"unknown engine {name!r}: choose one of auto, {', '.join(ENGINES)}")
    state = availability(name, try_import=False, llama_server=settings.llama_server)
    if not state.available:
        raise EngineUnavailable(f"engine {name!r} cannot run here: {state.reason}")
    return name, state.version


def _automatic(settings: Settings) -> str:
    """Return the engine that "auto" means: llama.cpp only if nothing faster can run here."""
    if has_cuda():
        return "torch"
    if availability("phased", try_import=False).available:
        return "phased"
    others = availability("llama.cpp", try_import=False, llama_server=settings.llama_server)
    return "llama.cpp" if others.available else "phased"


def _load_on_cuda(files: ModelFiles, settings: Settings, progress: Progress) -> Loaded:
    """Load the model onto the graphics card, from its own files: nothing is converted."""
    from completer.engines.cuda.load import load_on_cuda
    from completer.engines.weights.checkpoint import open_checkpoint
    from completer.engines.weights.convert import write_tokenizer

    progress("loading", 0, 1)
    checkpoint = open_checkpoint(files.path, "cuda")
    folder = _folder_of_tokenizer(files)
    tokenizer = write_tokenizer(checkpoint, files.path, folder, files.fim)
    engine = load_on_cuda(checkpoint, settings, tokenizer.vocab_size)
    engine.costs = measure_costs(engine)
    progress("ready", 1, 1)
    vocabulary = VocabularyFile(folder / "tokenizer.json", files.fim)
    return Loaded(engine, tokenizer, files.name, _forget, vocabulary=vocabulary)


def _folder_of_tokenizer(files: ModelFiles) -> Path:
    """Return a folder, made if need be, for the tokenizer.json of a model that is not converted; it stays."""
    folder = files.converted.with_name(f"{files.converted.name}-tokenizer")
    try:
        require_writable(folder)
    except CacheError:
        return Path(mkdtemp(prefix="completer-"))
    return folder

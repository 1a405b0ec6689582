"""Engines of other libraries over a Hugging Face folder as it is: nothing is converted, the library reads the weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from completer.config import Settings
from completer.engines.base import StepEngine, StreamEngine
from completer.engines.registry import cuda_name
from completer.errors import ConfigError, UnsupportedModel
from completer.models.store import ModelFiles
from completer.tokens.tokenizer import Tokenizer


def load_folder(name: str, files: ModelFiles, settings: Settings, max_len: int) -> tuple[StepEngine, Tokenizer]:
    """Return one of FOLDER_ENGINES over the folder, and its tokenizer.

    Raises: UnsupportedModel, ModelError, ConfigError, EngineError.
    """
    tokenizer = _vocabulary(name, files)
    return FOLDER_ENGINES[name](name, files.path, settings, max_len), tokenizer


def open_lmdeploy(files: ModelFiles, settings: Settings, max_len: int) -> tuple[StreamEngine, Tokenizer]:
    """Return lmdeploy over the folder, and its tokenizer. Raises: as `load_folder`."""
    from completer.engines.other.lmdeploy import Library, open_engine

    tokenizer = _vocabulary("lmdeploy", files)
    return open_engine(Library(), files.path, max_len, int(settings.kv_bits)), tokenizer


def _vocabulary(name: str, files: ModelFiles) -> Tokenizer:
    """Return the folder's tokenizer; asked for first, it tells quickly that a model cannot fill in the middle."""
    vocabulary = files.path / "tokenizer.json"
    if not vocabulary.is_file():
        raise UnsupportedModel(f"the engine {name!r} needs a Hugging Face folder with a tokenizer.json; {files.path} is none")
    return Tokenizer.load(vocabulary, files.fim)


def _hf(name: str, folder: Path, settings: Settings, max_len: int) -> StepEngine:
    from completer.engines.other.hf import HfEngine, open_model

    if settings.weights not in ("auto", "bf16"):
        raise ConfigError(f"the engine {name!r} has no weights {settings.weights!r}: choose auto or bf16")
    model = open_model(folder, "cuda" if cuda_name() else "cpu", settings.weights == "bf16")
    return HfEngine(model, max_len, settings.kv_memory_mb)


def _exllama(name: str, folder: Path, settings: Settings, max_len: int) -> StepEngine:
    from completer.engines.other.exllama import open_engine

    return open_engine(name, importlib.import_module(name), folder, max_len, settings.kv_memory_mb, int(settings.kv_bits))


FOLDER_ENGINES: dict[str, Callable[[str, Path, Settings, int], StepEngine]] = {
    "hf": _hf,
    "exllamav2": _exllama,
    "exllamav3": _exllama,
}

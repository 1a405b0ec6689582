"""Engines of other libraries over a Hugging Face folder as it is: nothing is converted, the library reads the weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from completer.config import Settings
from completer.engines.base import StepEngine
from completer.engines.registry import cuda_name
from completer.errors import ConfigError, UnsupportedModel
from completer.store import ModelFiles
from completer.tokenizer import Tokenizer


def load_folder(name: str, files: ModelFiles, settings: Settings, max_len: int) -> tuple[StepEngine, Tokenizer]:
    """Return one of FOLDER_ENGINES over the folder, and its tokenizer.

    Raises: UnsupportedModel, ModelError, ConfigError, EngineError.
    """
    vocabulary = files.path / "tokenizer.json"
    if not vocabulary.is_file():
        raise UnsupportedModel(f"the engine {name!r} needs a Hugging Face folder with a tokenizer.json; {files.path} is none")
    tokenizer = Tokenizer.load(vocabulary, files.fim)  # first: it tells quickly that a model cannot fill in the middle
    return FOLDER_ENGINES[name](name, files.path, settings, max_len), tokenizer


def _hf(name: str, folder: Path, settings: Settings, max_len: int) -> StepEngine:
    from completer.engines.hf import HfEngine, open_model

    if settings.weights not in ("auto", "bf16"):
        raise ConfigError(f"the engine {name!r} has no weights {settings.weights!r}: choose auto or bf16")
    model = open_model(folder, "cuda" if cuda_name() else "cpu", settings.weights == "bf16")
    return HfEngine(model, max_len, settings.kv_memory_mb)


def _exllama(name: str, folder: Path, settings: Settings, max_len: int) -> StepEngine:
    from completer.engines.exllama import open_engine

    return open_engine(name, importlib.import_module(name), folder, max_len, settings.kv_memory_mb, int(settings.kv_bits))


FOLDER_ENGINES: dict[str, Callable[[str, Path, Settings, int], StepEngine]] = {
    "hf": _hf,
    "exllamav2": _exllama,
    "exllamav3": _exllama,
}

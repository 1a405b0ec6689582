"""From settings to a remote engine with a tokenizer that fits the model it serves."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from completer.config import Settings
from completer.engines.remote.bearer import Bearer
from completer.engines.remote.engine import RemoteEngine
from completer.engines.remote.link import Link
from completer.engines.remote.probe import Server, ask_server, has_vocabulary, measure_costs
from completer.engines.remote.vocabulary import stand_in
from completer.errors import ConfigError
from completer.models.manifest import ModelEntry, load_manifest
from completer.models.store import model_dir
from completer.tokens.tokenizer import Tokenizer
from completer.types import Progress

_SIZE = re.compile(r"-\d+(\.\d+)?b\b")
_SUFFIX = re.compile(r"-(base|instruct|awq|gptq|gguf)$")


@dataclass(frozen=True, slots=True)
class Connected:
    """A server that answers: the engine over it, and the tokenizer that cuts its prompts."""

    engine: RemoteEngine
    tokenizer: Tokenizer


def link_of(settings: Settings) -> Link:
    """Return the link that the settings describe; nothing is connected yet. Raises: ConfigError."""
    bearer = Bearer(settings.token_env, settings.token_command)
    return Link(settings.endpoints, bearer, settings.tls_ca, settings.session_header)


def connect(settings: Settings, progress: Progress = lambda *_: None) -> Connected:
    """Ask the server what it is and measure what it costs. Blocks for a few round trips and three short requests.

    Raises: ConfigError, ServerError and its kinds.
    """
    return asyncio.run(_connect(settings, progress))


async def _connect(settings: Settings, progress: Progress) -> Connected:
    link = link_of(settings)
    progress("connecting", 0, 2)
    try:
        file = tokenizer_file(settings.model)
        server = await ask_server(link, settings.dialect, "auto" if file else _plain(settings.model))
        tokenizer = Tokenizer.load(file) if file else tokenizer_for(settings.model, server.model)
        progress("measuring", 1, 2)
        engine = await engine_over(link, server, tokenizer)
        progress("ready", 2, 2)
        return Connected(engine, tokenizer)
    finally:
        await link.close()  # the engine's own event loop opens it again


async def engine_over(link: Link, server: Server, tokenizer: Tokenizer) -> RemoteEngine:
    """Return the engine over a server, its costs measured by three short requests. Raises: ServerError and its kinds."""
    same = await has_vocabulary(link, server, tokenizer)
    engine = RemoteEngine(link, server.dialect, server.model, tokenizer, server.max_len, same_vocabulary=same)
    engine.costs = await measure_costs(engine, tokenizer)
    return engine


def tokenizer_file(model: str) -> Path | None:
    """Return the tokenizer.json that the setting names: the file, or one in the folder; None for a model id."""
    if any(entry.id == model for entry in load_manifest()):  # a workspace may name an id, and hold a folder of that name
        return None
    path = Path(model).expanduser()
    for file in (path, path / "tokenizer.json"):
        if file.name == "tokenizer.json" and file.is_file():
            return file
    return None


def tokenizer_for(model: str, served: str) -> Tokenizer:
    """Return the vocabulary of the served model's family from a model pulled here, else a substitute.

    Raises: ConfigError when neither the setting nor the served name tells the family.
    """
    name = served if model == "auto" else model
    entry = family_of(name) or family_of(served)
    if entry is None:
        raise ConfigError(
            f"which fill-in-the-middle format {name!r} was trained on is not known: set 'model' to an id of its family "
            "('completer models list') or to its tokenizer.json"
        )
    for relative in _stems(entry):
        for part in ("converted", "files"):
            file = model_dir(relative) / part / "tokenizer.json"
            if file.is_file():
                return Tokenizer.load(file, entry.prompt)
    return stand_in(entry.prompt)


def family_of(name: str) -> ModelEntry | None:
    """Return the manifest's entry nearest to a model name: of the same family, if possible of the same size."""
    plain = _plain(name)
    fitting = [entry for entry in load_manifest() if _stem(entry.id) in plain]
    return max(fitting, key=lambda entry: (_plain(entry.id) in plain, len(_stem(entry.id))), default=None)


def _stems(entry: ModelEntry) -> list[str]:
    """Return the ids of the family's models, which share one vocabulary; whether the server has it, it is asked."""
    return [other.id for other in load_manifest() if _stem(other.id) == _stem(entry.id)]


def _plain(name: str) -> str:
    plain = name.lower().replace("_", "-")
    while (shorter := _SUFFIX.sub("", plain)) != plain:
        plain = shorter
    return plain


def _stem(model_id: str) -> str:
    return _SIZE.split(model_id, maxsplit=1)[0]

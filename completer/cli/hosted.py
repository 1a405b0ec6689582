"""A loaded model as the worker hosts it: what `completer.assemble` loads, in the words of `completer.worker.models`."""

from __future__ import annotations

from completer.assemble import Running, checked, load_engine, make_generator
from completer.config import Settings
from completer.engines.base import CostCurve
from completer.engines.factory import Loaded
from completer.errors import EngineUnavailable
from completer.generate.scheduler import LocalGenerator
from completer.generate.stream import StreamGenerator
from completer.tokens.vocabulary import checksum
from completer.types import Progress
from completer.worker.models import SharedGenerator
from completer.worker.wire import Ready, Vocabulary


class HostedModel:
    """See `completer.worker.models.Hosted`."""

    generator: SharedGenerator

    def __init__(self, running: Running) -> None:
        """Raises: EngineUnavailable for an engine that runs elsewhere."""
        loaded, generator = running.loaded, running.generator
        if loaded.vocabulary is None or not isinstance(generator, LocalGenerator | StreamGenerator):
            raise EngineUnavailable(f"the engine {loaded.engine.name!r} does not run in the engine process")
        self.generator = generator
        self.vocab_size = loaded.tokenizer.vocab_size
        self._running = running
        file, words = loaded.vocabulary, checksum(loaded.tokenizer.token_bytes)
        vocabulary = Vocabulary(str(file.path), file.fim, file.keeps, words)
        engine = loaded.engine
        self.description = Ready(loaded.model, engine.name, engine.max_len, generator.avoids, vocabulary, engine.costs)

    def costs(self) -> CostCurve:
        return self._running.loaded.engine.costs

    def message(self) -> str:
        loaded = self._running.loaded
        health = loaded.health.message if isinstance(loaded, Loaded) else ""
        return health or self.generator.message

    def close(self) -> None:
        self._running.close()


def load_hosted(settings: Settings, progress: Progress) -> HostedModel:
    """Return the model that the settings name, loaded and at work. Blocks. Raises: CompleterError."""
    loaded = load_engine(settings, progress)
    return HostedModel(checked(Running(loaded, make_generator(loaded, settings, progress))))

"""From settings to a running completer: chooses the model, pulls and converts it if need be, loads it once for all clients."""

from __future__ import annotations

import gc
import json
import logging
import math
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from completer.complete.api import RELOAD_SETTINGS, Report
from completer.complete.pipeline import Pipeline
from completer.complete.state import Model
from completer.config import Settings
from completer.engines.base import StepEngine
from completer.engines.cpu.load import condemn, physical_threads
from completer.engines.factory import Loaded, Served, load, load_llama_cpp, load_lmdeploy, load_remote, resolve
from completer.engines.health import Health
from completer.engines.measure import MachineLimits, measure_limits
from completer.engines.registry import leaves_machine
from completer.engines.weights.background_check import BackgroundCheck
from completer.errors import ConfigError, EngineUnavailable, HashMismatch, ModelNotPulled
from completer.generate.generator import Generator
from completer.generate.scheduler import LocalGenerator
from completer.generate.stream import StreamGenerator
from completer.models.manifest import ModelEntry, find, load_manifest
from completer.models.pull import pull
from completer.models.store import ModelFiles, cache_dir, locate
from completer.system.cachefile import read_json, write_cache
from completer.types import Progress

log = logging.getLogger(__name__)

STEPS_IN_BUDGET = 5.0
"""Decode steps that must fit the budget for a model to be useful: a healed token and a few after it."""
STEP_OVERHEAD = 1.4
"""Measured decode step over the time to read the weights once."""
BYTES_PER_PARAMETER = 0.8
"""Of the default weights: 4 bits with scales, attention and head in 8 bits."""

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model id and the sentence that explains the choice."""

    model: str
    why: str


def choose_model(settings: Settings, limits: MachineLimits) -> ModelChoice:
    """Return the largest CPU model whose predicted decode step leaves room for STEPS_IN_BUDGET within the budget."""
    candidates = sorted((e for e in load_manifest() if e.device == "cpu"), key=lambda e: e.parameters)
    room_ms = settings.budget_ms / STEPS_IN_BUDGET
    fitting = [entry for entry in candidates if predicted_step_ms(entry, limits) <= room_ms]
    chosen = fitting[-1] if fitting else candidates[0]
    step_ms = predicted_step_ms(chosen, limits)
    next_up = next((e for e in candidates if e.parameters > chosen.parameters), None)
    why = (
        f"memory reads {limits.memory_gb_s:.0f} GB/s, so a decode step should take {step_ms:.0f} ms; room is for {room_ms:.0f} ms"
    )
    if next_up is not None:
        why += f"; {next_up.id} would take {predicted_step_ms(next_up, limits):.0f} ms"
    return ModelChoice(chosen.id, why)


def automatic_model(settings: Settings) -> ModelChoice:
    """Return what "auto" means on this machine, which is measured at the first call ever. Raises: CacheError."""
    if find_spec("torch") is None:
        smallest = min((e for e in load_manifest() if e.device == "cpu"), key=lambda e: e.parameters)
        return ModelChoice(smallest.id, "the smallest, as without torch this machine's speed is not measured")
    return choose_model(settings, machine_limits(settings))


def predicted_step_ms(entry: ModelEntry, limits: MachineLimits) -> float:
    """Return the milliseconds of a decode step that the memory rate predicts."""
    return STEP_OVERHEAD * entry.parameters * BYTES_PER_PARAMETER / limits.memory_gb_s / 1e6


def machine_limits(settings: Settings, again: bool = False) -> MachineLimits:
    """Return this machine's limits, measured at the first call ever (or `again`) and kept in the cache folder.

    The best of all measurements counts: a busy machine can only seem slower than it is. If they cannot be kept, they
    are measured at each call.  Raises: EngineUnavailable without torch; CacheError.
    """
    file = cache_dir() / "machine.json"
    key = str(physical_threads(settings))
    known = read_json(file)
    before = _limits_of(known.get(key))
    if again or before is None:
        if find_spec("torch") is None:
            raise EngineUnavailable("choosing a model by this machine's speed needs torch: name one instead of 'auto'")
        import torch

        torch.set_num_threads(physical_threads(settings))
        now = measure_limits()
        before = before or now
        best = MachineLimits(max(now.memory_gb_s, before.memory_gb_s), max(now.product_gflop_s, before.product_gflop_s))
        write_cache(file, json.dumps(known | {key: asdict(best)}).encode())
        return best
    return before


def _limits_of(entry: Any) -> MachineLimits | None:
    """Return the limits that an entry of machine.json holds; None if it is damaged."""
    try:
        limits = MachineLimits(float(entry["memory_gb_s"]), float(entry["product_gflop_s"]))
    except (KeyError, TypeError, ValueError):
        return None
    rates = (limits.memory_gb_s, limits.product_gflop_s)
    return limits if all(math.isfinite(rate) and rate > 0 for rate in rates) else None


def model_files(settings: Settings, progress: Progress, may_pull: bool = True) -> ModelFiles:
    """Return the files of the model that the settings name, pulled if they were not here.

    Raises: UnknownModel, ModelNotPulled (with may_pull False), DownloadError, HashMismatch.
    """
    name = settings.model
    if name == "auto":
        name = automatic_model(settings).model
    try:
        return locate(name)
    except ModelNotPulled:
        if not may_pull:
            raise
    pull(find(name), lambda label, done, total: progress(f"download: {label}", done, total or 0))
    return locate(name)


@dataclass(frozen=True, slots=True)
class Running:
    """A loaded model with its generator. check: compares the hashes of the converted files while the model runs."""

    loaded: Loaded | Served
    generator: Generator
    check: BackgroundCheck | None = None

    def close(self) -> None:
        """Stop the engine thread, free the model, keep what was learned of its costs."""
        if self.check is not None:
            self.check.close()
        if isinstance(self.loaded, Loaded):
            self.loaded.keep_costs(self.loaded.engine.costs)
        self.generator.close()


class Engines:
    """Loaded models, shared by the clients of one process: the same settings get the same engine thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[_Key, Running] = {}
        self._n_clients: Counter[_Key] = Counter()

    def make_completer(self, settings: Settings, report: Report) -> Pipeline:
        """Return the completer of one client. Blocks while the model is pulled, converted or loaded.

        report: see `completer.complete.api.Report`.  Raises: CompleterError.
        """

        def progress(label: str, done: int, total: int) -> None:
            report(label, done / total if total else None)

        key = tuple(getattr(settings, name) for name in RELOAD_SETTINGS)
        with self._lock:  # one load at a time: two would need the memory of both
            if key not in self._running:
                for unused in [other for other in self._running if not self._n_clients[other]]:
                    self._free(unused)  # a client that changes its model must not leave the old one in memory
                loaded = load_engine(settings, progress)
                self._running[key] = checked(Running(loaded, make_generator(loaded, settings, progress)))
                # A vocabulary is a million objects that live for ever: the collector need not walk them at some key.
                gc.collect()
                gc.freeze()
            running = self._running[key]
            self._n_clients[key] += 1
        return make_pipeline(running.loaded, running.generator, settings, lambda: self._leave(key))

    def _leave(self, key: _Key) -> None:
        """A client is gone. Its model stays for the next one that wants it, until another model is loaded."""
        with self._lock:
            self._n_clients[key] -= 1

    def close(self) -> None:
        """Stop all engine threads and free the models."""
        for key in list(self._running):
            self._free(key)

    def _free(self, key: _Key) -> None:
        self._running.pop(key).close()


def load_engine(settings: Settings, progress: Progress, may_pull: bool = True) -> Loaded | Served:
    """Return the engine that the settings name, over a model on this disk or a server. Raises: CompleterError."""
    if settings.engine == "remote":
        return load_remote(settings, progress)
    name, _ = resolve(settings)  # before a model is pulled that nothing here can run
    if name == "lmdeploy":
        return load_lmdeploy(model_files(settings, progress, may_pull), settings, progress)
    if name == "llama.cpp":
        return load_llama_cpp(model_files(settings, progress, may_pull), settings, progress)
    return _load_model(settings, progress, may_pull)


def _load_model(settings: Settings, progress: Progress, may_pull: bool = True) -> Loaded:
    """Return the model loaded; pulled again, once, where its files turned out to be damaged. Raises: CompleterError."""
    files = model_files(settings, progress, may_pull)
    try:
        return load(files, settings, progress)
    except HashMismatch as error:
        if not may_pull:
            raise
        log.warning("%s", error)
    return load(model_files(settings, progress), settings, progress)


def load_draft(loaded: Loaded, settings: Settings, progress: Progress) -> StepEngine:
    """Return the engine of the draft model, on the same kind of engine as the model.

    Raises: ConfigError if its vocabulary differs from the model's; CompleterError.
    """
    own = replace(settings, model=settings.draft_model, draft_model="")
    draft = _load_model(own, progress)
    if draft.tokenizer.token_bytes != loaded.tokenizer.token_bytes:
        draft.engine.close()
        raise ConfigError(
            f"setting 'draft_model': {draft.model} has another vocabulary than {loaded.model}: "
            "choose a smaller model of the same family, or none"
        )
    return draft.engine


def checked(running: Running) -> Running:
    """Return the running model with a check of its converted files in the background, where it runs from such files."""
    loaded, generator = running.loaded, running.generator
    if not isinstance(loaded, Loaded) or not isinstance(generator, LocalGenerator) or loaded.converted is None:
        return running
    health = loaded.health
    return replace(
        running,
        check=BackgroundCheck(loaded.converted, lambda damage: health.report(condemn(damage)), lambda: generator.is_busy),
    )


def make_generator(loaded: Loaded | Served, settings: Settings, progress: Progress) -> Generator:
    """Return the generator for the engine's kind; it owns the engine from now on. Raises: as `load_draft`."""
    if isinstance(loaded, Served):
        return StreamGenerator(loaded.engine, loaded.tokenizer)
    draft = load_draft(loaded, settings, progress) if settings.draft_model else None
    return LocalGenerator(loaded.engine, loaded.tokenizer, draft)


def make_pipeline(
    loaded: Loaded | Served,
    generator: Generator,
    settings: Settings,
    on_close: Callable[[], None] = lambda: None,
) -> Pipeline:
    """Return a pipeline over a loaded model. on_close: called once, when its client is gone."""
    engine = loaded.engine
    health = loaded.health if isinstance(loaded, Loaded) else Health()
    model = Model(
        generator,
        loaded.tokenizer,
        lambda: engine.costs,
        engine.max_len,
        name=loaded.model,
        engine=engine.name,
        leaves_machine=leaves_machine(engine.name),
        health=health,
    )
    return Pipeline(model, settings, on_close=on_close)

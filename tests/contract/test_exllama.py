"""exllamav2 and exllamav3 beyond the contract: what is asked of the libraries, by the sources of their real releases."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from completer.engines.other.exllama import PAGE, n_slots_for, open_engine
from completer.errors import EngineError, UnsupportedModel
from tests import tiny
from tests.contract import fake_exllama
from tests.contract.releases import Release, release
from tests.contract.step_builders import exllama

BOTH = ("exllamav2", "exllamav3")
IDS = tiny.some_ids(600)


def library(name: str) -> SimpleNamespace:
    made: SimpleNamespace = getattr(fake_exllama, name)(release(name))
    return made


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("kv_bits", [8, 6, 4])
def test_quantised_slots_take_the_librarys_own_caches_and_more_of_them_fit(name: str, kv_bits: int) -> None:
    engine = exllama(name, kv_bits)
    assert engine.n_slots > exllama(name).n_slots
    rows = engine.forward(0, IDS[:50], 3).copy()
    engine.copy(0, engine.n_slots - 1, 47)
    assert (engine.forward(engine.n_slots - 1, IDS[47:50], 3) == rows).all()


@pytest.mark.parametrize("name", BOTH)
def test_a_few_rows_are_one_pass_over_the_weights_and_a_long_feed_is_two(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = exllama(name)
    passes: list[tuple[str, int]] = []
    for kind in ("fill", "rows"):
        inner = getattr(engine._storage, kind)

        def counted(slot: int, start: int, ids: torch.Tensor, inner: Any = inner, kind: str = kind) -> Any:
            passes.append((kind, ids.shape[1]))
            return inner(slot, start, ids)

        monkeypatch.setattr(engine._storage, kind, counted)
    engine.forward(0, IDS[:8], 2)
    engine.forward(0, IDS[:100], 2)
    engine.forward(0, IDS[:5], 0)
    assert passes == [("rows", 8), ("fill", 98), ("rows", 2), ("fill", 5)]


def test_a_slot_of_exllamav3_is_a_whole_number_of_its_pages() -> None:
    assert release("exllamav3").constant("constants.py", "PAGE_SIZE") == PAGE
    engine = open_engine("exllamav3", library("exllamav3"), Path("model"), 2048, memory_mb=1, kv_bits=16)
    assert engine.max_len == 2 * PAGE  # the stand-in's model has some positions more
    engine.forward(1, IDS[:300], 0)
    rows = engine.forward(1, IDS[300:310], 2).copy()
    engine.copy(1, 0, 308)  # the second page in part
    assert (engine.forward(0, IDS[308:310], 2) == rows).all()


def test_memory_is_counted_with_the_scales_of_quantised_values() -> None:
    values = 28 * 4 * 128  # of a 7B model with 4 KV heads
    assert n_slots_for(values, 16, 2048, 1024) == 2**30 // (2 * values * 2 * 2048)
    assert n_slots_for(values, 4, 2048, 1024) == int(2**30 // (2 * values * 4.5 / 8 * 2048))
    assert n_slots_for(values, 16, 2048, 0) == 2


@pytest.mark.parametrize("name", BOTH)
def test_what_does_not_fit_and_what_is_not_known_are_told_apart(name: str) -> None:
    entry = {"exllamav2": "ExLlamaV2Config", "exllamav3": "Config"}[name]
    for error, kind, text in (
        (torch.OutOfMemoryError("CUDA out of memory"), EngineError, "does not fit the card"),
        (RuntimeError("Insufficient VRAM for model and cache"), EngineError, "does not fit the card"),
        (AssertionError("Unknown architecture X\nmore"), UnsupportedModel, f"{name} cannot load model: Unknown architecture X$"),
    ):
        broken = library(name)

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        setattr(broken, entry, SimpleNamespace(from_directory=fail) if name == "exllamav3" else fail)
        with pytest.raises(kind, match=text):
            open_engine(name, broken, Path("model"), 2048, 256, 16)


def test_a_model_with_recurrent_layers_is_refused() -> None:
    fake = library("exllamav3")
    fake.Model.get_recurrent_layers = lambda _: [object()]
    with pytest.raises(UnsupportedModel, match="recurrent"):
        open_engine("exllamav3", fake, Path("model"), 2048, 256, 16)


def test_signatures_are_the_real_ones_and_a_change_of_them_fails(tmp_path: Path) -> None:
    real = release("exllamav2")
    assert list(real.signature("model.py", "ExLlamaV2.forward").parameters)[:3] == ["self", "input_ids", "cache"]
    changed = tmp_path / "model.py"
    changed.write_text("class ExLlamaV2:\n    def forward(self, ids, *, cache=None): ...\n", encoding="utf-8")
    upgrade = Release(tmp_path)
    with pytest.raises(TypeError):
        upgrade.signature("model.py", "ExLlamaV2.forward").bind(None, torch.zeros(1), object(), preprocess_only=True)
    with pytest.raises(AssertionError, match="input_ids"):
        upgrade.checked("model.py", "ExLlamaV2.forward")(lambda input_ids: None)
    with pytest.raises(LookupError, match=r"no ExLlamaV2\.load_autosplit in model\.py any more"):
        upgrade.signature("model.py", "ExLlamaV2.load_autosplit")
    assert inspect.Parameter.empty is not real.signature("cache.py", "ExLlamaV2Cache.__init__").parameters["lazy"].default

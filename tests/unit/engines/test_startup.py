"""What a second start saves: a vocabulary and costs that were kept, a prefiller that is made in the background."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from completer import assemble as loader
from completer.config import Settings
from completer.engines import registry
from completer.engines.base import CostCurve
from completer.engines.cpu.phased import PendingPrefiller, Prefiller
from completer.engines.kv import KvSlots
from completer.engines.measure import KEPT_FOR_S, KeptCosts
from completer.engines.weights.spec import ModelSpec
from completer.errors import ContextOverflow, EngineUnavailable
from completer.tokens.tokenizer import Tokenizer
from tests.tiny import tokenizer_text

SLOW, QUICK = CostCurve({1: 20.0, 4: 40.0}, 2.0), CostCurve({1: 10.0, 4: 20.0}, 1.0)
SPEC = ModelSpec("llama", 1, 8, 16, 1, 1, 8, 32, 64, 10_000.0, 1e-6)


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_text(), encoding="utf-8")
    return path


def test_kept_vocabulary_is_the_same_as_a_fresh_one(vocabulary: Path) -> None:
    fresh = Tokenizer.load(vocabulary)
    made, kept = Tokenizer.load_quickly(vocabulary), Tokenizer.load_quickly(vocabulary)
    assert (vocabulary.parent / "vocabulary.npz").is_file()
    text = "def größe(x): # 😀 <|fim_middle|>\r\n\treturn x"
    for loaded in (made, kept):
        assert loaded.token_bytes == fresh.token_bytes
        assert loaded.fim == fresh.fim
        assert loaded.encode(text) == fresh.encode(text)
        for pending in (b"d", b"def", "größ".encode(), b" ", b"\xff"):
            assert loaded.index.allowed(pending).tolist() == fresh.index.allowed(pending).tolist()


def test_damaged_kept_vocabulary_is_made_anew(vocabulary: Path) -> None:
    Tokenizer.load_quickly(vocabulary)
    (vocabulary.parent / "vocabulary.npz").write_bytes(b"PK damaged")
    assert Tokenizer.load_quickly(vocabulary).encode("def") == Tokenizer.load(vocabulary).encode("def")
    assert (vocabulary.parent / "vocabulary.npz").stat().st_size > 100


def test_a_flipped_byte_in_any_part_of_the_kept_vocabulary_changes_nothing(vocabulary: Path) -> None:
    Tokenizer.load_quickly(vocabulary)
    fresh = Tokenizer.load(vocabulary)
    for name in ("vocabulary.npz", "encoder.json"):
        path = vocabulary.parent / name
        whole = path.read_bytes()
        for place in range(0, len(whole), len(whole) // 40):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            loaded = Tokenizer.load_quickly(vocabulary)
            assert loaded.token_bytes == fresh.token_bytes, place
            assert loaded.encode("def print(x):") == fresh.encode("def print(x):")
        path.unlink()
        assert Tokenizer.load_quickly(vocabulary).encode("def") == fresh.encode("def")


def test_costs_are_measured_once_for_each_engine_and_number_of_threads(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    assert KeptCosts(file, "phased, 2 threads").read(lambda: SLOW) == SLOW
    assert KeptCosts(file, "phased, 2 threads").read(lambda: QUICK) == SLOW
    assert KeptCosts(file, "phased, 4 threads").read(lambda: QUICK) == QUICK
    assert KeptCosts(file, "phased, 2 threads").read(lambda: QUICK, again=True) == QUICK
    assert KeptCosts(file, "phased, 2 threads").read(lambda: SLOW) == QUICK
    noisy = replace(SLOW, logit_noise=0.25)
    assert KeptCosts(file, "onnx").read(lambda: noisy) == KeptCosts(file, "onnx").read(lambda: QUICK) == noisy


def test_costs_that_were_measured_on_a_busy_machine_follow_the_work() -> None:
    busy = SLOW.seen(1, 12.0).seen(4, 90.0).seen(2, 5.0).seen_prefill(1.5).seen_prefill(3.0)
    assert busy == CostCurve({1: 12.0, 4: 40.0}, 1.5)  # never slower, and no widths but the measured ones


def test_old_or_unreadable_costs_are_measured_anew(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    KeptCosts(file, "onnx").read(lambda: SLOW)
    known = json.loads(file.read_text())
    ((key, entry),) = known.items()
    entry["measured"] -= KEPT_FOR_S + 1
    file.write_text(json.dumps(known))
    assert KeptCosts(file, "onnx").read(lambda: QUICK) == QUICK
    for damaged in (
        "{",
        "[]",
        json.dumps(dict.fromkeys(known, "")),
        json.dumps({key: {**entry, "measured": time.time(), "forward_ms": {"1": -1}}}),
    ):
        file.write_text(damaged)
        assert KeptCosts(file, "onnx").read(lambda: SLOW) == SLOW
        file.unlink()
    file.write_text("{")
    assert KeptCosts(file, "onnx").read(lambda: SLOW) == SLOW


class FillsSlots:
    """A prefiller whose work is one piece."""

    def __init__(self, kv: KvSlots) -> None:
        self._kv = kv

    def prefill(self, slot: int, ids: Sequence[int]) -> Iterator[None]:
        self._kv.lengths[slot] += len(ids)
        yield

    def close(self) -> None: ...


def test_prefill_waits_in_pieces_for_a_prefiller_that_is_being_made() -> None:
    making: Future[Prefiller] = Future()
    kv = KvSlots(SPEC, 1, 32)
    steps = PendingPrefiller(making, kv, FillsSlots(kv)).prefill(0, [1, 2, 3])
    next(steps)
    next(steps)  # still waiting, and the caller could have gone away

    making.set_result(FillsSlots(kv))
    assert len(list(steps)) == 1
    assert kv.lengths == [3]


def test_a_prefiller_that_cannot_be_made_is_replaced_by_the_spare_one() -> None:
    making: Future[Prefiller] = Future()
    making.set_exception(OSError("libtorch_cpu.so: cannot open shared object file"))
    kv = KvSlots(SPEC, 1, 32)
    pending = PendingPrefiller(making, kv, FillsSlots(kv))
    assert len(list(pending.prefill(0, [1, 2, 3]))) == 1
    assert kv.lengths == [3]
    pending.close()  # there is nothing to close


def test_too_long_prefill_fails_before_it_waits() -> None:
    kv = KvSlots(SPEC, 1, 32)
    with pytest.raises(ContextOverflow):
        next(PendingPrefiller(Future(), kv, FillsSlots(kv)).prefill(0, [1] * 33))


@pytest.mark.parametrize(("frozen", "mend"), [(False, r"pip install 'completer\[cpu\]'"), (True, "take the full one")])
def test_missing_engine_is_said_before_a_model_is_pulled(monkeypatch: pytest.MonkeyPatch, frozen: bool, mend: str) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    monkeypatch.setattr(loader, "pull", lambda *_: pytest.fail("pulled"))
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    with pytest.raises(EngineUnavailable, match=f"not installed: onnxruntime, torch .*{mend}"):
        loader.Engines().make_completer(Settings(), lambda *_: None)


class Closed:
    """A generator that says when it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_model_that_nobody_uses_is_freed_before_another_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Closed] = []
    monkeypatch.setattr(loader, "load_engine", lambda *_: object())
    monkeypatch.setattr(loader, "make_generator", lambda *_: made.append(Closed()) or made[-1])
    monkeypatch.setattr(loader, "make_pipeline", lambda loaded, generator, settings, on_close: on_close)
    engines = loader.Engines()
    first, second = Settings(model="first"), Settings(model="second")
    leave_first, leave_again = engines.make_completer(first, print), engines.make_completer(first, print)
    engines.make_completer(second, print)
    assert [generator.closed for generator in made] == [False, False]
    leave_first()  # type: ignore[operator]
    engines.make_completer(Settings(model="third"), print)
    assert made[0].closed is False  # somebody still uses it
    leave_again()  # type: ignore[operator]
    engines.make_completer(Settings(model="fourth"), print)
    assert [generator.closed for generator in made] == [True, False, False, False]
    engines.close()
    assert all(generator.closed for generator in made)

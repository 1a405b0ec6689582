"""The static decoder of graphics cards, all of it but the capture, on CPU tensors: the same logits as the dynamic path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from completer.config import Settings
from completer.engines.base import ChoosingEngine, StepEngine
from completer.engines.cuda import load as on_cuda
from completer.engines.cuda.engine import MIN_CHUNK, WIDTHS, Capture, CudaCapture, CudaEngine
from completer.engines.cuda.static import BUCKETS, DeviceSlots, bucket_of
from completer.engines.kv import KvSlots
from completer.engines.lean.build import dense, lean_model
from completer.engines.lean.decoder import LeanEngine, LeanModel
from completer.engines.weights.checkpoint import open_checkpoint
from completer.errors import EngineError, EngineUnavailable
from completer.generate.choice import Bounds, allowed_ids, choose
from completer.tokens.tokenizer import Tokenizer
from completer.types import StopRule
from tests import tiny
from tests.law import Run, prompt_of

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
MAX_LEN = 300
TOLERANCE = 2e-4
IDS = tiny.some_ids(280)


class Recorder:
    """Stands for the capture: what is recorded is done again at each replay, on the same tensors."""

    def __init__(self) -> None:
        self.n_captured = self.n_replayed = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        self.n_captured += 1
        work()

        def replay() -> None:
            self.n_replayed += 1
            work()

        return replay


@pytest.fixture(scope="module", params=["qwen2", "qwen3", "llama3-tied"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LeanModel:
    folder = tmp_path_factory.mktemp(request.param)
    tiny.save_folder(request.param, folder)
    return lean_model(open_checkpoint(folder), dense(torch.float32))


def static(model: LeanModel, capture: Capture | None = None, n_ordinary: int = tiny.VOCAB_SIZE, n_slots: int = 3) -> CudaEngine:
    slots = DeviceSlots(model.spec, n_slots, MAX_LEN, CPU, torch.float32)
    return CudaEngine(model, slots, CPU, n_ordinary, capture)


def dynamic(model: LeanModel) -> LeanEngine:
    return LeanEngine(model, KvSlots(model.spec, 3, MAX_LEN))


@pytest.mark.parametrize("start", [0, 1, 100, 250, 255, 256, 285])
@pytest.mark.parametrize("n", [*range(1, 10), 15])
def test_the_static_step_equals_the_dynamic_path_at_every_width_and_bucket(model: LeanModel, start: int, n: int) -> None:
    ids = tiny.some_ids(start + n, seed=start)
    slow, recorder = dynamic(model), Recorder()
    fast = static(model, recorder)
    for engine in (slow, fast):
        for _ in engine.prefill(1, ids[:start]):
            pass
    expected = slow.forward(1, ids[start:], n)
    logits = fast.forward(1, ids[start:], n)
    assert fast.length(1) == start + n
    assert np.abs(logits - expected).max() < TOLERANCE
    assert recorder.n_replayed == (n <= 8 and start + next((w for w in WIDTHS if w >= n), MAX_LEN) <= MAX_LEN)


def test_one_capture_serves_every_position_and_text_of_its_shape(model: LeanModel) -> None:
    slow, recorder = dynamic(model), Recorder()
    fast = static(model, recorder)
    for seed in range(3):
        ids = tiny.some_ids(60, seed=seed)
        for engine in (slow, fast):
            engine.truncate(0, 0)
            engine.forward(0, ids[:20], 0)
        for at in range(20, 59, 3):
            expected = slow.forward(0, ids[at : at + 3], 3)
            assert np.abs(fast.forward(0, ids[at : at + 3], 3) - expected).max() < TOLERANCE
    assert recorder.n_captured == 1


def test_padding_leaves_other_slots_and_the_length_alone(model: LeanModel) -> None:
    engine = static(model, Recorder())
    engine.forward(1, IDS[:50], 0)
    before = [keys[1, :, :50].clone() for keys in engine.slots.keys]
    engine.forward(0, IDS[:5], 5)  # a step of width 8
    assert (engine.length(0), engine.length(1)) == (5, 50)
    assert all(torch.equal(a, keys[1, :, :50]) for a, keys in zip(before, engine.slots.keys, strict=True))


def test_choices_on_the_device_are_those_of_the_decoder(model: LeanModel, tokenizer: Tokenizer) -> None:
    engine = static(model, Recorder(), tokenizer.vocab_size)
    assert isinstance(engine, ChoosingEngine)
    assert not isinstance(dynamic(model), ChoosingEngine)
    pending = [b"pri", b"", b"\n    ", b" "]
    for start in (30, 290):  # captured, and at the end of a slot
        ids = tiny.some_ids(start + 4, seed=7)
        engine.truncate(0, 0)
        engine.forward(0, ids[:start], 0)
        logits = engine.forward(0, ids[start:], 4)
        engine.truncate(0, start)
        chosen = engine.forward_choices(0, ids[start:], [allowed_ids(one, tokenizer) for one in pending])
        for row, (id_, probability) in enumerate(chosen):
            token = choose(logits[row], Bounds(pending[row]), tokenizer)
            assert (id_, probability) == (token.id, pytest.approx(token.prob, rel=1e-4))


def test_decoding_over_it_gives_what_the_dynamic_path_gives(model: LeanModel, tokenizer: Tokenizer) -> None:
    slow, fast = dynamic(model), static(model, Recorder(), tokenizer.vocab_size)
    stop = StopRule(max_tokens=12, single_line=False)
    n_same = 0
    for seed in range(20):
        prompt = prompt_of(tokenizer, tiny.some_ids(40, seed=seed), n_heal=seed % 3)
        runs: list[Run] = []
        for engine in (slow, fast):
            engine.truncate(0, 0)
            drafts = (tuple(runs[0].ids[:7]),) if runs else ()
            runs.append(Run(engine, tokenizer, prompt, stop, drafts=drafts).finish())
        n_same += (runs[0].ids, runs[0].reason) == (runs[1].ids, runs[1].reason)
    assert n_same >= 19  # sums in another order


def test_warming_up_captures_every_width_of_every_slot(model: LeanModel) -> None:
    recorder = Recorder()
    engine = static(model, recorder)
    engine.warm_up()
    assert recorder.n_captured == 3 * len(WIDTHS)
    assert [engine.length(slot) for slot in range(3)] == [0, 0, 0]
    engine.forward(2, IDS[:3], 1)
    assert recorder.n_captured == 3 * len(WIDTHS)


def test_a_capture_that_fails_costs_the_graph_and_nothing_else(model: LeanModel) -> None:
    def refuse(work: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    engine = static(model, refuse)
    assert np.abs(engine.forward(0, IDS[:7], 7) - dynamic(model).forward(0, IDS[:7], 7)).max() < TOLERANCE


def test_buckets_hold_what_is_asked_and_end_with_the_slot() -> None:
    assert [bucket_of(n, 2048) for n in (1, 256, 257, 1025, 2048)] == [256, 256, 512, 2048, 2048]
    assert bucket_of(200, 128) == 128
    assert bucket_of(3000, 3000) == 3000
    assert all(bucket % 64 == 0 for bucket in BUCKETS)


def failing(model: LeanModel, when: Iterator[bool]) -> LeanModel:
    """Return the model with a first product that is out of memory whenever `when` says so."""
    inner = model.layers[0].qkv

    def product(x: Tensor) -> Tensor:
        if next(when):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(x)

    return replace(model, layers=(replace(model.layers[0], qkv=product), *model.layers[1:]))


def test_memory_that_runs_out_once_is_given_back_and_nobody_notices(model: LeanModel) -> None:
    expected = static(model).forward(0, IDS[:20], 1)
    engine = static(failing(model, iter([True, *[False] * 9])))
    assert np.abs(engine.forward(0, IDS[:20], 1) - expected).max() < TOLERANCE


def test_a_card_without_memory_is_an_error_that_says_what_to_do_and_leaves_the_slot(model: LeanModel) -> None:
    engine = static(failing(model, iter([*[False] * 2, *[True] * 2, *[False] * 9])))
    engine.forward(0, IDS[:20], 0)
    engine.forward(1, IDS[:20], 0)
    with pytest.raises(EngineError, match=r"lower 'kv_memory_mb'.*4-bit weights"):
        engine.forward(0, IDS[20:29], 1)
    assert engine.length(0) == 20
    expected = static(model).forward(0, IDS[:29], 1)
    assert np.abs(engine.forward(0, IDS[20:29], 1) - expected).max() < TOLERANCE


def test_a_prefill_without_memory_goes_on_in_smaller_chunks(model: LeanModel) -> None:
    inner = model.layers[0].qkv

    def small_only(x: Tensor) -> Tensor:
        if x.shape[0] > 2 * MIN_CHUNK:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(x)

    tight = replace(model, layers=(replace(model.layers[0], qkv=small_only), *model.layers[1:]))
    engine, whole = static(tight), static(model)
    for one in (engine, whole):
        for _ in one.prefill(0, IDS):
            pass
    assert engine.chunk == 2 * MIN_CHUNK
    assert np.abs(engine.forward(0, [1], 1) - whole.forward(0, [1], 1)).max() < TOLERANCE


def test_slots_that_do_not_fit_become_fewer_and_then_shorter(model: LeanModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def slots(spec: object, n_slots: int, max_len: int, *_: object) -> tuple[int, int]:
        tried.append((n_slots, max_len))
        if n_slots * max_len > 2 * 1024:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return n_slots, max_len

    monkeypatch.setattr(on_cuda, "DeviceSlots", slots)
    spec = replace(model.spec, max_positions=4096)
    memory_mb = 5 * 4096 * spec.kv_bytes_per_token(2) / 2**20
    assert on_cuda.make_slots(spec, int(memory_mb), CPU) == (2, 1024)
    assert tried[0][1] == 4096 and tried[-2:] == [(2, 2048), (2, 1024)]


def test_weights_that_do_not_fit_say_how_much_they_want(model: LeanModel) -> None:
    wanted = r"about 0\.0 GB and the card had 0\.0 GB free: set 'weights' to int4"
    with pytest.raises(EngineUnavailable, match=wanted), on_cuda._saying_what_is_wanted(model.spec, "bf16", 1e6):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_the_most_exact_format_that_fits_is_chosen(model: LeanModel) -> None:
    spec = replace(model.spec, n_layers=28, hidden=3584, ffn=18944, heads=28, heads_kv=4, head_dim=128, vocab_size=152_064)
    assert on_cuda.weight_bytes(spec, "bf16") == pytest.approx(15.2e9, rel=0.02), "7B in bf16"
    assert on_cuda.choose_weights(spec, "auto", False, 24e9) == "bf16"
    assert on_cuda.choose_weights(spec, "auto", False, 12e9) == "int4"
    assert on_cuda.choose_weights(spec, "auto", True, 80e9) == "int4"
    assert on_cuda.choose_weights(spec, "int8", False, 80e9) == "int8"


def test_the_capture_calls_torch_as_its_own_signatures_say() -> None:
    inspect.signature(torch.cuda.graph).bind(object(), pool=(0, 0), capture_error_mode="thread_local")
    inspect.signature(torch.cuda.graph_pool_handle).bind()
    inspect.signature(torch.cuda.get_device_capability).bind()
    inspect.signature(torch.cuda.CUDAGraph.replay).bind(object())
    inspect.signature(torch.cuda.Stream.wait_stream).bind(object(), object())
    inspect.signature(torch.cuda.mem_get_info).bind(torch.device("cuda"))
    assert issubclass(torch.OutOfMemoryError, RuntimeError)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_captured_steps_on_a_card_equal_the_cpu(tmp_path: Path) -> None:
    device = torch.device("cuda")
    tiny.save_folder("qwen2", tmp_path)
    model = on_cuda.model_on(open_checkpoint(tmp_path), "bf16", device, with_plain=False)
    slots = DeviceSlots(model.spec, 2, MAX_LEN, device, torch.bfloat16)
    engine = CudaEngine(model, slots, device, tiny.VOCAB_SIZE, CudaCapture())
    engine.warm_up()
    exact = dynamic(lean_model(open_checkpoint(tmp_path), dense(torch.float32)))
    for one in (engine, exact):
        one.forward(0, IDS[:40], 0)
    for n in range(1, 9):
        fast, slow = (one.forward(0, IDS[40 + n : 40 + 2 * n], n) for one in (engine, exact))
        cosine = (fast * slow).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(slow, axis=1)
        assert np.median(cosine) > 0.98


def test_the_engine_on_a_card_is_what_auto_means_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from completer.engines import factory, registry

    asked: list[str] = []
    monkeypatch.setattr(registry, "cuda_name", lambda capability=(0, 0): "a card")
    monkeypatch.setattr(factory, "_load_on_cuda", lambda files, settings, progress: asked.append(files))
    factory.load("files", Settings())  # type: ignore[arg-type]
    assert asked == ["files"]
    assert factory.availability("torch").device == "a card"
    assert isinstance(StepEngine, type)

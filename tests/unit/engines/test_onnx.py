"""Conversion end to end on tiny models, and the exported graph against the lean decoder on the very same weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file
from torch import Tensor

from completer.engines.base import Logits
from completer.engines.cpu.ort import OnnxEngine
from completer.engines.cpu.phased import PhasedEngine
from completer.engines.kv import KvSlots
from completer.engines.lean.decoder import Layer, LeanEngine, LeanModel
from completer.engines.lean.linear import DenseLinear
from completer.engines.weights.convert import convert, int8_model
from completer.engines.weights.converted import is_converted
from completer.engines.weights.quantize import Groups
from completer.engines.weights.rowfile import RowFile
from completer.engines.weights.spec import ModelSpec
from completer.errors import ContextOverflow, EngineClosed
from tests import tiny

pytestmark = pytest.mark.slow

IDS = tiny.some_ids(40)
FAMILIES = ("llama", "llama-biased", "llama3-tied", "qwen2", "qwen3")
"""Without biases, with all biases, with scaled rotary frequencies, with biases of q, k, v, with norms of q and k."""


class Converted:
    """One tiny model, converted; engines over it on demand."""

    def __init__(self, family: str, root: Path) -> None:
        source = root / "source"
        tiny.save_folder(family, source)
        self.folder = root / "converted"
        self.steps: list[tuple[str, int, int]] = []
        convert(source, self.folder, lambda *step: self.steps.append(step))
        self.spec = ModelSpec.from_json((self.folder / "spec.json").read_text(encoding="utf-8"))

    def slots(self) -> KvSlots:
        return KvSlots(self.spec, n_slots=2, max_len=300)

    def onnx(self, kv: KvSlots | None = None) -> OnnxEngine:
        embed = RowFile(self.folder / "embed.npy")
        return OnnxEngine(self.folder / "decode.onnx", self.spec, embed, kv or self.slots(), threads=1)

    def int8(self, kv: KvSlots, with_head: bool = False) -> LeanEngine:
        embed = torch.from_numpy(np.load(self.folder / "embed.npy")).view(torch.bfloat16)
        return LeanEngine(int8_model(self.spec, embed, load_file(self.folder / "prefill.safetensors"), with_head), kv)

    def same_weights_in_float32(self, kv: KvSlots) -> LeanEngine:
        """Return the lean decoder over what the graph's packed weights stand for."""
        graph = onnx.load(str(self.folder / "decode.onnx")).graph
        arrays = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        bits = {
            node.output[0]: next(a.i for a in node.attribute if a.name == "bits")
            for node in graph.node
            if node.op_type == "MatMulNBits"
        }

        def product(*names: str) -> DenseLinear:
            weight = torch.cat([unpack(arrays, name, bits[name]) for name in names])
            biases = [arrays[f"{name}.b"] for name in names if f"{name}.b" in arrays]
            return DenseLinear(weight, torch.cat(biases) if biases else None)

        layers = []
        for p in (f"layers.{i}" for i in range(self.spec.n_layers)):
            norms = {name: arrays.get(f"{p}.{name}") for name in ("q_norm", "k_norm")}
            layers.append(
                Layer(
                    attn_norm=arrays[f"{p}.attn_norm"],
                    qkv=product(f"{p}.qkv"),
                    o=product(f"{p}.o"),
                    ffn_norm=arrays[f"{p}.ffn_norm"],
                    gate_up=product(f"{p}.gate", f"{p}.up"),
                    down=product(f"{p}.down"),
                    **norms,
                )
            )
        embed = torch.from_numpy(np.load(self.folder / "embed.npy")).view(torch.bfloat16)
        return LeanEngine(LeanModel(self.spec, embed, tuple(layers), arrays["norm"], product("logits")), kv)


def unpack(arrays: dict[str, Tensor], name: str, bits: int) -> Tensor:
    """Return the weights of one MatMulNBits: [out, in] float32."""
    values, scale, zero = (arrays[f"{name}.{kind}"] for kind in "wsz")
    if bits == 4:
        values = torch.stack([values & 15, values >> 4], dim=-1)
        zero = torch.stack([zero & 15, zero >> 4], dim=-1).flatten(1)[:, : scale.shape[1]]
    size = values.flatten(1).shape[1] // scale.shape[1]
    return Groups(values.flatten(1).contiguous(), scale, zero.contiguous(), bits, size).dequantise()


def assert_near(logits: Logits, exact: Logits) -> None:
    """The graph rounds activations to 8 bits, which random weights make much of; a wrong graph is far off."""
    cosine = (exact * logits).sum(-1) / np.linalg.norm(exact, axis=-1) / np.linalg.norm(logits, axis=-1)
    assert np.median(cosine) > 0.99
    assert cosine.min() > 0.95


def assert_same(logits: Logits, expected: Logits) -> None:
    """Sums in another order may put an activation on the next of its 256 levels; a wrong position is off by several units."""
    assert np.abs(logits - expected).max(initial=0.0) < 0.3
    assert np.abs(logits - expected).sum() <= 0.01 * logits.size


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return Converted(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return Converted("qwen2", tmp_path_factory.mktemp("qwen2-alone"))


def test_the_graph_computes_what_the_lean_decoder_computes_on_the_same_weights(model: Converted) -> None:
    exact = model.same_weights_in_float32(model.slots()).forward(0, IDS, 40)
    assert_near(model.onnx().forward(0, IDS, 40), exact)


def test_rows_fed_one_by_one_equal_rows_fed_together(model: Converted) -> None:
    engine = model.onnx()
    together = engine.forward(0, IDS, 40).copy()
    single = np.concatenate([engine.forward(1, [id_], 1).copy() for id_ in IDS])
    assert_same(single, together)


def test_torch_prefills_the_slots_that_onnx_decodes_from(model: Converted) -> None:
    kv = model.slots()
    exact = model.same_weights_in_float32(kv)
    engine = PhasedEngine(model.onnx(kv), exact, "phased")
    alone = model.onnx()
    for _ in engine.prefill(0, IDS[:30]):
        pass
    alone.forward(0, IDS[:30], 0)
    assert engine.length(0) == 30
    for i in range(30, 40):
        assert_near(engine.forward(0, [IDS[i]], 1), alone.forward(0, [IDS[i]], 1))


def test_the_converted_int8_prefill_serves_the_converted_graph(qwen2: Converted) -> None:
    kv = qwen2.slots()
    engine = PhasedEngine(qwen2.onnx(kv), qwen2.int8(kv), "phased")
    whole = qwen2.int8(qwen2.slots(), with_head=True).forward(0, IDS, 10).copy()
    for _ in engine.prefill(0, IDS[:-10]):
        pass
    logits = engine.forward(0, IDS[-10:], 10)
    cosine = (whole * logits).sum(-1) / np.linalg.norm(whole, axis=-1) / np.linalg.norm(logits, axis=-1)
    assert np.median(cosine) > 0.9  # 4 bits against 8, on random weights


def test_a_prefiller_without_a_head_says_so(qwen2: Converted) -> None:
    with pytest.raises(EngineClosed, match="without the output head"):
        qwen2.int8(qwen2.slots()).forward(0, IDS, 1)


def test_only_the_wanted_rows_come_back(qwen2: Converted) -> None:
    engine = qwen2.onnx()
    every = engine.forward(0, IDS, 40).copy()
    for n_logits in (0, 1, 7):
        engine.truncate(0, 0)
        rows = engine.forward(0, IDS, n_logits)
        assert rows.shape == (n_logits, tiny.VOCAB_SIZE)
        assert_same(rows, every[40 - n_logits :])


def test_a_slot_shorter_than_the_exported_graph_is_filled_to_its_end(qwen2: Converted) -> None:
    engine = qwen2.onnx()
    for _ in engine.prefill(0, tiny.some_ids(299)):
        pass
    assert np.isfinite(engine.forward(0, [1], 1)).all()
    assert engine.length(0) == engine.max_len == 300
    with pytest.raises(ContextOverflow):
        engine.forward(0, [1], 1)


def test_an_abandoned_prefill_counts_what_was_forwarded(qwen2: Converted) -> None:
    engine = qwen2.onnx()
    whole = engine.forward(1, IDS, 1).copy()
    work = engine.prefill(0, IDS)
    next(work)
    next(work)
    work.close()  # type: ignore[attr-defined]
    n = engine.length(0)
    assert n == 16
    assert_same(engine.forward(0, IDS[n:], 1), whole)


def test_a_closed_engine_says_so(qwen2: Converted) -> None:
    engine = qwen2.onnx()
    engine.close()
    with pytest.raises(EngineClosed):
        engine.forward(0, IDS, 1)


def test_conversion_is_whole_or_not_there(qwen2: Converted, tmp_path: Path) -> None:
    assert is_converted(qwen2.folder)
    assert not qwen2.folder.with_name("converted.partial").exists()

    def stop(what: str, done: int, _: int) -> None:
        if what == "calibrating":
            raise KeyboardInterrupt

    target = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        convert(qwen2.folder.with_name("source"), target, stop)
    assert not is_converted(target)
    convert(qwen2.folder.with_name("source"), target)
    assert is_converted(target)


def test_conversion_of_another_format_does_not_count(qwen2: Converted, tmp_path: Path) -> None:
    other = tmp_path / "converted"
    shutil.copytree(qwen2.folder, other)
    manifest = other / "files.json"
    described = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(described), encoding="utf-8")
    assert is_converted(other)
    manifest.write_text(json.dumps({**described, "format": "7"}), encoding="utf-8")
    assert not is_converted(other)


def test_progress_never_goes_back_and_ends_whole(qwen2: Converted) -> None:
    done = [step[1] for step in qwen2.steps]
    assert done == sorted(done)
    assert qwen2.steps[-1] == ("ready", done[-1], done[-1])


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_gguf_file_and_its_folder_convert_to_the_same_files(family: str, tmp_path: Path) -> None:
    tiny.save_gguf(family, tmp_path / "model.gguf")
    tiny.save_folder(family, tmp_path / "folder")
    logits = []
    for source in ("model.gguf", "folder"):
        target = tmp_path / f"{source}-converted"
        convert(tmp_path / source, target)
        logits.append((target / "decode.onnx.data").read_bytes())
    assert logits[0] == logits[1]

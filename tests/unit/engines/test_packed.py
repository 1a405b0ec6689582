"""AWQ and GPTQ folders in the layouts of the hub's popular models, packed by the tests, against what their words stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from completer.cli.complete import run
from completer.config import Settings
from completer.engines.base import Logits
from completer.engines.cpu.ort import OnnxEngine
from completer.engines.kv import KvSlots
from completer.engines.lean.build import dense, int4, lean_model
from completer.engines.lean.decoder import LeanEngine
from completer.engines.lean.linear import Int4Linear
from completer.engines.weights.checkpoint import open_checkpoint
from completer.engines.weights.convert import convert, fused_groups
from completer.engines.weights.packed import read_packing
from completer.engines.weights.rowfile import RowFile
from completer.engines.weights.spec import ModelSpec
from completer.errors import ModelError, UnsupportedModel
from tests import tiny
from tests.quantised import Layout, save_quantised

pytestmark = pytest.mark.slow  # conversions of models, dozens of them

TOLERANCE = 2e-4
"""Largest difference of a logit in float32; the logits themselves are within about 10."""
IDS = tiny.some_ids(40)
LAYOUTS = [
    *(Layout("awq", group) for group in (32, 64, 128)),
    Layout("awq", 64, zero_points=False),
    Layout("awq", 128, side_file="quant_config.json"),
    *(Layout("gptq", group, zero_points=zeros) for group in (32, 64, 128) for zeros in (False, True)),
    Layout("gptq", 32, act_order=True),
    Layout("gptq", 64, act_order=True, zero_points=False),
    Layout("gptq", 128, act_order=True, version="gptq"),
    Layout("gptq", 64, version="gptq_v2"),
    Layout("gptq", 32, act_order=True, version="gptq_v2"),
    Layout("gptq", 64, side_file="quantize_config.json"),
]


def names(layouts: list[Layout]) -> Any:
    return pytest.mark.parametrize("layout", layouts, ids=lambda layout: layout.name)


def assert_near(logits: Logits, reference: Logits) -> None:
    """The weights are the same; what is left is the rounding of activations, to 8 bits or bfloat16."""
    cosine = (logits * reference).sum(1) / np.linalg.norm(logits, axis=1) / np.linalg.norm(reference, axis=1)
    assert np.median(cosine) > 0.995
    assert cosine.min() > 0.97


@names(LAYOUTS)
def test_a_quantised_folder_gives_the_logits_of_its_dequantised_weights(layout: Layout, tmp_path: Path) -> None:
    reference = tiny.reference_logits(save_quantised(layout, tmp_path), IDS).numpy()
    model = lean_model(open_checkpoint(tmp_path), dense(torch.float32))
    logits = LeanEngine(model, KvSlots(model.spec, 1, 100)).forward(0, IDS, len(IDS))
    assert np.abs(logits - reference).max() < TOLERANCE


@names(LAYOUTS)
def test_its_groups_run_as_they_are_in_the_int4_kernel(layout: Layout, tmp_path: Path) -> None:
    reference = tiny.reference_logits(save_quantised(layout, tmp_path), IDS).numpy()
    model = lean_model(open_checkpoint(tmp_path), dense(torch.float32), pack=Int4Linear)
    products = [model.layers[0].qkv, model.layers[0].down]
    assert all(isinstance(product, Int4Linear) and product.size == layout.group for product in products)
    assert_near(LeanEngine(model, KvSlots(model.spec, 1, 100)).forward(0, IDS, len(IDS)), reference)


@names([LAYOUTS[0], LAYOUTS[2], Layout("gptq", 64), Layout("gptq", 32, act_order=True)])
def test_a_conversion_keeps_its_groups_for_onnxruntime(layout: Layout, tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "converted"
    source.mkdir()
    reference = tiny.reference_logits(save_quantised(layout, source), IDS).numpy()
    said: list[str] = []
    convert(source, folder, lambda what, *_: said.append(what))
    assert "calibrating" not in said
    spec = ModelSpec.from_json((folder / "spec.json").read_text(encoding="utf-8"))
    engine = OnnxEngine(folder / "decode.onnx", spec, RowFile(folder / "embed.npy"), KvSlots(spec, 1, 100), threads=1)
    assert_near(np.concatenate([engine.forward(0, [id_], 1).copy() for id_ in IDS]), reference)


def test_the_command_line_completes_with_a_quantised_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path / "cache"))
    folder, file = tmp_path / "tiny-awq", tmp_path / "a.py"
    folder.mkdir()
    save_quantised(Layout("awq", 64), folder)
    file.write_text("def print_total(items):\n    total = 0\n    ret\n", encoding="utf-8")
    run(file, 3, 8, Settings(model=str(folder), threads=1), as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["model"], answer["engine"]) == ("tiny-awq", "phased")
    assert answer["tokens"]["feed"] > 0 and answer["tokens"]["generated"] >= 0


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    save_quantised(Layout("awq", 64), tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json: take it"):
        convert(tmp_path, tmp_path / "converted")


def test_layers_are_unpacked_on_the_device_that_is_asked_for(tmp_path: Path) -> None:
    # "meta" stands for a card: an operation that mixes it with tensors of the CPU fails.
    save_quantised(Layout("awq", 64), tmp_path)
    checkpoint = open_checkpoint(tmp_path, "meta")
    assert checkpoint.get("embed.weight").device.type == checkpoint.get("head.weight").device.type == "cpu"
    assert checkpoint.get("layers.0.q.bias").device.type == "meta"
    groups = fused_groups(checkpoint, 0, "gate_up")
    assert groups is not None
    assert {tensor.device.type for tensor in (groups.values, groups.scale, groups.zero, groups.dequantise())} == {"meta"}


def test_projections_in_different_orders_of_inputs_are_not_stacked(tmp_path: Path) -> None:
    save_quantised(Layout("gptq", 32, act_order=True), tmp_path)
    assert fused_groups(open_checkpoint(tmp_path), 0, "qkv") is not None
    file = tmp_path / "model.safetensors"
    tensors = load_file(str(file))
    tensors["model.layers.0.self_attn.k_proj.g_idx"] = tensors["model.layers.0.self_attn.k_proj.g_idx"].flip(0)
    save_file(tensors, str(file))
    checkpoint = open_checkpoint(tmp_path)
    assert fused_groups(checkpoint, 0, "qkv") is None
    lean_model(checkpoint, int4, pack=Int4Linear)  # they are rounded anew


def test_one_group_for_a_whole_row_is_split_for_the_kernels(tmp_path: Path) -> None:
    save_quantised(Layout("gptq", 128), tmp_path)
    groups = fused_groups(open_checkpoint(tmp_path), 0, "down")
    assert groups is not None
    split = groups.split(32)
    assert (groups.size, split.size) == (128, 32)
    assert torch.equal(split.dequantise(), groups.dequantise())
    with pytest.raises(UnsupportedModel, match="multiples of 32"):
        groups._replace(size=24).split()


@pytest.mark.parametrize(
    "described",
    [
        {"quant_method": "awq", "bits": 4, "version": "gemv"},
        {"quant_method": "gptq", "bits": 8},
        {"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"},
        {"quant_method": "gptq", "bits": 4, "is_marlin_format": True},
        {"quant_method": "compressed-tensors"},
    ],
)
def test_a_layout_that_cannot_be_read_is_refused_with_those_that_can(described: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"awq \(gemm\) or gptq"):
        read_packing(tmp_path, {"quantization_config": described})


def test_an_older_exporters_file_is_not_asked_where_the_config_says_it(tmp_path: Path) -> None:
    (tmp_path / "quantize_config.json").write_text(json.dumps({"bits": 3}), encoding="utf-8")
    packing = read_packing(tmp_path, {"quantization_config": {"quant_method": "gptq", "bits": 4}})
    assert packing is not None and packing.zero_offset == 1
    with pytest.raises(UnsupportedModel, match="3 bits"):
        read_packing(tmp_path, {})


@pytest.mark.parametrize("part", ["qzeros", "g_idx", "qweight"])
def test_tensors_that_contradict_each_other_are_an_error_that_names_the_product(part: str, tmp_path: Path) -> None:
    save_quantised(Layout("gptq", 32), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(str(file))
    key = f"model.layers.0.mlp.down_proj.{part}"
    tensors[key] = torch.zeros_like(tensors[key]) if part == "g_idx" else tensors[key][:, :-1].contiguous()
    save_file(tensors, str(file))
    with pytest.raises(ModelError, match=r"mlp\.down_proj"):
        open_checkpoint(tmp_path).get("layers.0.down.weight")

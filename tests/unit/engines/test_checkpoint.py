"""Model files that are wrong, and the sizes that are read from right ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from completer.engines.kv import KvSlots, n_slots_for
from completer.engines.weights.checkpoint import open_checkpoint
from completer.engines.weights.spec import ModelSpec, spec_from_gguf, spec_from_hf
from completer.errors import ContextOverflow, ModelError, UnsupportedModel

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "intermediate_size": 256,
    "vocab_size": 512,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
}


def folder(path: Path, **changes: Any) -> Path:
    (path / "config.json").write_text(json.dumps({**CONFIG, **changes}), encoding="utf-8")
    save_file({"model.norm.weight": torch.ones(128)}, str(path / "model.safetensors"))
    return path


def test_a_path_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither a \.gguf file nor a folder"):
        open_checkpoint(tmp_path / "model.bin")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_checkpoint(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path) / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no \*\.safetensors"):
        open_checkpoint(tmp_path)


def test_a_quantised_folder_of_an_unknown_method_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="hqq"):
        open_checkpoint(folder(tmp_path, quantization_config={"quant_method": "hqq"}))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(folder(tmp_path))
    assert checkpoint.get("norm.weight").shape == (128,)
    assert checkpoint.find("layers.0.q.bias") is None
    with pytest.raises(ModelError, match=r"layers\.0\.q\.weight"):
        checkpoint.get("layers.0.q.weight")


def test_sizes_that_a_config_leaves_out_follow_from_the_others() -> None:
    spec = spec_from_hf({k: v for k, v in CONFIG.items() if k != "num_key_value_heads"})
    assert (spec.heads_kv, spec.head_dim, spec.rope_theta, spec.tied_head) == (4, 32, 10000.0, False)


def test_a_spec_comes_back_from_its_json() -> None:
    spec = spec_from_hf({**CONFIG, "rope_scaling": {"type": "linear", "factor": 4.0}, "tie_word_embeddings": True})
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_an_unknown_rotary_scaling_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedModel, match="yarn"):
        spec_from_hf({**CONFIG, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}})


def test_an_unknown_gguf_architecture_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedModel, match="starcoder2"):
        spec_from_gguf({"general.architecture": "starcoder2"}, 512, False, ())


def test_linear_scaling_slows_the_rotation_down() -> None:
    plain, scaled = spec_from_hf(CONFIG), spec_from_hf({**CONFIG, "rope_scaling": {"type": "linear", "factor": 4.0}})
    assert np.allclose(scaled.rope_table(100)[0][::4], plain.rope_table(25)[0], atol=1e-6)


def test_the_rotary_table_turns_by_a_radian_for_each_position() -> None:
    cos, sin = spec_from_hf(CONFIG).rope_table(8)
    assert cos.shape == sin.shape == (8, 16)
    assert cos[3, 0] == pytest.approx(math.cos(3.0))
    assert sin[3, 0] == pytest.approx(math.sin(3.0))


def test_slots_share_the_memory_that_is_given() -> None:
    spec = spec_from_hf(CONFIG)
    assert spec.kv_bytes_per_token() == 2 * 2 * 2 * 32 * 4
    assert n_slots_for(spec, 1024, memory_mb=8) == 8
    assert n_slots_for(spec, 1024, memory_mb=0) == 2, "re-anchoring needs a spare one"


def test_a_slot_without_room_says_how_to_mend_it() -> None:
    slots = KvSlots(spec_from_hf(CONFIG), n_slots=2, max_len=10)
    slots.check_room(0, 10)
    with pytest.raises(ContextOverflow, match="kv_memory_mb"):
        slots.check_room(0, 11)


def test_copying_more_than_a_slot_holds_copies_what_it_holds() -> None:
    slots = KvSlots(spec_from_hf(CONFIG), n_slots=2, max_len=10)
    slots.keys[1][0, :, :, :4] = 7.0
    slots.lengths[0] = 4
    slots.copy(0, 1, 9)
    assert slots.lengths == [4, 4]
    assert (slots.keys[1][1, :, :, :4] == 7.0).all()
    assert (slots.keys[1][1, :, :, 4:] == 0.0).all()

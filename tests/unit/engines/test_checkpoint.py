"""Model files that are wrong, and the sizes that are read from right ones."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from completer.engines.kv import KvSlots, n_slots_for
from completer.engines.weights import gguf_file
from completer.engines.weights.checkpoint import open_checkpoint
from completer.engines.weights.spec import ModelSpec, spec_from_gguf, spec_from_hf
from completer.errors import ContextOverflow, ModelError, UnsupportedModel
from completer.tokens.tokenizer import Tokenizer
from tests import tiny

pytestmark = pytest.mark.slow

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


def gguf_bytes(tmp_path: Path) -> bytes:
    tiny.save_gguf("qwen2", tmp_path / "whole.gguf")
    return (tmp_path / "whole.gguf").read_bytes()


def test_a_gguf_file_cut_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    whole, path = gguf_bytes(tmp_path), tmp_path / "cut.gguf"
    for n_bytes in [*range(1, 400, 13), *range(400, len(whole), len(whole) // 12), len(whole) - 1]:
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(ModelError, match=r"cut\.gguf"):
            open_checkpoint(path)


def header(*parts: bytes, n_tensors: int = 0, n_fields: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_fields) + b"".join(parts)


HUGE = 2**60
NAME = struct.pack("<Q", 1) + b"a"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"GGUF" + bytes(200),
        header(n_tensors=HUGE),
        header(n_fields=HUGE),
        header(struct.pack("<Q", HUGE), n_fields=1),
        header(NAME, struct.pack("<IIQ", 9, 0, HUGE), bytes(64), n_fields=1),  # an array of that many bytes
        header(NAME, struct.pack("<IIQ", 9, 8, HUGE), bytes(64), n_fields=1),  # ... of that many strings
        header(NAME, struct.pack("<I", 9), struct.pack("<IQ", 9, 1) * 5000, n_fields=1),  # arrays in arrays
        header(NAME, struct.pack("<I", 2**31), n_tensors=1),  # that many dimensions
        header(NAME, struct.pack("<IQQIQ", 2, HUGE, HUGE, 0, 0), n_tensors=1),  # that many numbers
        header(NAME, struct.pack("<IQIQ", 1, 4, 0, HUGE), n_tensors=1),  # numbers that far away
    ],
)
def test_a_gguf_file_with_absurd_sizes_is_refused_at_once(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"hostile\.gguf"):
        open_checkpoint(path)


def test_a_gguf_header_with_very_many_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "MAX_READS", 1000)
    path = tmp_path / "hostile.gguf"
    path.write_bytes(header(NAME, struct.pack("<IIQ", 9, 0, 2000), bytes(2000), n_fields=1))
    with pytest.raises(ModelError, match="more than 1000 values"):
        open_checkpoint(path)


def test_flipped_bytes_in_a_gguf_header_are_an_error_of_ours_or_harmless(tmp_path: Path) -> None:
    whole, path = gguf_bytes(tmp_path), tmp_path / "flipped.gguf"
    for place in range(0, 2000, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(ModelError):
            open_checkpoint(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        struct.pack("<Q", HUGE) + b"{}",
        struct.pack("<Q", 2) + b"{",
        struct.pack("<Q", 2) + b"[]",
        b"\x00" * 64,
        *(
            struct.pack("<Q", len(text)) + text
            for text in [
                b'{"a":{"dtype":"F32","shape":[1152921504606846976,16],"data_offsets":[0,4]}}',
                b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
                b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[1152921504606846976,1152921504606846980]}}',
            ]
        ),
    ],
)
def test_a_damaged_safetensors_file_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (folder(tmp_path) / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '{"model_type": "llama"}'])
def test_a_config_that_describes_no_model_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (folder(tmp_path) / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json|'None'"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"head_dim": 2**40},
        {"num_hidden_layers": 10**6},
        {"num_attention_heads": 0},
        {"num_key_value_heads": 3},
        {"vocab_size": -1},
        {"max_position_embeddings": 2**50},
        {"rope_scaling": {"rope_type": "linear", "factor": "no number"}},
    ],
)
def test_sizes_that_no_model_has_are_refused_before_memory_is_taken(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        open_checkpoint(folder(tmp_path, **change))


def test_a_tensor_of_another_shape_than_described_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'norm\.weight' has the shape \(128,\).*\(256,\)"):
        open_checkpoint(folder(tmp_path, hidden_size=256)).get("norm.weight")


def test_a_vocabulary_with_absurd_ids_is_refused_before_memory_is_taken() -> None:
    spec = json.loads(tiny.tokenizer_text())
    spec["added_tokens"][0]["id"] = 2**31
    with pytest.raises(UnsupportedModel, match="ids beyond"):
        Tokenizer.of_spec(spec)

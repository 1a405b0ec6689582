"""Tiny models with random weights, made in the test: real files of every kind, a second's work for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from torch import Tensor

from completer.tokens.tokenizer import QWEN2_SPLIT, Tokenizer

torch.set_num_threads(1)  # beside other processes, two threads wait for each other most of the time

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
    "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
N_ORDINARY = 360
VOCAB_SIZE = 512
"""Rows of the embedding: more than the tokenizer has tokens, as with real models."""
FAMILIES = ("llama", "llama-biased", "llama3-tied", "mistral", "qwen2", "qwen3")
MAX_POSITIONS = 512
_CODE = """
def print_total(items: list[int]) -> None:
    total = 0
    for item in items:
        total += item
    print(f"total: {total}")

class Printer:
    def __init__(self, prefix="→ größe"):
        self.prefix = prefix

    def print_all(self, values):
        return [self.prefix + str(value) for value in values]
"""


@cache
def tokenizer_text() -> str:
    """Return the tokenizer.json of a small byte-level BPE vocabulary with FIM tokens named like Qwen's."""
    backend = Backend(models.BPE())
    split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated")
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, by_bytes])  # type: ignore[assignment]
    backend.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=N_ORDINARY, initial_alphabet=alphabet, min_frequency=1, show_progress=False)
    backend.train_from_iterator([_CODE], trainer)
    spec = json.loads(backend.to_str())
    n_ordinary = len(spec["model"]["vocab"])
    spec["added_tokens"] = [
        {"id": n_ordinary + i, "content": token, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for i, token in enumerate(SPECIAL)
    ]
    return json.dumps(spec, ensure_ascii=False)


def tokenizer(folder: Path) -> Tokenizer:
    """Write the tiny vocabulary to `folder` and load it."""
    path = folder / "tokenizer.json"
    path.write_text(tokenizer_text(), encoding="utf-8")
    return Tokenizer.load(path)


def loaded_tokenizer() -> Tokenizer:
    """Return the tiny vocabulary without a file."""
    return Tokenizer.of_spec(json.loads(tokenizer_text()))


def transformers_model(family: str) -> Any:
    """Return the transformers library's own model of a family with random weights, in float32."""
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": MAX_POSITIONS,
        "initializer_range": 0.15,
        "tie_word_embeddings": family == "llama3-tied",
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    if family == "llama3-tied":
        rope = {
            **{"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0},
            **{"high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        }
    configs = {
        "llama": transformers.LlamaConfig,
        "llama-biased": transformers.LlamaConfig,
        "llama3-tied": transformers.LlamaConfig,
        "mistral": transformers.MistralConfig,
        "qwen2": transformers.Qwen2Config,
        "qwen3": transformers.Qwen3Config,
    }
    if family == "llama-biased":
        sizes.update(attention_bias=True, mlp_bias=True)
    if family == "mistral":
        sizes["sliding_window"] = 256
    if family == "qwen2":
        sizes["hidden_size"] = 128  # its heads are always hidden_size / num_attention_heads wide
        del sizes["head_dim"]
    torch.manual_seed(FAMILIES.index(family))
    config = configs[family](**sizes, rope_parameters=rope, attn_implementation="eager")
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    for name, parameter in model.named_parameters():  # norms and biases start as ones and zeros, which hides mistakes
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.2)
    return model


def save_folder(family: str, folder: Path) -> Any:
    """Write a Hugging Face folder of the family (config.json, model.safetensors, tokenizer.json); return its model."""
    model = transformers_model(family)
    model.save_pretrained(folder)
    tokenizer(folder)
    return model


def reference_logits(model: Any, ids: list[int]) -> Tensor:
    """Return the transformers library's own logits: [n, vocab] float32."""
    with torch.inference_mode():
        logits: Tensor = model(torch.tensor([ids])).logits[0].float()
    return logits


def some_ids(n: int, seed: int = 0) -> list[int]:
    """Return n ordinary token ids."""
    return [int(i) for i in np.random.default_rng(seed).integers(0, N_ORDINARY, n)]


def save_gguf(family: str, path: Path, padded: bool = False) -> Any:
    """Write a GGUF file of the family (llama: rows of q and k permuted, as converters do); return its model.

    padded: name every row of the embedding, as converters do and llama.cpp wants it.
    """
    import gguf

    model = transformers_model(family)
    config = model.config
    writer = gguf.GGUFWriter(str(path), family.split("3")[0])
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(model.model.layers[0].self_attn.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    spec = json.loads(tokenizer_text())
    tokens = [*spec["model"]["vocab"], *(t["content"] for t in spec["added_tokens"])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    pads = [f"[PAD{i}]" for i in range(len(tokens), VOCAB_SIZE)] if padded else []
    writer.add_token_list([*tokens, *pads])
    writer.add_token_types([1] * len(spec["model"]["vocab"]) + [3] * len(SPECIAL) + [5] * len(pads))
    writer.add_eos_token_id(tokens.index("<|endoftext|>"))
    writer.add_token_merges([" ".join(pair) for pair in spec["model"]["merges"]])
    for name, tensor in _gguf_tensors(model, permuted=family.startswith("llama")):
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _gguf_tensors(model: Any, permuted: bool) -> Iterator[tuple[str, Tensor]]:
    parts = {
        **{f"self_attn.{p}_proj": f"attn_{p if p != 'o' else 'output'}" for p in "qkvo"},
        **{f"mlp.{p}_proj": f"ffn_{p}" for p in ("gate", "up", "down")},
        **{"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"},
    }
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for i in range(model.config.num_hidden_layers):
        names.update({f"model.layers.{i}.{hf}": f"blk.{i}.{theirs}" for hf, theirs in parts.items()})
    heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
    for full_name, tensor in model.state_dict().items():
        name, _, kind = full_name.rpartition(".")
        part = name.rpartition(".")[2]
        if permuted and part in heads:
            tensor = _interleave(tensor, heads[part])
        yield f"{names[name]}.{kind}", tensor.contiguous()


def _interleave(w: Tensor, heads: int) -> Tensor:
    """Order the rows of each head so that the two numbers of a rotary pair are neighbours."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).transpose(1, 2).reshape(w.shape)

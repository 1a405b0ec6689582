"""Tiny models with random weights of families that only the transformers library runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests import tiny

FAMILIES = ("starcoder2", "granite", "gemma", "gemma2", "deepseek_v2")
WINDOW = 24
"""Positions that a layer with a sliding window looks back: far less than the tests feed."""
_SPECIAL = {
    "starcoder2": {"<|fim_prefix|>": "<fim_prefix>", "<|fim_middle|>": "<fim_middle>", "<|fim_suffix|>": "<fim_suffix>",
                   "<|file_sep|>": "<file_sep>", "<|repo_name|>": "<repo_name>"},
    "deepseek_v2": {"<|fim_prefix|>": "<｜fim▁begin｜>", "<|fim_suffix|>": "<｜fim▁hole｜>", "<|fim_middle|>": "<｜fim▁end｜>",
                    "<|im_start|>": "<｜begin▁of▁sentence｜>", "<|endoftext|>": "<｜end▁of▁sentence｜>"},
    "gemma": {"<|im_start|>": "<bos>", "<|endoftext|>": "<eos>", "<|file_sep|>": "<|file_separator|>"},
}  # fmt: skip


def transformers_model(family: str) -> Any:
    """Return the transformers library's model of a family with random weights, in float32."""
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": tiny.VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": tiny.MAX_POSITIONS,
        "initializer_range": 0.15,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": None,
    }
    if family == "starcoder2":
        config: Any = transformers.Starcoder2Config(**sizes, sliding_window=WINDOW)
    elif family == "granite":
        config = transformers.GraniteConfig(**sizes, embedding_multiplier=2.0, residual_multiplier=0.5, logits_scaling=0.5)
    elif family == "gemma":
        config = transformers.GemmaConfig(**sizes, head_dim=32)
    elif family == "gemma2":  # every second layer has a window, and the scores are capped
        config = transformers.Gemma2Config(**sizes, head_dim=32, sliding_window=WINDOW, attn_logit_softcapping=2.0)
    elif family == "deepseek_v2":  # keys and values of different widths, experts
        sizes["num_key_value_heads"] = 4
        latent = {"q_lora_rank": None, "kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "v_head_dim": 24}
        experts = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1}
        config = transformers.DeepseekV2Config(**sizes, **latent, **experts, first_k_dense_replace=1, n_group=1, topk_group=1)
    else:  # a recurrent one, for refusals
        config = transformers.MambaConfig(vocab_size=tiny.VOCAB_SIZE, hidden_size=64, num_hidden_layers=2)
    config._attn_implementation = "eager"
    torch.manual_seed(1)
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


def save_folder(family: str, folder: Path) -> Any:
    """Write a Hugging Face folder of the family, its tokens named like those of the real models; return its model."""
    model = transformers_model(family)
    model.save_pretrained(folder)
    spec = json.loads(tiny.tokenizer_text())
    for token in spec["added_tokens"]:
        token["content"] = _SPECIAL.get(family, {}).get(token["content"], token["content"])
    (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    return model

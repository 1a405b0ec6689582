"""Stand-ins for exllamav2 and exllamav3: every call must fit the real release's signature, and KV slots hold token ids.

Logits are those of `FakeEngine` for the ids that the slot holds, so that one wrong position anywhere is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from tests import tiny
from tests.contract.releases import Release
from tests.fake_engine import FakeEngine

PADDING = 32
"""Columns of logits behind the vocabulary: the libraries round it up."""


class FakeModel:
    """What both have in common: logits from the ids in storage."""

    def __init__(self) -> None:
        self.engine = FakeEngine(tiny.VOCAB_SIZE)
        self.loaded = False

    def logits(self, held: Sequence[int], n: int) -> Tensor:
        """[1, n, vocab + padding] for the last n of the ids held, in half precision like the libraries'."""
        assert self.loaded
        rows = torch.full((1, n, tiny.VOCAB_SIZE + PADDING), 60000.0)
        for row, end in enumerate(range(len(held) - n + 1, len(held) + 1)):
            rows[0, row, : tiny.VOCAB_SIZE] = torch.from_numpy(self.engine.logits_after(held[:end]))
        return rows.half()


def settable(allowed: set[str], **values: Any) -> Any:
    """Return an object with these attributes, all of which the real class must have; no others can be set."""
    unknown = set(values) - allowed
    assert not unknown, f"the release has no attributes {sorted(unknown)} any more"

    class Strict(SimpleNamespace):
        def __setattr__(self, name: str, value: object) -> None:
            assert name in values, f"{name} is not an attribute that the stand-in knows"
            super().__setattr__(name, value)

    return Strict(**values)


def exllamav2(real: Release) -> SimpleNamespace:
    """Return a stand-in for the module exllamav2."""
    sizes = {"vocab_size": tiny.VOCAB_SIZE, "num_hidden_layers": 2, "num_key_value_heads": 2, "head_dim": 32}
    names = real.attributes("config.py", "ExLlamaV2Config")
    assert {"current_seq_len", "max_seq_len"} <= real.attributes("cache.py", "ExLlamaV2CacheBase")

    @real.checked("config.py", "ExLlamaV2Config.arch_compat_overrides")
    def overrides(self: object, quiet: bool) -> None:
        assert quiet, "warnings must not be printed: the language server speaks over standard output"

    def config(model_dir: str) -> Any:
        real.signature("config.py", "ExLlamaV2Config.__init__").bind(None, model_dir)
        made = settable(names, **sizes, max_seq_len=32768, max_input_len=2048, arch_compat_overrides=None)
        made.arch_compat_overrides = lambda *args, **kwargs: overrides(made, *args, **kwargs)
        return made

    class Model(FakeModel):
        @real.checked("model.py", "ExLlamaV2.__init__")
        def __init__(self: Any, config: Any) -> None:  # type: ignore[misc]
            FakeModel.__init__(self)
            self.config = config

        @real.checked("model.py", "ExLlamaV2.load_autosplit")
        def load_autosplit(self: Any, cache: Any, progress: bool) -> None:  # type: ignore[misc]
            assert cache.lazy
            assert not progress
            self.loaded, cache.ids = True, torch.full((cache.max_seq_len,), -1)

        @real.checked("model.py", "ExLlamaV2.forward")
        def forward(self: Any, input_ids: Tensor, cache: Any, preprocess_only: bool, last_id_only: bool) -> Any:  # type: ignore[misc]
            start, n = cache.current_seq_len, input_ids.shape[1]
            assert start + n <= cache.max_seq_len, "Total sequence length exceeds cache size in model.forward"
            assert not last_id_only
            cache.ids[start : start + n] = input_ids[0]
            cache.current_seq_len += n
            return None if preprocess_only else self.logits(cache.ids[: start + n].tolist(), n)

        @real.checked("model.py", "ExLlamaV2.unload")
        def unload(self: Any) -> None:  # type: ignore[misc]
            self.loaded = False

    def cache_class(name: str) -> type:
        class Cache:
            @real.checked("cache.py", f"{name}.__init__")
            def __init__(self: Any, model: Any, batch_size: int, max_seq_len: int, lazy: bool) -> None:  # type: ignore[misc]
                assert batch_size == 1
                assert lazy or model.loaded, "a cache needs to know on which devices the layers lie"
                self.max_seq_len, self.lazy, self.current_seq_len = max_seq_len, lazy, 0
                self.ids = None if lazy else torch.full((max_seq_len,), -1)

            @real.checked("cache.py", "ExLlamaV2CacheBase.copy_states")
            def copy_states(  # type: ignore[misc]
                self: Any,
                target: Any,
                from_column: int,
                from_columns: int,
                to_column: int,
                to_columns: int,
                from_rows: int,
                to_rows: int,
            ) -> None:
                assert (from_columns, from_rows, to_rows) == (to_columns, 1, 1)
                target.ids[to_column : to_column + to_columns] = self.ids[from_column : from_column + from_columns]

        return Cache

    caches = {name: cache_class(name) for name in ("ExLlamaV2Cache", *(f"ExLlamaV2Cache_Q{bits}" for bits in (4, 6, 8)))}
    return _exported(real, ExLlamaV2Config=config, ExLlamaV2=Model, **caches)


def exllamav3(real: Release) -> SimpleNamespace:
    """Return a stand-in for the module exllamav3."""
    page = real.constant("constants.py", "PAGE_SIZE")
    sizes = {"vocab_size": tiny.VOCAB_SIZE, "num_hidden_layers": 2, "num_kv_heads": 2, "head_dim": 32}
    attention = real.text("modules/attn.py")

    class Config:
        @staticmethod
        @real.checked("model/config.py", "Config.from_directory")
        def from_directory(directory: str) -> Any:
            names = real.attributes("model/config.py", "Config")
            return settable(names, **sizes, max_position_embeddings=2 * page + 44)  # not a whole number of pages

    class Model(FakeModel):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.config = config

        @staticmethod
        @real.checked("model/model.py", "Model.from_config")
        def from_config(config: Any) -> Any:
            return Model(config)

        @real.checked("model/model.py", "Model.get_recurrent_layers")
        def get_recurrent_layers(self: Any) -> list[object]:  # type: ignore[misc]
            return []

        def load(self, **kwargs: Any) -> None:
            real.signature("model/model.py", "Model.load").bind(self, **kwargs)
            real.signature("model/model.py", "Model.load_gen").bind(self, **kwargs)  # which it hands them to
            self.loaded = True

        @real.checked("model/model.py", "Model.forward")
        def forward(self: Any, input_ids: Tensor, params: dict[str, Any]) -> Tensor:  # type: ignore[misc]
            held = self.write(input_ids, params)
            return self.logits(held, input_ids.shape[1])

        @real.checked("model/model.py", "Model.prefill")
        def prefill(self: Any, input_ids: Tensor, params: dict[str, Any]) -> None:  # type: ignore[misc]
            self.write(input_ids, params)

        @real.checked("model/model.py", "Model.unload")
        def unload(self: Any) -> None:  # type: ignore[misc]
            self.loaded = False

        def write(self, input_ids: Tensor, params: dict[str, Any]) -> list[int]:
            assert self.loaded
            assert params["attn_mode"] == "flash_attn"
            for key in params:
                assert f'"{key}"' in attention, f"the attention does not read {key} any more"
            table, (start,) = params["block_table"], params["cache_seqlens"].tolist()
            assert (table.shape[0], table.dtype, params["cache_seqlens"].dtype) == (1, torch.int32, torch.int32)
            n = input_ids.shape[1]
            assert start + n <= table.shape[1] * page, "a position behind the last page would overwrite another slot"
            places = [(int(table[0, i // page]), i % page) for i in range(start + n)]
            for place, id_ in zip(places[start:], input_ids[0].tolist(), strict=True):
                params["cache"].ids[place] = id_
            params["positions"] = params["cache_seqlens"]  # the library writes into the dictionary, too
            return [int(params["cache"].ids[place]) for place in places]

    class Cache:
        def __init__(self, model: Any, **kwargs: Any) -> None:
            bound = real.signature("cache/cache.py", "Cache.__init__").bind(self, model, **kwargs)
            layer = dict(bound.kwargs)
            if kwargs.get("layer_type"):
                bits = {"k_bits": layer["k_bits"], "v_bits": layer["v_bits"]}
                real.signature("cache/quant.py", "CacheLayer_quant.__init__").bind(None, None, None, 0, 0, **bits)
            n_positions = bound.arguments["max_num_tokens"]
            assert n_positions % page == 0
            assert not model.loaded, "the library gives a cache its memory when the model is loaded"
            self.ids = torch.full((n_positions // page, page), -1)

        @real.checked("cache/cache.py", "Cache.copy_page")
        def copy_page(self: Any, target: Any, from_page: int, to_page: int, num_tokens: int) -> None:  # type: ignore[misc]
            target.ids[to_page, :num_tokens] = self.ids[from_page, :num_tokens]

    return _exported(real, Config=Config, Model=Model, Cache=Cache, CacheLayer_quant=object)


def _exported(real: Release, **names: Any) -> SimpleNamespace:
    missing = set(names) - real.exports()
    assert not missing, f"the release does not export {sorted(missing)} any more"
    return SimpleNamespace(**names)

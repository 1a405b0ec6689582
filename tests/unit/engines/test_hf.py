"""The engine of the transformers library: its logits are the library's own, whatever was truncated or copied before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from completer.cli.main import app
from completer.config import Settings
from completer.engines.factory import load
from completer.engines.other.hf import HfEngine, open_model
from completer.errors import ConfigError, ModelError, UnsupportedModel
from completer.models.store import locate
from tests import tiny, tiny_hf

pytestmark = pytest.mark.slow

IDS = tiny.some_ids(90)
OTHER = tiny.some_ids(60, seed=9)


@pytest.mark.parametrize("family", tiny_hf.FAMILIES)
def test_logits_are_the_librarys_own_after_truncation_and_copy_beyond_the_window(family: str) -> None:
    model = tiny_hf.transformers_model(family)
    expected = tiny.reference_logits(model, IDS).numpy()
    engine = HfEngine(model, max_len=256, memory_mb=1)
    engine.forward(0, IDS[:30], 0)
    engine.forward(0, OTHER, 1)
    engine.truncate(0, 30)
    engine.copy(0, 1, 25)
    for slot, held in ((0, 30), (1, 25)):
        rows = engine.forward(slot, IDS[held:], len(IDS) - held)
        np.testing.assert_allclose(rows, expected[held:], atol=1e-4)


def test_the_window_of_the_test_models_is_really_shorter_than_what_the_test_feeds() -> None:
    model = tiny_hf.transformers_model("starcoder2")
    windowed = tiny.reference_logits(model, IDS)
    model.config.sliding_window = None
    assert (tiny.reference_logits(model, IDS) - windowed).abs().max() > 0.1


def test_a_failed_forward_leaves_the_slot_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_hf.transformers_model("granite")
    engine = HfEngine(model, max_len=256, memory_mb=1)
    engine.forward(0, IDS[:40], 0)
    with monkeypatch.context() as broken:
        broken.setattr(model.model.layers[1].mlp, "forward", _fail)
        with pytest.raises(RuntimeError):
            engine.forward(0, OTHER, 1)
    assert engine.length(0) == 40
    expected = tiny.reference_logits(model, IDS).numpy()
    np.testing.assert_allclose(engine.forward(0, IDS[40:], 50), expected[40:], atol=1e-4)


def _fail(*_: object) -> None:
    raise RuntimeError("out of memory")


def test_slots_fit_the_memory_and_the_models_positions() -> None:
    model = tiny_hf.transformers_model("granite")
    engine = HfEngine(model, max_len=4096, memory_mb=1)
    assert engine.max_len == tiny.MAX_POSITIONS
    bytes_per_slot = 2 * 2 * 2 * 16 * 4 * engine.max_len  # keys and values, layers, heads, head_dim, float32
    assert engine.n_slots == 2**20 // bytes_per_slot
    assert HfEngine(model, max_len=4096, memory_mb=0).n_slots == 2


def test_a_recurrent_model_is_refused_because_tokens_cannot_be_taken_back() -> None:
    with pytest.raises(UnsupportedModel, match="cannot take tokens back from a 'mamba' model"):
        HfEngine(tiny_hf.transformers_model("mamba"), max_len=256, memory_mb=1)


def test_a_model_that_keeps_something_outside_of_the_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_hf.transformers_model("granite")
    inner, seen = model.model.layers[0].mlp.forward, []

    def counting(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.shape[1])
        return torch.as_tensor(inner(x) * sum(seen))

    monkeypatch.setattr(model.model.layers[0].mlp, "forward", counting)
    with pytest.raises(UnsupportedModel, match="differ after a truncation"):
        HfEngine(model, max_len=256, memory_mb=1)


def test_a_folder_keeps_its_precision_and_half_precision_is_widened_on_a_cpu(tmp_path: Path) -> None:
    model = tiny_hf.transformers_model("granite")
    for dtype, opened in ((torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32)):
        folder = tmp_path / str(dtype)
        model.to(dtype).save_pretrained(folder)
        assert open_model(folder, "cpu").dtype == opened
    assert open_model(folder, "cpu", bf16=True).dtype == torch.bfloat16


def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing-we-know"}), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot open") as error:
        open_model(tmp_path, "cpu")
    assert "\n" not in str(error.value)
    with pytest.raises(UnsupportedModel, match="choose 'phased'"):
        open_model(tmp_path / "model.gguf", "cpu")


def test_the_factory_loads_a_folder_with_the_familys_own_fim_tokens(tmp_path: Path) -> None:
    tiny_hf.save_folder("deepseek_v2", tmp_path)
    loaded = load(locate(str(tmp_path)), Settings(engine="hf"))
    assert loaded.engine.name == "hf"
    assert loaded.tokenizer.fim.format.name == "deepseek"
    assert loaded.engine.costs.cost(1) > 0
    with pytest.raises(ConfigError, match="auto or bf16"):
        load(locate(str(tmp_path)), Settings(engine="hf", weights="int4"))
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(UnsupportedModel, match="needs a Hugging Face folder with a tokenizer"):
        load(locate(str(tmp_path)), Settings(engine="hf"))


def test_the_command_line_completes_with_a_family_that_the_lean_decoder_lacks(tmp_path: Path) -> None:
    tiny_hf.save_folder("starcoder2", tmp_path / "model")
    (tmp_path / "a.py").write_text("def print_total(items):\n    total = 0\n    for it\n    print(total)\n", encoding="utf-8")
    command = ["complete", f"{tmp_path / 'a.py'}:3:11", "--json", "--model", str(tmp_path / "model"), "--engine", "hf"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output.splitlines()[-1])
    assert answer["engine"] == "hf"
    assert answer["tokens"]["feed"] > 10
    assert answer["tokens"]["generated"] > 0

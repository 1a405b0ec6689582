"""One builder for each kind of StepEngine, over tiny models: at least N_SLOTS slots of MAX_LEN positions each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from completer.engines.base import StepEngine
from completer.engines.cpu.ort import OnnxEngine
from completer.engines.cpu.phased import PhasedEngine
from completer.engines.cuda.engine import CudaEngine
from completer.engines.cuda.static import DeviceSlots
from completer.engines.kv import KvSlots
from completer.engines.lean.build import dense, lean_model
from completer.engines.lean.decoder import Bfloat16Rows, LeanEngine
from completer.engines.other.exllama import ExllamaEngine, open_engine
from completer.engines.other.hf import HfEngine
from completer.engines.weights.checkpoint import open_checkpoint
from completer.engines.weights.convert import convert, int8_model
from completer.engines.weights.rowfile import RowFile
from completer.engines.weights.spec import ModelSpec
from completer.tokens.tokenizer import Tokenizer
from tests import tiny, tiny_hf
from tests.contract import fake_exllama
from tests.contract.releases import release
from tests.fake_engine import FakeEngine

MAX_LEN = 512
N_SLOTS = 3
Build = Callable[[], StepEngine]
CONVERTED = ("torch", "torch-static", "onnx", "phased")
HF = tuple(f"hf-{family}" for family in tiny_hf.FAMILIES)
EXLLAMA = ("exllamav2", "exllamav3")
NAMES = ("fake", *CONVERTED, *HF, *EXLLAMA)


def builder(name: str, folder: Path) -> Build:
    """Return what builds the engine `name`. folder: where a tiny model was converted, or will be."""
    if name == "fake":
        return lambda: FakeEngine(tiny.VOCAB_SIZE, N_SLOTS, MAX_LEN)
    if name in HF:
        return lambda: hf(name.removeprefix("hf-"))
    if name in EXLLAMA:
        return lambda: exllama(name)
    if not (folder / "model").is_dir():
        tiny.save_folder("qwen2", folder / "source")
        convert(folder / "source", folder / "model")
    return static(folder / "source") if name == "torch-static" else converted(folder / "model")[name]


def hf(family: str) -> HfEngine:
    return HfEngine(tiny_hf.transformers_model(family), MAX_LEN, memory_mb=4)


def exllama(name: str, kv_bits: int = 16) -> ExllamaEngine:
    library = getattr(fake_exllama, name)(release(name))
    engine = open_engine(name, library, Path("model"), MAX_LEN, memory_mb=1, kv_bits=kv_bits)
    engine.chunk = 32
    return engine


def static(source: Path) -> Build:
    """Return what builds the engine for CUDA, on the CPU: the same code without graphs."""
    n_ordinary = Tokenizer.load(source / "tokenizer.json").vocab_size
    exact = lean_model(open_checkpoint(source), dense(torch.float32))

    def build() -> CudaEngine:
        slots = DeviceSlots(exact.spec, N_SLOTS, MAX_LEN, torch.device("cpu"), torch.float32)
        engine = CudaEngine(exact, slots, torch.device("cpu"), n_ordinary)
        engine.chunk = 32
        return engine

    return build


def converted(folder: Path) -> dict[str, Build]:
    spec = ModelSpec.from_json((folder / "spec.json").read_text(encoding="utf-8"))
    embed = RowFile(folder / "embed.npy")

    def slots() -> KvSlots:
        return KvSlots(spec, n_slots=N_SLOTS, max_len=MAX_LEN)

    def lean(kv: KvSlots, with_head: bool) -> LeanEngine:
        rows = load_file(str(folder / "prefill.safetensors"))
        return LeanEngine(int8_model(spec, Bfloat16Rows(embed), rows, with_head), kv)

    def onnx(kv: KvSlots) -> OnnxEngine:
        return OnnxEngine(folder / "decode.onnx", spec, embed, kv, threads=1)

    def phased() -> PhasedEngine:
        kv = slots()
        return PhasedEngine(onnx(kv), lean(kv, with_head=False), "phased")

    return {"torch": lambda: lean(slots(), with_head=True), "onnx": lambda: onnx(slots()), "phased": phased}

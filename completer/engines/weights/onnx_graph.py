"""Writes the ONNX graph of a Llama-family decoder with weights in 4- and 8-bit groups.

    embeds [1, n, hidden] ──> layers ──> rows of interest ──> norm ──> head ──> logits [r, vocab]
    past_key.N, past_value.N [1, heads_kv, max_len, head_dim]  ══ present_key.N, present_value.N (the same buffers)

The embedding is looked up outside of the graph, so that its table need not be in memory; rows [r] names the positions
whose logits are wanted. Operators: MatMulNBits, GroupQueryAttention, SkipSimplifiedLayerNormalization, QuickGelu of onnxruntime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from completer.engines.weights.quantize import Groups
from completer.engines.weights.spec import ModelSpec

_MS = "com.microsoft"
_ALIGN = 4096  # offsets of external data, so that they can be memory-mapped


class GraphWriter:
    """Collects nodes, streams weights into `path`.data, and writes the graph to `path`."""

    def __init__(self, path: Path, spec: ModelSpec, max_len: int) -> None:
        self._path = path
        self._spec = spec
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[TensorProto] = []
        self._data = path.with_name(path.name + ".data").open("wb")
        cos, sin = spec.rope_table(max_len)
        self._weight("cos", cos)
        self._weight("sin", sin)

    def layer(
        self,
        i: int,
        norms: dict[str, Tensor],
        projections: dict[str, Groups],
        biases: dict[str, Tensor],
    ) -> None:
        """Add layer `i`. norms: attn_norm, ffn_norm and, for families that have them, q_norm, k_norm;
        projections: qkv, o, gate, up, down; biases: of those of them that have one. Mutates: the graph and the data file.
        """
        spec, p = self._spec, f"layers.{i}"
        for name, tensor in norms.items():
            self._weight(f"{p}.{name}", tensor.numpy())
        if i == 0:
            norm = ["embeds", f"{p}.attn_norm"]
            self._node("SimplifiedLayerNormalization", norm, [f"{p}.x"], "", epsilon=spec.rms_eps, axis=-1)
            residual = "embeds"
        else:
            residual = f"{p}.in"
            self._skip_norm(f"layers.{i - 1}.mid", f"layers.{i - 1}.down", f"{p}.attn_norm", f"{p}.x", residual)
        self._product(f"{p}.x", f"{p}.qkv", projections["qkv"], biases.get("qkv"))
        query = self._head_norms(i) if "q_norm" in norms else [f"{p}.qkv", "", ""]
        self._node(
            "GroupQueryAttention",
            [*query, f"past_key.{i}", f"past_value.{i}", "last_position", "n_positions", "cos", "sin"],
            [f"{p}.mixed", f"present_key.{i}", f"present_value.{i}"],
            num_heads=spec.heads,
            kv_num_heads=spec.heads_kv,
            do_rotary=1,
            rotary_interleaved=0,
        )
        self._product(f"{p}.mixed", f"{p}.o", projections["o"], biases.get("o"))
        self._skip_norm(residual, f"{p}.o", f"{p}.ffn_norm", f"{p}.y", f"{p}.mid")
        self._product(f"{p}.y", f"{p}.gate", projections["gate"], biases.get("gate"))
        self._product(f"{p}.y", f"{p}.up", projections["up"], biases.get("up"))
        self._node("QuickGelu", [f"{p}.gate"], [f"{p}.act"], alpha=1.0)
        self._node("Mul", [f"{p}.act", f"{p}.up"], [f"{p}.ffn"], "")
        self._product(f"{p}.ffn", f"{p}.down", projections["down"], biases.get("down"))

    def finish(self, norm: Tensor, head: Groups) -> None:
        """Add the last norm and the head, and write the graph. Mutates: both files; the writer cannot be used again."""
        last = f"layers.{self._spec.n_layers - 1}"
        self._weight("norm", norm.numpy())
        # Rows are picked before the head: its 150,000 outputs are computed only where they are wanted.
        self._node("Gather", [f"{last}.mid", "rows"], ["tail.mid"], "", axis=1)
        self._node("Gather", [f"{last}.down", "rows"], ["tail.down"], "", axis=1)
        self._skip_norm("tail.mid", "tail.down", "norm", "final", "")
        self._product("final", "logits", head)
        self._data.close()
        onnx.save(self._model(), str(self._path))

    def _model(self) -> onnx.ModelProto:
        spec = self._spec
        # Slots may be shorter than the rotary tables allow, so their length is no constant.
        kv_shape: list[int | str | None] = [1, spec.heads_kv, "max_len", spec.head_dim]
        value = helper.make_tensor_value_info
        inputs = [
            value("embeds", TensorProto.FLOAT, [1, "n", spec.hidden]),
            value("rows", TensorProto.INT64, ["r"]),
            value("last_position", TensorProto.INT32, [1]),
            value("n_positions", TensorProto.INT32, []),
        ]
        outputs = [value("logits", TensorProto.FLOAT, [1, "r", spec.vocab_size])]
        for i in range(spec.n_layers):
            for kind in ("key", "value"):
                inputs.append(value(f"past_{kind}.{i}", TensorProto.FLOAT, kv_shape))
                outputs.append(value(f"present_{kind}.{i}", TensorProto.FLOAT, kv_shape))
        graph = helper.make_graph(self._nodes, "decoder", inputs, outputs, self._weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(_MS, 1)], ir_version=10)

    def _product(self, x: str, out: str, w: Groups, bias: Tensor | None = None) -> None:
        bits = w.bits
        n_out, n_in = w.values.shape
        self._weight(f"{out}.w", pack(w.values, bits, w.size))
        self._weight(f"{out}.s", w.scale.numpy())
        self._weight(f"{out}.z", pack_zeros(w.zero, bits))
        names = [x, f"{out}.w", f"{out}.s", f"{out}.z"]
        if bias is not None:
            self._weight(f"{out}.b", bias.numpy())
            names += ["", f"{out}.b"]
        if w.order is not None:  # act-order: groups are of inputs that are not adjacent
            self._weight(f"{out}.order", w.order.numpy())
            self._node("Gather", [x, f"{out}.order"], [f"{out}.x"], "", axis=-1)
            names[0] = f"{out}.x"
        # accuracy_level 4: activations are rounded to 8 bits too, which the fast kernels need.
        self._node("MatMulNBits", names, [out], K=n_in, N=n_out, bits=bits, block_size=w.size, accuracy_level=4)

    def _head_norms(self, i: int) -> list[str]:
        """Normalise each head of q and k (Qwen3); return the names of q, k, v for the attention."""
        spec, p = self._spec, f"layers.{i}"
        rows = [spec.heads * spec.head_dim, spec.heads_kv * spec.head_dim, spec.heads_kv * spec.head_dim]
        for name, shape in (("rows", rows), ("per_head", [0, 0, -1, spec.head_dim]), ("flat", [0, 0, -1])):
            # Shapes are read when the graph is loaded, before external data: they are in the graph itself.
            self._weights.append(numpy_helper.from_array(np.array(shape, np.int64), f"{p}.{name}"))
        self._node("Split", [f"{p}.qkv", f"{p}.rows"], [f"{p}.q0", f"{p}.k0", f"{p}.v0"], "", axis=-1)
        for part in ("q", "k"):
            self._node("Reshape", [f"{p}.{part}0", f"{p}.per_head"], [f"{p}.{part}1"], "")
            norm = [f"{p}.{part}1", f"{p}.{part}_norm"]
            self._node("SimplifiedLayerNormalization", norm, [f"{p}.{part}2"], "", epsilon=spec.rms_eps, axis=-1)
            self._node("Reshape", [f"{p}.{part}2", f"{p}.flat"], [f"{p}.{part}3"], "")
        return [f"{p}.q3", f"{p}.k3", f"{p}.v0"]

    def _skip_norm(self, residual: str, x: str, weight: str, out: str, total: str) -> None:
        outputs = [out, "", "", total] if total else [out]
        self._node("SkipSimplifiedLayerNormalization", [residual, x, weight], outputs, epsilon=self._spec.rms_eps)

    def _node(self, op: str, inputs: list[str], outputs: list[str], domain: str = _MS, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))

    def _weight(self, name: str, array: NDArray[Any]) -> None:
        """Append `array` to the data file and declare it. Mutates: the data file."""
        offset = -(-self._data.tell() // _ALIGN) * _ALIGN
        self._data.seek(offset)
        raw = np.ascontiguousarray(array).tobytes()
        self._data.write(raw)
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        tensor.data_location = TensorProto.EXTERNAL
        location = {"location": Path(self._data.name).name, "offset": str(offset), "length": str(len(raw))}
        for key, text in location.items():
            tensor.external_data.add(key=key, value=text)
        self._weights.append(tensor)


def pack(values: Tensor, bits: int, size: int) -> NDArray[np.uint8]:
    """Return [out, in / size, size * bits / 8] as MatMulNBits wants it: the lower half-byte first."""
    grouped = values.view(values.shape[0], -1, size)
    if bits == 4:
        grouped = grouped[..., ::2] | (grouped[..., 1::2] << 4)
    return grouped.numpy()


def pack_zeros(zero: Tensor, bits: int) -> NDArray[np.uint8]:
    """Return the zero points, [out, in / size], two to a byte where bits is 4 (rows of odd length are padded)."""
    if bits == 4:
        padded = torch.nn.functional.pad(zero, (0, zero.shape[1] % 2))
        zero = padded[:, ::2] | (padded[:, 1::2] << 4)
    return zero.contiguous().numpy()

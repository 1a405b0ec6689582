"""The servers that the engine `remote` speaks to, by the name of their dialect."""

from __future__ import annotations

from completer.engines.remote.dialect import Dialect
from completer.engines.remote.dialects.llama_server import LLAMA_SERVER
from completer.engines.remote.dialects.lmdeploy import LMDEPLOY
from completer.engines.remote.dialects.ollama import OLLAMA
from completer.engines.remote.dialects.openai import OPENAI, TENSORRT_LLM, VLLM
from completer.engines.remote.dialects.sglang import SGLANG
from completer.engines.remote.dialects.tgi import TGI

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (LLAMA_SERVER, VLLM, SGLANG, TENSORRT_LLM, TGI, OLLAMA, LMDEPLOY, OPENAI)
}
OWNERS = {"llamacpp": "llama-server", "vllm": "vllm", "sglang": "sglang", "lmdeploy": "lmdeploy", "library": "ollama"}
"""Dialects by what a server's `/v1/models` reports (`owned_by`)."""

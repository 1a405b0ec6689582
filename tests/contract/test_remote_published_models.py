"""The bodies of the dialects against the servers' own published request models.

The servers' packages are large and some need a GPU, so nothing is installed: put their unpacked wheels into one folder
and name it in PUBLISHED_SOURCES.

    for p in vllm sglang lmdeploy ollama openai text-generation; do pip download --no-deps -d W $p; done
    for w in W/*.whl; do unzip -q -o $w '*.py' -d SOURCES; done
    PUBLISHED_SOURCES=SOURCES pytest tests/contract/test_remote_published_models.py

Field names are read from the source; a server that forbids unknown fields would refuse one that is missing there.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from completer.engines.remote.dialect import Ask
from completer.engines.remote.dialects import DIALECTS

SOURCES = Path(os.environ.get("PUBLISHED_SOURCES", "/nonexistent"))
ASK = Ask("m", [1, 2, 3], 7, ("\n",), (5, 6), "", 20)
TEXT = Ask("m", "x = ", 7, ("\n",), (5, 6), "", 20)
MODELS = [  # dialect, key of the part of the body ("": all), file, class
    ("vllm", "", "vllm/entrypoints/openai/completion/protocol.py", "CompletionRequest"),
    ("vllm", "stream_options", "vllm/entrypoints/generate/base/protocol.py", "StreamOptions"),
    ("sglang", "", "sglang/srt/managers/io_struct.py", "GenerateReqInput"),
    ("sglang", "sampling_params", "sglang/srt/sampling/sampling_params.py", "SamplingParams"),
    ("lmdeploy", "", "lmdeploy/serve/openai/protocol.py", "GenerateReqInput"),
    ("openai", "", "openai/types/completion_create_params.py", "CompletionCreateParamsBase"),
    ("tgi", "", "text_generation/types.py", "Request"),
    ("tgi", "parameters", "text_generation/types.py", "Parameters"),
]


def fields_of(file: str, name: str) -> set[str]:
    """Return the annotated names in the body of a class and of its bases in the same file."""
    path = SOURCES / file
    if not path.is_file():
        pytest.skip(f"PUBLISHED_SOURCES holds no {file}")
    classes = {node.name: node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)}
    found: set[str] = set()
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found |= fields_of(file, base.id)
    return found | {n.target.id for n in classes[name].body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}


def body_of(dialect: str, part: str) -> dict[str, Any]:
    body = DIALECTS[dialect].body(ASK if DIALECTS[dialect].takes_ids else TEXT)
    return body[part] if part else body


@pytest.mark.parametrize(("dialect", "part", "file", "name"), MODELS)
def test_every_field_that_is_sent_is_one_of_the_published_model(dialect: str, part: str, file: str, name: str) -> None:
    # `stream` of the OpenAI API stands in two classes derived from the one with all the rest.
    assert set(body_of(dialect, part)) - {"stream"} <= fields_of(file, name)


def test_ollama_takes_the_body() -> None:
    if not (SOURCES / "ollama").is_dir():
        pytest.skip("PUBLISHED_SOURCES holds no ollama")
    sys.path.insert(0, str(SOURCES))
    try:
        types = importlib.import_module("ollama._types")
    finally:
        sys.path.remove(str(SOURCES))
    body = body_of("ollama", "")
    made = types.GenerateRequest(**body).model_dump(exclude_none=True)
    assert {**made, "options": {k: made["options"][k] for k in body["options"]}} == body

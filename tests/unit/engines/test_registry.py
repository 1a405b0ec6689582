"""What `completer doctor` says of each engine: state, version, device, reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from completer.cli.doctor import engine_table
from completer.config import Settings
from completer.engines import registry
from completer.engines.registry import ENGINES, Requirements, availability

HERE = ("phased", "onnx", "torch", "hf", "llama.cpp")
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_available_or_says_why_not(name: str) -> None:
    state = availability(name)
    assert state.engine == name
    assert state.available != bool(state.reason)
    if name in HERE:
        assert state.available, state.reason
        assert state.version.split()[0] == ENGINES[name].packages[0]
        assert state.device


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "x", Requirements(("no_such_package", "torch"), "x"))
    state = availability("x")
    assert state.reason == "not installed: no_such_package (pip install 'completer[x]')"
    assert state.version.startswith("torch 2")


def test_an_engine_for_cards_says_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "x", Requirements(("torch",), "x", "cuda"))
    monkeypatch.setattr(registry, "cuda_name", lambda *_: "")
    assert "torch sees no CUDA device" in availability("x").reason
    monkeypatch.setattr(registry, "cuda_name", lambda *_: "Card 9")
    assert (availability("x").available, availability("x").device) == (True, "Card 9")


@pytest.mark.parametrize("error", ["ImportError", "OSError", "RuntimeError"])
def test_whatever_a_broken_package_throws_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    name = f"broken_{error.lower()}"
    (tmp_path / f"{name}.py").write_text(f"raise {error}('no compiler found\\nand much more')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(ENGINES, "x", Requirements((name,), "x"))
    state = availability("x")
    assert state.reason == "import fails: no compiler found"
    assert state.version == f"{name} ?"


def test_doctor_lists_every_engine() -> None:
    console = Console(width=200, record=True, file=sys.stderr)
    console.print(engine_table(Settings()))
    lines = console.export_text().splitlines()
    for name in ENGINES:
        (line,) = [line for line in lines if line.split("│")[1:2] and line.split("│")[1].strip() == name]
        state = availability(name)
        assert ("ready" if state.available else "no") in line
        for text in (state.version, state.device, state.reason):
            assert text in line


def test_every_engine_has_a_page_of_at_most_one_screen() -> None:
    for name in ENGINES:
        page = (ROOT / "docs/reference/engines" / f"{name}.md").read_text(encoding="utf-8")
        assert name in page.splitlines()[0]
        assert len(page.splitlines()) <= 50
        for part in ("pip install", "| setting |"):
            assert part in page, f"{name}.md has no {part!r}"
        if ENGINES[name].device == "cuda":
            assert "ot run on a GPU" in page

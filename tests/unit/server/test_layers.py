"""Settings by where they came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from completer.complete.api import RELOAD_SETTINGS
from completer.config import RULES, Checked, Origin, Settings
from completer.server import layers as layers_module
from completer.server.layers import CLIENT_KEY_VARIABLE, Layers, layers_of_process

KEY = "k" * 64
ID = "qwen2.5-coder-1.5b"


def marked(settings: dict[str, Any], key: Any = KEY) -> dict[str, Any]:
    return {"userSettings": settings, "clientKey": key}


def test_whatever_loads_a_model_or_names_a_place_is_the_users_and_so_is_what_is_kept_of_them() -> None:
    of_user = {name for name, rule in RULES.items() if rule.origin is not Origin.WORKSPACE}
    assert of_user == {*RELOAD_SETTINGS, "history"}


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.origin is not Origin.WORKSPACE])
def test_no_setting_of_the_user_is_taken_from_the_editor(name: str) -> None:
    default = getattr(Settings(), name)
    value = {str: "other", int: 7, tuple: ["other"], bool: True}[type(default)]
    value = {"weights": "int4", "kv_bits": "8"}.get(name, value)
    settings, (problem,) = Layers().take({name: value})
    assert settings == Settings()
    assert repr(name) in problem


@pytest.mark.parametrize("name", ["model", "draft_model"])
def test_an_id_of_the_manifest_is_taken_from_the_editor_and_a_path_is_not(name: str) -> None:
    layers = Layers()
    assert getattr(layers.take({name: ID}).settings, name) == ID
    settings, (problem,) = layers.take({name: f"./{ID}"})
    assert getattr(settings, name) == ID
    assert "model id" in problem
    assert layers.take({name: getattr(Settings(), name)}).settings == Settings()


@pytest.mark.parametrize(
    ("given", "key"), [(KEY, KEY[:-1]), (KEY, ""), (KEY, None), (KEY, 5), (KEY, "\ud800"), ("", ""), ("", None)]
)
def test_without_the_right_key_a_marked_setting_is_refused(given: str, key: Any) -> None:
    settings, problems = Layers(client_key=given).take(marked({"engine": "remote", "budget_ms": 50}, key))
    assert settings == Settings(budget_ms=50)
    assert len(problems) == 1


def test_what_lies_beside_marked_settings_is_still_the_editors() -> None:
    settings, problems = Layers(client_key=KEY).take({**marked({"engine": "onnx"}), "endpoints": ["http://127.0.0.1:9"]})
    assert settings == Settings(engine="onnx")
    assert len(problems) == 1


def test_later_layers_win_and_null_gives_way_to_the_layer_below() -> None:
    layers = Layers({"model": "/a.gguf", "budget_ms": 60}, KEY)
    assert layers.take({}).settings == Settings(model="/a.gguf", budget_ms=60)
    assert layers.take(marked({"model": "/b.gguf"})).settings.model == "/b.gguf"
    assert layers.take({"model": ID, "budget_ms": 70}).settings == Settings(model=ID, budget_ms=70)
    assert layers.take({"model": None, "budget_ms": None}).settings == Settings(model="/b.gguf", budget_ms=60)
    assert layers.take(marked({"model": None})).settings == Settings(model="/a.gguf", budget_ms=60)


def test_a_null_for_an_unknown_setting_is_told() -> None:
    assert "budget_ms" in Layers().take({"budgetms": None}).problems[0]


def test_the_key_is_taken_out_of_the_environment_that_children_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLIENT_KEY_VARIABLE, KEY)
    make = layers_of_process({})
    assert CLIENT_KEY_VARIABLE not in os.environ
    for layers in (make(), make()):
        assert layers.take(marked({"threads": 2})).settings.threads == 2


def test_a_project_file_wins_over_the_users_file_and_over_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"budget_ms": 1, "max_tokens": 1, "confidence": 0.1, "block_after_ms": 1}
    monkeypatch.setattr(layers_module, "read_user_settings", lambda: Checked(values, []))
    layers = Layers({"max_tokens": 2}, client_key=KEY)
    layers.take({**marked({"confidence": 0.2}), "block_after_ms": 2})
    project = {"budget_ms": 3, "max_tokens": 3, "confidence": 0.3, "block_after_ms": 3}
    assert layers.of_folders({}) == {}
    assert layers.of_folders({tmp_path: project}) == {
        tmp_path: Settings(budget_ms=3, max_tokens=2, confidence=0.2, block_after_ms=2)
    }
    assert layers.resolve().settings == Settings(budget_ms=1, max_tokens=2, confidence=0.2, block_after_ms=2)

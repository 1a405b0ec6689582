"""`.completer.toml`: what a workspace folder may set, what it may not, and what it can do to the server: nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from completer.complete.control import Control
from completer.complete.pipeline import Pipeline
from completer.complete.project_settings import FILE_NAME, MAX_BYTES, read_project_settings
from completer.config import RULES, Origin, Settings, update
from completer.prompt.context.context import Context
from completer.tokens.tokenizer import Tokenizer
from tests.by_hand import ByHand, model_of, snap


def written(folder: Path, text: str | bytes) -> Path:
    (folder / FILE_NAME).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def test_settings_of_style_are_taken(tmp_path: Path) -> None:
    text = 'disabled_files = ["docs/"]\nmode = "on_request"\nconfidence = 1\n'
    values, problems = read_project_settings(written(tmp_path, text))
    assert values == {"disabled_files": ("docs/",), "mode": "on_request", "confidence": 1.0}
    assert problems == []


def test_without_a_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert read_project_settings(tmp_path) == ({}, [])
    assert read_project_settings(tmp_path / "none") == ({}, [])


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.origin is not Origin.WORKSPACE])
def test_no_setting_of_the_user_is_taken(tmp_path: Path, name: str) -> None:
    value = {str: '"other"', int: "7", bool: "true", tuple: '["other"]'}[type(getattr(Settings(), name))]
    value = {"weights": '"int4"', "kv_bits": '"8"'}.get(name, value)
    values, (problem,) = read_project_settings(written(tmp_path, f'{name} = {value}\nmode = "always"\n'))
    assert values == {"mode": "always"}
    assert str(tmp_path / FILE_NAME) in problem and repr(name) in problem and "may not set it" in problem


def test_a_model_id_is_not_taken_either_since_all_folders_share_one_model(tmp_path: Path) -> None:
    assert read_project_settings(written(tmp_path, 'model = "qwen2.5-coder-1.5b"')).values == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mode = ", "is ignored"),
        (b"\xff\xfe", "is ignored"),
        ("a = " + "[" * 10_000, "is ignored"),
        ("x = " + "9" * 10_000, "is ignored"),
        ("# " + "x" * MAX_BYTES, f"larger than {MAX_BYTES} bytes"),
        ('mode = "sometimes"', "must be one of always, on_request"),
        ("[completer]\n", "unknown setting 'completer'"),
    ],
)
def test_a_file_that_makes_no_sense_is_told_of(tmp_path: Path, text: str | bytes, problem: str) -> None:
    values, (said,) = read_project_settings(written(tmp_path, text))
    assert values == {}
    assert said.startswith(str(tmp_path / FILE_NAME)) and problem in said


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('mode = "on_request"\n')
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    assert read_project_settings(tmp_path / "w") == ({}, [])


def test_the_settings_of_a_folder_hold_in_its_documents_alone(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    control = Control(Settings())
    control.set_folders([tmp_path, inner])
    control.set_settings(Settings(), {tmp_path: Settings(confidence=0.5), inner: Settings(disabled_languages=("python",))})
    files = {folder: replace(snap("x = ‸"), uri=(folder / "a.py").as_uri()) for folder in (tmp_path, inner, tmp_path.parent)}
    assert [control.settings_of(files[folder]).confidence for folder in files] == [0.5, 0.3, 0.3]
    reasons = [quiet.reason if (quiet := control.of_document(file)) else "" for file in files.values()]
    assert reasons == ["", "off: language 'python'", ""]
    control.set_settings(Settings(), {})
    assert control.of_document(files[inner]) is None


async def test_a_request_is_answered_with_the_settings_of_its_folder(tokenizer: Tokenizer, tmp_path: Path) -> None:
    generator = ByHand(tokenizer)
    made = Pipeline(model_of(generator, tokenizer), Settings(budget_ms=1))
    made.control.set_folders([tmp_path])
    made.control.set_settings(made.settings, {tmp_path: Settings(budget_ms=1, max_tokens=5)})
    inside, outside = (replace(snap("x = ‸"), uri=(folder / "a.py").as_uri()) for folder in (tmp_path, tmp_path.parent))
    for snapshot in (inside, outside):
        await made.complete(snapshot, explicit=False)
    assert [request.stop.max_tokens for request in generator.generations] == [5, Settings().max_tokens]
    await made.close()


@pytest.mark.parametrize(("context", "n_gathered"), [("off", 0), ("auto", 1)])
async def test_where_a_folder_switches_context_off_none_is_gathered(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str, n_gathered: int
) -> None:
    gathered: list[str] = []
    monkeypatch.setattr(Context, "refresh", lambda _context, snapshot, *_: gathered.append(snapshot.uri))
    snapshot = replace(snap("import b\nx = ‸"), uri=(tmp_path / "a.py").as_uri())
    made = Pipeline(model_of(ByHand(tokenizer), tokenizer), Settings())
    made.control.set_folders([tmp_path])
    made.did_open(snapshot)
    made.control.set_settings(made.settings, {tmp_path: update(made.settings, {"context": context})})
    made.set_settings(made.settings)
    await _rested(made)
    assert len(gathered) == n_gathered
    await made.close()


async def _rested(made: Pipeline) -> None:
    """Wait until the cursor has rested: then idle work has begun."""
    while any(doc.resting for doc in made._state.docs.values()):
        await asyncio.sleep(0.005)

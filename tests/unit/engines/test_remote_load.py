"""From settings to a remote engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from completer.engines.remote.load import tokenizer_file

ID = "qwen2.5-coder-1.5b"


def test_a_folder_of_the_workspace_that_is_named_like_a_model_id_is_not_its_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (ID, "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").touch()
    assert tokenizer_file(ID) is None
    assert tokenizer_file("own") == Path("own/tokenizer.json")

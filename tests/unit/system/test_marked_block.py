"""A block in another program's file: laws over random files, and the files that are left alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.errors import ConfigError
from completer.system import marked_block
from completer.system.marked_block import block, edit_file, with_block, without_block
from tests.examples import examples

COMMENTS = st.sampled_from(["--", ";;", "#", "//"])
TEXTS = st.lists(st.sampled_from(["x = 1", "", "  y", "-- note", "é"]), min_size=1).map("\n".join)
PIECES = st.sampled_from(
    ["a", "\n", "\r\n", "\r", " ", "--", ";;", "# completer", "\ufeff", "é", "-- completer: beginning", "\x00"]
)
FILES = st.one_of(st.none(), st.lists(PIECES).map(lambda pieces: "".join(pieces).encode()), st.text().map(str.encode))
needs_owners = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owners and modes")


def put(old: bytes | None, text: str = "x = 1", comment: str = "--", *, may_append: bool = True) -> bytes:
    return with_block(old, text, comment, may_append=may_append)


@given(FILES, TEXTS, COMMENTS)
@examples(300)
def test_removing_restores_every_file_byte_for_byte(old: bytes | None, text: str, comment: str) -> None:
    assert without_block(put(old, text, comment), comment) == old


@given(FILES, TEXTS, COMMENTS)
@examples(300)
def test_a_second_write_changes_nothing(old: bytes | None, text: str, comment: str) -> None:
    once = put(old, text, comment)
    assert put(once, text, comment) == once


@given(FILES, TEXTS, TEXTS, COMMENTS)
@examples(300)
def test_an_update_gives_what_writing_the_new_text_at_first_gives(
    old: bytes | None, first: str, second: str, comment: str
) -> None:
    assert put(put(old, first, comment), second, comment) == put(old, second, comment)


@given(FILES, FILES, TEXTS, COMMENTS)
@examples(300)
def test_what_the_user_adds_around_the_block_is_kept(old: bytes | None, after: bytes | None, text: str, comment: str) -> None:
    added = b"\n" + (after or b"")
    written = put(old, "first", comment) + added
    assert put(written, text, comment).endswith(added)
    assert put(written, text, comment).startswith(old or b"")
    removed = without_block(written, comment) or b""
    assert removed.startswith(old or b"") and removed.endswith(after or b"")


@given(FILES, TEXTS, COMMENTS)
@examples(100)
def test_a_file_is_only_ever_appended_to(old: bytes | None, text: str, comment: str) -> None:
    written = put(old, text, comment)
    assert written.startswith(old or b"")
    assert block(text, comment).encode() in written.replace(b"\r\n", b"\n")


def test_a_file_with_windows_line_endings_gets_a_block_with_them() -> None:
    assert b"\n" not in put(b"one\r\ntwo\r\n", "a\nb").replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "content",
    [
        b"-- completer: begin\nx = 1\n",
        b"-- completer: end\n",
        b"-- completer: end\n-- completer: begin\n",
        put(None) * 2,
        put(None) + b"-- completer: end\n",
    ],
)
def test_markers_that_do_not_match_are_left_for_the_user_to_mend(content: bytes) -> None:
    with pytest.raises(ConfigError, match="damaged"):
        put(content)
    with pytest.raises(ConfigError, match="damaged"):
        without_block(content, "--")


def test_a_file_that_cannot_be_appended_to_is_refused_but_its_block_is_updated() -> None:
    with pytest.raises(ConfigError, match="there already"):
        put(b"{}\n", may_append=False)
    with pytest.raises(ConfigError, match="there already"):
        put(b"", may_append=False)
    mine = put(None, may_append=False)
    assert put(mine, "y = 2", may_append=False) == put(None, "y = 2")


def write(path: Path, text: str = "x = 1") -> marked_block.Edited:
    return edit_file(path, lambda old: put(old, text))


def remove(path: Path) -> marked_block.Edited:
    return edit_file(path, lambda old: without_block(old, "--"))


def test_a_new_file_is_written_in_a_new_folder_and_deleted_again(tmp_path: Path) -> None:
    path = tmp_path / "nvim" / "plugin" / "completer.lua"
    done = write(path)
    assert (done.file, done.changed, done.backup) == (path, True, None)
    assert path.read_bytes() == put(None)
    assert remove(path).changed
    assert list(path.parent.iterdir()) == []
    assert not remove(path).changed


def test_an_existing_file_keeps_its_mode_and_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "init.lua"
    path.write_bytes(b"mine")
    path.chmod(0o640)
    done = write(path)
    assert done.backup and done.backup.read_bytes() == b"mine"
    assert path.stat().st_mode & 0o777 == (0o640 if sys.platform != "win32" else 0o666)
    assert not write(path).changed
    assert done.backup.read_bytes() == b"mine"
    remove(path)
    assert path.read_bytes() == b"mine"
    assert {file.name for file in tmp_path.iterdir()} == {"init.lua", done.backup.name}


def test_a_failure_leaves_the_file_and_no_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "init.lua"
    path.write_bytes(b"mine")

    def fail(fresh: Path, target: Path) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(marked_block, "replace_file", fail)
    with pytest.raises(PermissionError):
        write(path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("init.lua", b"mine")]


@pytest.mark.parametrize("content", [b"\xff\xfea\x00", b"caf\xe9\n"])
def test_a_file_in_another_encoding_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "init.lua"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not UTF-8"):
        write(path)
    assert path.read_bytes() == content


def test_a_folder_of_that_name_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        write(tmp_path)


@needs_owners
def test_a_link_to_a_file_of_ones_own_stays_a_link(tmp_path: Path) -> None:
    dotfile, link = tmp_path / "dotfiles" / "init.lua", tmp_path / "init.lua"
    dotfile.parent.mkdir()
    dotfile.write_bytes(b"mine\n")
    link.symlink_to(dotfile)
    assert write(link).file == dotfile
    assert link.is_symlink() and dotfile.read_bytes() == put(b"mine\n")


@needs_owners
@pytest.mark.parametrize("foreign", ["file", "folder"])
def test_a_link_that_leads_to_what_another_user_owns_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    target, link = tmp_path / "theirs" / "init.lua", tmp_path / "init.lua"
    target.parent.mkdir()
    if foreign == "file":
        target.write_bytes(b"theirs\n")
    link.symlink_to(target)
    owner = (target if foreign == "file" else target.parent).stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        write(link)
    assert not target.exists() or target.read_bytes() == b"theirs\n"


@needs_owners
@pytest.mark.parametrize("open_", ["file", "folder"])
def test_what_everybody_can_write_to_is_refused_with_the_mend(tmp_path: Path, open_: str) -> None:
    path = tmp_path / "folder" / "init.lua"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    (path if open_ == "file" else path.parent).chmod(0o777)
    with pytest.raises(ConfigError, match="chmod o-w"):
        write(path)
    assert path.read_bytes() == b"mine"


@needs_owners
def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "init.lua"
    link.symlink_to(link)
    with pytest.raises(ConfigError):
        write(link)

"""The mirror equals the client's text, whatever is edited, in every position encoding."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completer.document.documents import CellsChanged, Documents, Opened
from completer.document.mirror import Change, Document, smallest_edit
from completer.document.notebook import Cell
from completer.document.position import ENCODINGS, Encoding, Position, Range, n_code_points, n_units
from completer.errors import BadPosition
from completer.types import Edit
from tests.examples import examples

CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}

NO_LINE_ENDS = ["a", "def", " ", "\t", "😀", "é", "e\u0301", "漢", "\f", "\v", "\x1c", "\x85", "\u2028"]
PIECES = st.sampled_from([*NO_LINE_ENDS, "\n", "\r\n", "\r", "\n\r"])
TEXTS = st.lists(PIECES, max_size=12).map("".join)
Fractions = list[tuple[float, float, str]]
EDITS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), TEXTS), min_size=1, max_size=8)


def client_position(text: str, offset: int, encoding: Encoding) -> Position:
    """How an editor counts: written for clearness, independent of the code under test."""
    lines = re.split(r"\r\n|\r|\n", text[:offset])
    codec, width = CODECS[encoding]
    return Position(len(lines) - 1, len(lines[-1].encode(codec)) // width)


def addressable(text: str, fraction: float) -> int:
    """An offset that a client can name: not between the two characters of a CRLF."""
    offset = round(fraction * len(text))
    return offset - 1 if text[offset - 1 : offset + 1] == "\r\n" and offset else offset


@pytest.mark.parametrize("encoding", ENCODINGS)
@examples(300)
@given(text=TEXTS, edits=EDITS)
def test_incremental_document_equals_the_clients_text(
    encoding: Encoding, text: str, edits: list[tuple[float, float, str]]
) -> None:
    document = Document("file:///x", "python", 0, text, encoding)
    for version, (first, second, new_text) in enumerate(edits, 1):
        start, end = sorted((addressable(text, first), addressable(text, second)))
        where = Range(client_position(text, start, encoding), client_position(text, end, encoding))
        reported = document.apply_changes(version, [Change(new_text, where)])
        assert reported == (Edit(start, end, new_text),)
        text = text[:start] + new_text + text[end:]
        assert document.text == text
        assert document.version == version
        assert document.n_lines == len(re.split(r"\r\n|\r|\n", text))


@pytest.mark.parametrize("encoding", ENCODINGS)
@examples(200)
@given(text=TEXTS, edits=EDITS)
def test_positions_round_trip_after_any_edits(encoding: Encoding, text: str, edits: Fractions) -> None:
    document = Document("file:///x", "python", 0, text, encoding)
    for first, second, new_text in edits:
        start, end = sorted((addressable(document.text, first), addressable(document.text, second)))
        document.apply_changes(1, [Change(new_text, Range(document.position(start), document.position(end)))])
    for offset in range(len(document.text) + 1):
        if addressable(document.text, offset / max(len(document.text), 1)) != offset:
            continue
        position = document.position(offset)
        assert position == client_position(document.text, offset, encoding)
        assert document.offset_cp(position) == offset


@examples(200)
@given(old=TEXTS, new=TEXTS)
def test_whole_document_change_comes_back_as_an_edit_with_the_same_effect(old: str, new: str) -> None:
    edit = smallest_edit(old, new)
    assert old[: edit.start_cp] + edit.new_text + old[edit.old_end_cp :] == new
    document = Document("file:///x", "python", 0, old)
    document.apply_changes(1, [Change(new)])
    assert document.text == new
    assert document.n_lines == len(re.split(r"\r\n|\r|\n", new))


def test_whole_document_change_of_one_word_is_a_small_edit() -> None:
    assert smallest_edit("one two three", "one 2 three") == Edit(4, 7, "2")
    assert smallest_edit("aaaa", "aaa") == Edit(3, 4, "")


@pytest.mark.parametrize(
    ("before", "change", "after", "n_lines"),
    [
        ("a\r\nb", Change("x", Range(Position(0, 1), Position(0, 1))), "ax\r\nb", 2),
        ("a\rb", Change("\n", Range(Position(1, 0), Position(1, 0))), "a\r\nb", 2),  # a lone \r becomes a CRLF
        ("a\rx\nb", Change("", Range(Position(1, 0), Position(1, 1))), "a\r\nb", 2),
        ("a\nb", Change("\r", Range(Position(0, 1), Position(0, 1))), "a\r\nb", 2),
        ("a\r\nb", Change("", Range(Position(0, 1), Position(1, 0))), "ab", 1),
        (
            "a\fb\u2028c\x85d\x1ce\vf",
            Change("!", Range(Position(0, 2), Position(0, 2))),
            "a\f!b\u2028c\x85d\x1ce\vf",
            1,
        ),
    ],
)
def test_only_lf_crlf_and_cr_end_lines(before: str, change: Change, after: str, n_lines: int) -> None:
    document = Document("file:///x", "python", 0, before)
    document.apply_changes(1, [change])
    assert (document.text, document.n_lines) == (after, n_lines)


@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_position_inside_a_character_is_its_start(encoding: Encoding, width: int) -> None:
    assert n_units("😀", encoding) == width
    assert n_code_points("a😀b", 1 + width, encoding) == 2
    assert all(n_code_points("a😀b", 1 + inside, encoding) == 1 for inside in range(width))


def test_positions_behind_the_end_are_clipped() -> None:
    document = Document("file:///x", "python", 0, "ab\r\ncd")
    assert document.offset_cp(Position(0, 99)) == 2  # before the line's ending
    assert document.offset_cp(Position(1, 99)) == document.offset_cp(Position(99, 0)) == 6


def test_lone_surrogates_become_replacement_characters_of_the_same_width() -> None:
    document = Document("file:///x", "python", 0, "a\ud83db")
    assert document.text == "a\ufffdb"
    assert document.offset_cp(Position(0, 2)) == 2


def test_snapshot_is_frozen_while_the_document_goes_on() -> None:
    document = Document("file:///x", "python", 7, "def f():\n    re")
    snapshot = document.snapshot(Position(1, 6))
    document.apply_changes(8, [Change("turn", Range(Position(1, 6), Position(1, 6)))])
    assert (snapshot.text, snapshot.version, snapshot.line_prefix) == ("def f():\n    re", 7, "    re")


def test_closed_documents_are_freed() -> None:
    documents = Documents()
    documents.open(Opened("file:///x", "python", 1, "a"))
    documents.close("file:///x")
    assert len(documents) == 0
    with pytest.raises(BadPosition, match="didOpen"):
        documents.snapshot("file:///x", Position(0, 0))


def notebook() -> Documents:
    documents = Documents()
    cells = [Cell("cell:1", True), Cell("cell:2", False), Cell("cell:3", True)]
    texts = {"cell:1": "import os", "cell:2": "# Title", "cell:3": "os.pa"}
    documents.open_notebook("nb:1", cells, [Opened(uri, "python", 1, text) for uri, text in texts.items()])
    return documents


def test_earlier_cells_of_a_notebook_are_prefix_and_prose_stays_out() -> None:
    snapshot = notebook().snapshot("cell:3", Position(0, 5))
    assert (snapshot.uri, snapshot.prefix, snapshot.suffix) == ("nb:1", "import os\n\nos.pa", "")
    assert notebook().snapshot("cell:1", Position(0, 6)).suffix == " os\n\nos.pa"
    assert notebook().snapshot("cell:2", Position(0, 0)).text == "# Title"


def test_changes_of_a_notebook_are_edits_of_the_joined_text() -> None:
    documents = notebook()
    text = documents.snapshot("cell:1", Position(0, 0)).text
    insert = CellsChanged(start=1, cells=[Cell("cell:4", True)], opened=[Opened("cell:4", "python", 1, "x = 1")])
    typed = CellsChanged(texts=[("cell:3", 2, [Change("th", Range(Position(0, 5), Position(0, 5)))])])
    remove = CellsChanged(start=0, n_deleted=1, closed=["cell:1"])
    for change in (insert, typed, remove):
        snapshot, (edit,) = documents.change_notebook("nb:1", change)[0]
        text = text[: edit.start_cp] + edit.new_text + text[edit.old_end_cp :]
        assert snapshot.text == text
    assert text == "x = 1\n\nos.path"
    assert snapshot.version == 3
    documents.close_notebook("nb:1", [])
    assert len(documents) == 0


@pytest.mark.parametrize(
    ("language_id", "text", "expected"),
    [
        ("sql", "SELECT * FROM a", "sql"),
        ("python", "%%bash\nls", "shellscript"),
        ("python", "\n%%sql\nSELECT 1", "sql"),
        ("python", "%%js\nlet a = 1", "javascript"),
    ],
)
def test_a_cell_of_another_language_is_no_part_of_the_notebook_but_a_document_of_its_own(
    language_id: str, text: str, expected: str
) -> None:
    documents = Documents()
    cells = [Cell("cell:1", True), Cell("cell:2", True), Cell("cell:3", True)]
    opened = [Opened("cell:1", "python", 1, "a = 1"), Opened("cell:2", language_id, 1, text), Opened("cell:3", "python", 1, "b")]
    documents.open_notebook("nb:1", cells, opened)
    whole, other = documents.snapshot("cell:3", Position(0, 1)), documents.snapshot("cell:2", Position(0, 0))
    assert (whole.uri, whole.language_id, whole.prefix) == ("nb:1", "python", "a = 1\n\nb")
    assert (other.uri, other.language_id, other.text) == ("cell:2", expected, text)
    end = Position(9, 0)
    typed = CellsChanged(texts=[("cell:2", 2, [Change("x", Range(end, end))])])
    (same, _), (changed, edits) = documents.change_notebook("nb:1", typed)
    assert (same.text, changed.uri, changed.text, edits) == (whole.text, "cell:2", text + "x", (Edit(len(text), len(text), "x"),))


@pytest.mark.parametrize("text", ["%%time\nx = 1", "%time x = 1", "!ls", "x = 5 %%bash"])
def test_magics_that_leave_the_language_alone_keep_the_cell_in_the_notebook(text: str) -> None:
    documents = Documents()
    opened = [Opened("cell:1", "python", 1, text), Opened("cell:2", "python", 1, "b")]
    documents.open_notebook("nb:1", [Cell("cell:1", True), Cell("cell:2", True)], opened)
    assert documents.snapshot("cell:2", Position(0, 1)).prefix == text + "\n\nb"


def test_a_cell_that_gets_a_magic_leaves_the_notebook_and_comes_back_without_it() -> None:
    documents = notebook()
    start = Position(0, 0)
    magic = CellsChanged(texts=[("cell:1", 2, [Change("%%bash\n", Range(start, start))])])
    snapshot, edits = documents.change_notebook("nb:1", magic)[0]
    assert (snapshot.text, edits) == ("os.pa", (Edit(0, len("import os\n\n"), ""),))
    undone = CellsChanged(texts=[("cell:1", 3, [Change("", Range(start, Position(1, 0)))])])
    assert documents.change_notebook("nb:1", undone)[0].snapshot.text == "import os\n\nos.pa"


@pytest.mark.parametrize("extra", ["", "# 😀"], ids=["ascii", "emoji"])
def test_a_key_in_a_file_of_50_000_lines_costs_far_less_than_a_frame(extra: str) -> None:
    line = "    result = compute(value, index)  # a comment\n"
    document = Document("file:///x", "python", 0, line * 50_000 + extra)
    at = document.offset_cp(Position(25_000, 13)) - len(line) * 25_000
    times_ms = []
    for key in range(100):
        where = Position(25_000, at + key)
        begin = time.perf_counter()
        document.apply_changes(key, [Change("x" if key % 10 else "\n", Range(where, where))])
        document.snapshot(where)
        times_ms.append((time.perf_counter() - begin) * 1e3)
    median = sorted(times_ms)[50]
    print(f"a key in 50,000 lines: p50 {median:.2f} ms")
    assert median < 5  # loose: other programs may run; quiet it is a tenth to a half of this

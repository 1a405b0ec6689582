"""The index against a slow search of all places."""

import random

import pytest

from completer.prompt.memory.index import KEY, MAX_CONTINUATION, MAX_MATCH, Index, Place, before_cursor, n_matched, normalised


def places_by_search(files: list[bytes], before: bytes) -> set[tuple[int, int, bytes]]:
    found = set()
    for number, text in enumerate(files):
        for at in range(KEY, len(text) + 1):
            n = 0
            while n < min(at, len(before)) and text[at - 1 - n] == before[-1 - n]:
                n += 1
            if n >= KEY:
                found.add((number, n, text[at:].split(b"\n")[0]))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_index_finds_what_a_search_of_all_places_finds(seed: int) -> None:
    chance = random.Random(seed)
    words = [b"get", b"(key)", b" = ", b"self", b".", b"x", b"\n", "ü".encode()]
    files = [b"".join(chance.choices(words, k=chance.randrange(60))) for _ in range(chance.randrange(6))]
    index = Index(files)
    for _ in range(20):
        before = b"".join(chance.choices(words, k=12))
        if files and chance.random() < 0.7:
            text = chance.choice(files)
            before = text[: chance.randrange(len(text) + 1)][-MAX_MATCH:]
        expected = places_by_search(files, before) if len(before) >= KEY else set()
        assert {tuple(place) for place in index.places(before)} == expected


def test_no_match_reaches_from_one_file_into_another() -> None:
    index = Index((b"alpha beta gamma\n", b"delta epsilon zeta"))
    assert list(index.places(b"beta gamma\ndelta epsilon")) == []
    assert list(index.places(b"xx delta epsilon")) == []
    assert list(index.places(b"delta epsilon ze")) == [Place(1, 16, b"ta")]


def test_blank_lines_spaces_at_line_ends_and_the_width_of_indentation_make_no_difference() -> None:
    same = ["if x:  \r\n\r\n\treturn y\nz\n", "  if x:\n    return y\n  z", "\tif x:\n\t\treturn y  \n\tz\n\n"]
    assert {normalised(text) for text in same} == {b"if x:\n\1return y\n\2z"}
    before = before_cursor("class A:\n\n    def f(self):   \n        return self.")
    assert before == b"class A:\n\1def f(self):\n\1return self."
    assert before_cursor("def f():\n    ") == b"def f():\n\1"
    assert before_cursor("def f():\n    x = ") == b"def f():\n\1x = "
    assert before_cursor("") == b"" and normalised("a\1b\2c\0d") == b"abcd"


def test_a_line_begins_as_deep_as_the_cursor_is() -> None:
    index = Index((normalised("def compute_all():\n    return 1\n"),))
    assert [place.continuation for place in index.places(before_cursor("def compute_all():\n  "))] == [b"return 1"]
    assert list(index.places(before_cursor("def compute_all():\n"))) == []


def test_a_lone_surrogate_or_a_nul_disturbs_nothing() -> None:
    assert list(Index((normalised("abc\0 \ud800 def ghi jkl mno"),)).places(before_cursor("abc \ud800 def ghi jkl"))) != []


def test_a_match_is_measured_to_its_last_byte() -> None:
    for n in range(40):
        text, before = b"x" * (40 - n) + b"y" * n, b"z" * (40 - n) + b"y" * n
        assert n_matched(text, 40, before) == n


def test_of_a_very_long_line_only_the_beginning_is_copied() -> None:
    index = Index((b"x" * 1_000_000, b"y = compute(all_values)" + b"z" * MAX_CONTINUATION))
    places = list(index.places(b"x" * MAX_MATCH))
    assert places and all(len(place.continuation) <= MAX_CONTINUATION + 1 for place in places)
    assert [len(place.continuation) for place in index.places(b"y = compute(all_values)")] == [MAX_CONTINUATION]

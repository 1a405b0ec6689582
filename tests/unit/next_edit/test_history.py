"""Keys become edits: runs join, what was restored vanishes, and offsets follow the text."""

from __future__ import annotations

import random

from completer.next_edit.history import MAX_EDITS, EditHistory, kind_of
from completer.types import Edit

URI = "file:///a.py"


def made(text: str, *edits: Edit) -> tuple[EditHistory, str]:
    """Return the history after edits of one notification each, and the text."""
    history = EditHistory()
    for edit in edits:
        history.change(URI, text, [edit], 0.0)
        text = text[: edit.start_cp] + edit.new_text + text[edit.old_end_cp :]
    return history, text


def test_a_run_of_keys_is_one_edit() -> None:
    history, _ = made("x = old\n", Edit(4, 7, ""), Edit(4, 4, "n"), Edit(5, 5, "e"), Edit(6, 6, "w"))
    assert [(past.old, past.new, past.start_cp, past.kind) for past in history.edits] == [("old", "new", 4, "typed")]


def test_two_places_are_two_edits_that_move_along() -> None:
    history, text = made("a = 1\nb = 2\n", Edit(10, 11, "22"), Edit(4, 5, "111"))
    assert [text[past.start_cp : past.end_cp] for past in history.edits] == ["2", "11"]  # without what they kept


def test_an_undone_edit_vanishes() -> None:
    history, _ = made("x = old\n", Edit(4, 7, "new"), Edit(4, 7, "old"))
    assert history.edits == []
    assert [past.new for past in history.vanished] == ["new"]


def test_paste_and_formatter_are_told_apart_from_typing() -> None:
    assert kind_of("abc", [Edit(0, 0, "x")]) == "typed"
    assert kind_of("abc", [Edit(0, 0, "x"), Edit(2, 2, "x")]) == "typed"  # two cursors
    assert kind_of("abc", [Edit(0, 2, ""), Edit(0, 0, "x"), Edit(1, 1, "y"), Edit(1, 2, "z")]) == "typed"  # four keys at once
    assert kind_of("abc", [Edit(0, 0, "1\n2\n3\n4\n5\n")]) == "paste"
    assert kind_of("abc", [Edit(0, 0, "x"), Edit(2, 2, " ")]) == "bulk"
    assert kind_of("abc", [Edit(3 * i, 3 * i, " ") for i in range(20)]) == "bulk"
    assert kind_of("x\n" * 100, [Edit(0, 200, "y\n")]) == "bulk"  # another branch was checked out


def test_a_formatter_keeps_the_edits_that_it_does_not_touch() -> None:
    history, text = made("a=1\nname = 2\n", Edit(4, 8, "label"))
    history.change(URI, text, [Edit(1, 1, " "), Edit(3, 3, " "), Edit(5, 5, "\n")], 0.0)
    assert [(past.old, past.new, past.start_cp) for past in history.edits] == [("name", "label", 7)]


def test_the_history_is_bounded() -> None:
    text = "x\n" * 500
    history, _ = made(text, *(Edit(8 * n, 8 * n, "y") for n in range(100)))
    assert len(history.edits) == MAX_EDITS


def test_undoing_the_edits_gives_the_first_text_after_any_typing() -> None:
    for seed in range(60):
        chance = random.Random(seed)
        first = text = "".join(chance.choice("ab \n") for _ in range(60))
        history = EditHistory()
        for _ in range(25):
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.choice((0, 0, 1, 4)))
            edit = Edit(start, end, chance.choice(("", "a", "b", " ", "\n", "ab")))
            history.change(URI, text, [edit], 0.0)
            text = text[:start] + edit.new_text + text[end:]
        assert len(history.edits) < MAX_EDITS
        for past in sorted(history.edits, key=lambda one: -one.start_cp):
            assert text[past.start_cp : past.end_cp] == past.new
            text = text[: past.start_cp] + past.old + text[past.end_cp :]
        assert text == first, seed

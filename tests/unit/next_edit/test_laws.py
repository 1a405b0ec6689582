"""What holds for every offer, whatever was typed."""

from __future__ import annotations

import itertools
import random

import pytest
from next_edit_client import OTHER, URI, Typist

from completer.next_edit.offer import NextEdit
from completer.next_edit.words import words
from completer.types import Edit
from tests.seeds import seeds

SOURCE = """\
import sys

def load(path, mode):
    data = open(path, mode).read()
    return data, path

class Store:
    def get(self, key):
        return load(key, "r")

    def put(self, key):
        return load(key, "w")

first = load("a", "r")
second = load("b", "r")
# load them all
"""
WORDS = ("load", "path", "mode", "key", "data", "first", "fetch", "x", "😀", ", ", "(", ")", "\n", "    ", "self.", "'", "await ")


def holds_old_text(edit: NextEdit, text: str) -> bool:
    """Whether a place has the tokens that the rule replaces, names and numbers of a line that is alike aside."""
    if edit.rule.startswith("+"):
        return edit.start_cp == edit.end_cp
    old, here = edit.rule.partition("\n")[0].split(), [word.text for word in words(text, edit.start_cp, edit.end_cp)]
    return len(old) == len(here) and all(a == b or (a[0].isalnum() and b[0].isalnum()) for a, b in zip(old, here, strict=True))


@pytest.mark.parametrize("seed", seeds(40, fast=10))
def test_random_editing_never_breaks_and_offers_only_where_the_old_text_is(seed: int) -> None:
    chance = random.Random(seed)
    typist = Typist(SOURCE)
    typist.open(OTHER, SOURCE.replace("first", "third"))
    for _ in range(30):
        uri = chance.choice((URI, URI, OTHER))
        text = typist.text(uri)
        if chance.random() < 0.4 and (name := chance.choice(("load", "path", "key", "data"))) in text:
            typist.replace(name, chance.choice(("fetch", "read", "value")), uri)
        else:
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.choice((0, 0, 1, 5, 30)))
            typist.change(Edit(start, end, chance.choice(WORDS)), uri=uri)
        found = typist.ask(uri)
        for edit in found:
            assert holds_old_text(edit, typist.text(edit.uri))
        places = sorted((edit.uri, edit.start_cp, edit.end_cp) for edit in found)
        assert all(a[0] != b[0] or a[2] < b[1] for a, b in itertools.pairwise(places)), "offers overlap"
        if found and chance.random() < 0.5:
            typist.accept(*found[: chance.choice((1, len(found)))])


def test_an_offer_that_is_applied_and_undone_leaves_the_old_text_and_is_not_offered_again() -> None:
    typist = Typist(SOURCE)
    typist.replace("load", "fetch")
    before, found = typist.text(), typist.ask()
    assert len(found) == 4
    first = found[0]
    typist.accept(first)
    assert typist.text() != before
    typist.change(Edit(first.start_cp, first.start_cp + len(first.new_text), before[first.start_cp : first.end_cp]))
    assert typist.text() == before
    assert typist.ask() == ()


@pytest.mark.parametrize("together", [True, False])
def test_after_the_chain_is_applied_nothing_is_offered(together: bool) -> None:
    typist = Typist(SOURCE)
    typist.open(OTHER, "from a import load\nload(1, 2)\n")
    typist.replace("load", "fetch")
    n = 0
    while found := typist.ask():
        typist.accept(*(found if together else found[:1]))
        n += 1
    assert n == (1 if together else 6)
    assert "load" not in typist.text().replace("# load them all", "")
    assert "load" not in typist.text(OTHER)


def test_the_same_typing_gives_the_same_offers() -> None:
    def offered() -> tuple[NextEdit, ...]:
        typist = Typist(SOURCE)
        typist.replace("load", "fetch")
        return typist.ask()

    assert offered() == offered()

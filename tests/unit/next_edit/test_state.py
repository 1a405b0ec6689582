"""When one client hears nothing: dismissed, undone, secret, in the middle of a word; and what it costs."""

from __future__ import annotations

import statistics
import time

import pytest
from next_edit_client import OTHER, URI, Typist

from completer.types import Edit

TEXT = "def area(x):\n    return x\n\nprint(area(1))\nprint(area(2))\n"


def test_a_dismissed_chain_comes_back_only_after_the_same_change_is_made_once_more() -> None:
    typist = Typist(TEXT)
    typist.replace("area", "surface")
    typist.state.dismiss(typist.ask()[0])
    assert typist.ask() == ()
    typist.replace("area", "surface")
    assert len(typist.ask()) == 1


def test_what_the_user_undid_is_no_rule() -> None:
    typist = Typist(TEXT)
    typist.replace("area", "surface")
    typist.replace("surface", "area")
    assert typist.ask() == ()


def test_a_word_that_is_being_typed_is_left_alone_until_it_rests() -> None:
    typist = Typist(TEXT)
    typist.replace("area", "surf")
    assert typist.ask(explicit=False) == ()
    assert len(typist.ask(explicit=False, pause_s=1.0)) == 2


def test_typing_on_makes_the_offer_agree_with_the_whole_word() -> None:
    typist = Typist(TEXT)
    typist.replace("area", "surf")
    at = typist.documents[URI].cursor_cp
    typist.change(Edit(at, at, "ace"))
    assert {edit.new_text for edit in typist.ask()} == {"surface"}


@pytest.mark.parametrize("uri", ["file:///project/.env", "file:///project/node_modules/a.py", "file:///home/.ssh/a.py"])
def test_secret_and_generated_documents_are_not_followed(uri: str) -> None:
    typist = Typist()
    typist.open(uri, TEXT)
    typist.replace("area", "surface", uri)
    assert typist.state.edits == ()
    assert typist.ask(uri) == ()


def test_a_document_that_holds_a_secret_neither_gives_nor_takes() -> None:
    key = "ghp_" + "a1B2" * 10
    typist = Typist(TEXT)
    typist.open(OTHER, f"print(area(3))\nx = '{key}'\n")
    typist.replace("area", "surface")
    assert {edit.uri for edit in typist.ask()} == {URI}
    typist.replace("area", "region", OTHER)
    assert {edit.uri for edit in typist.ask()} <= {URI}
    assert all(edit.new_text != "region" for edit in typist.ask())


def test_an_ignored_document_is_forgotten() -> None:
    typist = Typist(TEXT)
    typist.replace("area", "surface")
    typist.state.ignore(URI)
    assert typist.ask() == ()


@pytest.mark.parametrize("text", ["from x import y\n" * 3, ""])
def test_pastes_and_formatters_teach_nothing(text: str) -> None:
    typist = Typist(TEXT)
    typist.change(Edit(0, 27, "def surface(x):\n    x = 1\n    y = 2\n    z = 3\n    return x\n\n" + text))
    assert typist.ask() == ()
    typist = Typist(TEXT)
    typist.change(Edit(4, 8, "surface"), Edit(20, 26, "yield "))
    assert typist.ask() == ()


def test_a_closed_document_leaves_nothing_behind() -> None:
    typist = Typist(TEXT)
    typist.replace("area", "surface")
    typist.state.did_close(URI)
    assert typist.state.edits == () and typist.ask() == ()


def test_a_key_costs_less_than_a_millisecond_in_a_large_document() -> None:
    typist = Typist(TEXT * 3000)
    for n in range(40):
        typist.change(Edit(60 * n, 60 * n, "y"))
    times = []
    for n in range(50):
        started = time.perf_counter()
        old = typist.documents[URI]
        edit = Edit(1000 + n, 1000 + n, "z")
        typist.state.did_change(old.__class__(URI, n, "python", old.text, 0), [edit], 0.0)
        times.append(1000 * (time.perf_counter() - started))
    assert statistics.median(times) < 1.0

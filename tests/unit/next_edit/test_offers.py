"""What is offered after which edits, and when nothing is."""

from __future__ import annotations

import pytest
from next_edit_client import OTHER, URI, Typist, lines_of

from completer.types import Edit

AREA = """\
def area(width, height):
    half = width / 2
    return half * height + width

width = area(1, 2)
print(area(width, 3))
"""


def test_a_renamed_definition_offers_its_uses_in_the_order_of_the_text() -> None:
    typist = Typist(AREA)
    typist.replace("area", "surface")
    found = typist.ask()
    assert lines_of(typist, found) == [5, 6]
    assert {edit.new_text for edit in found} == {"surface"}


def test_a_renamed_parameter_stays_in_its_function() -> None:
    typist = Typist(AREA)
    typist.replace("width", "breadth")
    assert lines_of(typist, typist.ask()) == [2, 3]


def test_strings_and_comments_are_left_alone_but_not_code_in_strings() -> None:
    typist = Typist("def area(x):\n    return x\n\n# area\na = 'area'\nb = f'{area(1)}'\n")
    typist.replace("area", "surface")
    assert lines_of(typist, typist.ask()) == [6]


def test_keyword_arguments_of_a_local_name_stay() -> None:
    typist = Typist("def f(size):\n    g(size=size)\n    return size\n")
    typist.replace("size", "length")
    assert [edit.start_cp for edit in typist.ask()] == [26, 43]


def test_other_documents_follow_the_one_that_is_edited() -> None:
    typist = Typist(AREA)
    typist.open(OTHER, "from a import area\nprint(area(1, 2))\n")
    typist.open("file:///project/c.go", "area(1)\n", "go")
    typist.replace("area", "surface")
    assert [edit.uri for edit in typist.ask()] == [URI, URI, OTHER, OTHER]


def test_a_call_with_one_more_argument_is_repeated() -> None:
    typist = Typist("a = load(x)\nb = load(y)\nreturn load(zz)\nother(x)\nload(x, 1)\n")
    typist.change(Edit(10, 10, ", mode"))
    found = typist.ask()
    assert lines_of(typist, found) == [2, 3]
    assert {edit.new_text for edit in found} == {", mode"}


def test_a_line_like_the_edited_one_gets_the_whole_change() -> None:
    typist = Typist("for i := 0; i < b.N; i++ {\n}\nx := 1\nfor i := 0; i < b.N; i++ {\n}\n", "go")
    typist.replace("i := 0; i < b.N; i++", "b.Loop()")
    typist.accept(*typist.ask())
    assert typist.text() == "for b.Loop() {\n}\nx := 1\nfor b.Loop() {\n}\n"


def test_names_that_differ_from_the_example_are_kept() -> None:
    typist = Typist("self.one = load(one, 1)\nx = 0\nself.two = load(two, 1)\n")
    typist.replace("load(one, 1)", "fetch(one).first")
    typist.accept(*typist.ask())
    assert typist.text() == "self.one = fetch(one).first\nx = 0\nself.two = fetch(two).first\n"


def test_lines_put_above_two_classes_are_offered_above_the_third() -> None:
    typist = Typist("class A:\n    x = 1\n\nclass B:\n    x = 2\n\nclass C:\n    x = 3\n")
    typist.change(Edit(0, 0, "@final\n"))
    assert typist.ask() == ()  # once is no habit
    at = typist.text().index("class B")
    typist.change(Edit(at, at, "@final\n"))
    typist.accept(*typist.ask())
    assert typist.text().endswith("@final\nclass C:\n    x = 3\n")
    assert typist.text().count("@final") == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("half", "hal"),  # a typo on the way
        ("width", "height"),  # another name that is there already
        ("2", "3"),
        ("return half", "return"),  # a single deletion
    ],
)
def test_changes_that_say_nothing_of_other_places_stay_silent(old: str, new: str) -> None:
    typist = Typist("def area(width, height):\n    half = width / 2\n    return half * height\n\n\nx = area(2, 7)\n")
    typist.replace(old, new, nth=1 if old in ("half", "width") and new != "hal" else 0)
    found = typist.ask(explicit=False)
    assert found == ()


def test_the_second_name_for_a_new_function_is_no_rename() -> None:
    typist = Typist("def load(x):\n    return x\n\na = load(1)\nb = load(2)\n")
    typist.change(Edit(0, 0, "def fetch(x):\n    return 1\n\n"))
    typist.replace("load(1)", "fetch(1)")
    assert all(edit.reason.startswith("the same") for edit in typist.ask())


def test_a_document_that_has_the_change_already_gets_no_offer() -> None:
    typist = Typist("def area(x):\n    return x\n\nprint(surface(1))\n")
    typist.replace("area", "surface")
    assert typist.ask() == ()

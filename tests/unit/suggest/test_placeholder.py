"""What counts as a placeholder, and where one is the right answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from completer.suggest.placeholder import is_placeholder, wants_a_body
from completer.syntax.block import block_around
from completer.syntax.cursor import cursor_context
from tests.by_hand import snap

OTHER = "\n\ndef g(items):\n    return sum(items)\n"


def wants(marked: str, language_id: str = "python", uri: str = "file:///a") -> bool:
    snapshot = replace(snap(marked, language_id), uri=uri)
    return wants_a_body(snapshot, block_around(snapshot, cursor_context(snapshot)))


@pytest.mark.parametrize(
    "text",
    [
        "pass",
        "pass  # for now",
        "...",
        "return None",
        "return",
        "# TODO: implement",
        "# Your code here\n    pass",
        "// Implement this function",
        "/* TODO */",
        "raise NotImplementedError",
        'raise NotImplementedError("soon")',
        "todo!()",
        "unimplemented!()",
        'throw new Error("Not implemented");',
        "throw new UnsupportedOperationException();",
        'panic("not implemented")',
        "\n    pass",
    ],
)
def test_placeholders_are_known(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password = 1",
        "pass_on(a)",
        "return None if a else b",
        "return items",
        "# Sort by price",
        "# Implement bubble sort\n    for a in items:",
        "raise ValueError(a)",
        'throw new Error("no such file")',
        "...args",
        "todo = []",
        'panic("negative length")',
    ],
)
def test_what_does_something_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)


def test_an_empty_function_wants_a_body() -> None:
    assert wants(f'def f(items):\n    """Return the largest."""\n    ‸{OTHER}')
    assert wants("func Max(a []int) int {\n\t‸\n}\n\nfunc g() int {\n\treturn 1\n}\n", "go")
    assert wants("def f(items):\n    ‸\n")


@pytest.mark.parametrize(
    "marked",
    [
        f"class NoSuchItem(Exception):\n    ‸{OTHER}",
        f"try:\n    a()\nexcept OSError:\n    ‸{OTHER}",
        f"class Store(Protocol):\n    def get(self, key):\n        ‸{OTHER}",
        f"class Store(ABC):\n    @abstractmethod\n    def get(self, key):\n        ‸{OTHER}",
        f"@overload\ndef f(a: int) -> int:\n    ‸{OTHER}",
        f"def noop(*args):\n    ‸{OTHER}",
        "def f(a):\n    ‸\n\n\ndef g(a):\n    pass\n\n\ndef h(a):\n    ...\n",
        f"def f(items):\n    a = 1\n    ‸{OTHER}",
    ],
)
def test_a_placeholder_may_stay_where_empty_bodies_belong(marked: str) -> None:
    assert not wants(marked)


def test_a_stub_file_wants_no_bodies() -> None:
    assert not wants(f"def f(items):\n    ‸{OTHER}", uri="file:///a.pyi")

"""The bench of blocks without a model: bodies cut from files, answers kept, what a reader takes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.blocks.pick import MAX_LINES, Body, bodies, pick, read, write
from bench.blocks.record import Said
from bench.blocks.record import read as read_answers
from bench.blocks.record import write as write_answer
from bench.blocks.rules import RULES, answers, figures, judge, kept
from bench.places.pick import Source
from completer.suggest.confidence import TokenSpan

SOURCES = {
    "python": 'def area(width, height):\n    """The product."""\n    ‸product = width * height\n    return product‸\n\n\nx = 1\n',
    "go": "package a\n\nfunc area(width int, height int) int {\n\t‸product := width * height\n\treturn product‸\n}\n",
    "ruby": "def area(width, height)\n  ‸product = width * height\n  product + 1‸\nend\n",
    "typescript": "class A {\n  area(width: number) {\n    ‸const product = width * 2;\n    return product;‸\n  }\n}\n",
    "rust": "fn area(width: u32) -> u32 {\n    ‸let product = width * 2;\n    product + 1‸\n}\n",
    "java": "class A {\n    int area(int width) {\n        ‸int product = width * 2;\n        return product;‸\n    }\n}\n",
    "cpp": "int area(int width) {\n    ‸int product = width * 2;\n    return product;‸\n}\n",
    "php": "<?php\nfunction area($width)\n{\n    ‸$product = $width * 2;\n    return $product;‸\n}\n",
    "csharp": "class A {\n    int F(int width)\n    {\n        ‸int product = width * 2;\n        return product;‸\n    }\n}\n",
}
BODY = Body("a.py:1", "python", "def area(width, height):\n    ", "product = width * height\n    return product", "\n\n\nx = 1\n")


@pytest.mark.parametrize("language", SOURCES)
def test_a_body_is_what_stands_between_header_and_end_without_the_docstring(language: str) -> None:
    prefix, want, suffix = SOURCES[language].split("‸")
    (found,) = bodies(Source("repo", "a", language, prefix + want + suffix))
    assert (found.prefix, found.want, found.suffix) == (prefix, want, suffix)
    assert found.snapshot.text[: found.snapshot.cursor_cp] == prefix


@pytest.mark.parametrize("body", ["x", "a_line_that_stays\n    " * (MAX_LINES + 1)])
def test_bodies_that_are_too_short_or_too_long_are_left_out(body: str) -> None:
    assert list(bodies(Source("repo", "a.py", "python", f"def f():\n    {body.strip()}\n"))) == []


def test_languages_take_turns_and_cases_survive_their_file(tmp_path: Path) -> None:
    for name, language in [("a.py", "python"), ("b.go", "go")]:
        path = tmp_path / "repo" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SOURCES[language].replace("‸", "") + "\n" * 20, encoding="utf-8")
    found = pick([tmp_path / "repo"], 5, seed=1)
    assert [one.language for one in found] == ["python", "go"]
    write(found, tmp_path / "out" / "cases.jsonl")
    assert read(tmp_path / "out" / "cases.jsonl") == found


def test_answers_survive_their_file(tmp_path: Path) -> None:
    said = Said("a.py:1", "fim", "é = 1", [TokenSpan(5, 0.5)], "end")
    assert list(read_answers(tmp_path / "none.jsonl")) == []
    write_answer(said, tmp_path / "said.jsonl")
    assert list(read_answers(tmp_path / "said.jsonl")) == [said]


def test_a_reader_takes_words_lines_or_the_whole() -> None:
    right, half = BODY.want, "product = width * heights\n    return product"
    assert {key: judge(right, BODY.want)[key] for key in ("word", "line", "whole", "exact", "wrong")} == {
        "word": len(right),
        "line": len(right),
        "whole": len(right),
        "exact": 1,
        "wrong": 0,
    }
    found = judge(half, BODY.want)
    assert (found["word"], found["line"], found["whole"]) == (len("product = width * "), 0, 0)
    assert (found["lines"], found["found"]) == (2, 1)
    first = judge("product = width * height", BODY.want)
    assert (first["line"], first["whole"], first["exact"]) == (24, 24, 0)


def test_what_stays_when_a_block_is_edited_counts_whole_tokens() -> None:
    assert kept("a = width * height", "a = height * width") == len("a=width")
    assert kept("", "a") == 0


def test_a_rule_decides_how_much_of_an_answer_counts() -> None:
    first, second = "product = width * height\n", "    return product"
    spans = [TokenSpan(len(first), 0.9), TokenSpan(len(first) + len(second), 0.1)]
    found = list(answers([BODY], [Said(BODY.name, "fim", first + second, spans, "end")]))
    shown = {name: figures(found, rule)["shown"] for name, rule in RULES.items()}
    assert shown == {"now": len(first.rstrip()), "at rest": len(first + second), "whole": len(first + second)}

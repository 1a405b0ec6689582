"""The choice of code and cursors: pure rules, the same on every run."""

from __future__ import annotations

import random

from bench.corpus import Source, in_turns, is_plain_code, read_corpus
from bench.cursors import COMMENTS, Case, column, humaneval_cases, library_cases

TEXT = "".join(f"value_{i} = compute(value_{i - 1}, {i})\n" for i in range(1, 80))


def test_packages_take_turns_so_that_a_big_one_does_not_crowd_out_the_others() -> None:
    names = [*(f"big/{i}.py" for i in range(50)), "small/a.py", "tiny/b.py"]
    assert {name.split("/")[0] for name in in_turns(names)[:3]} == {"big", "small", "tiny"}
    assert sorted(in_turns(names)) == sorted(names)


def test_the_order_of_files_does_not_depend_on_the_order_in_which_they_are_found() -> None:
    names = [f"p{i % 7}/{i}.py" for i in range(60)]
    assert in_turns(names) == in_turns(reversed(names))


def test_short_and_minified_files_are_not_plain_code() -> None:
    assert is_plain_code(TEXT)
    assert not is_plain_code("x = 1\n" * 10)
    assert not is_plain_code(TEXT + "x" * 301)


def test_the_corpus_has_python_and_the_languages_of_the_traces() -> None:
    corpus = read_corpus(2)
    assert {"python", "go", "rust", "typescript"} <= corpus.keys()
    assert all(len(sources) <= 2 for sources in corpus.values())


def test_a_cursor_has_something_of_its_line_on_both_sides() -> None:
    line = "    return value"
    columns = {column(line, random.Random(seed)) for seed in range(200)}
    assert columns == set(range(5, len(line) - 3 + 1))


def test_comments_and_very_short_lines_get_no_cursor() -> None:
    rng = random.Random(0)
    assert all(column(f"    {mark} some words here", rng) is None for mark in COMMENTS)
    assert column("        }", rng) is None


def test_a_library_case_is_the_file_cut_at_the_cursor() -> None:
    cases = library_cases({"python": [Source("p/a.py", "python", TEXT)]}, 10)
    assert len(cases) == 10
    assert all(case.prefix + case.rest + case.suffix == TEXT for case in cases)
    assert all("\n" not in case.rest and case.suffix.startswith("\n") for case in cases)
    assert cases == library_cases({"python": [Source("p/a.py", "python", TEXT)]}, 10)


def test_each_language_gets_the_same_number_of_cursors() -> None:
    one, two, three = (Source(f"p/{name}", "x", TEXT) for name in "abc")
    cases = library_cases({"python": [one, two], "go": [three]}, 12)
    assert [case.name[:3] for case in cases] == ["p/a"] * 3 + ["p/b"] * 3 + ["p/c"] * 6


def test_a_humaneval_case_cuts_the_missing_line() -> None:
    cases = humaneval_cases(50)
    assert len(cases) == len({case.name for case in cases}) == 50
    assert all(case.rest.strip() and case.prefix[case.line_start :].strip() for case in cases)
    assert isinstance(cases[0], Case)

"""Special tokens of every model family, and the code fences with which a model ends its answer."""

from __future__ import annotations

import pytest

from completer.suggest.special import cut_fence, cut_special
from completer.syntax.cursor import cursor_context
from completer.tokens.fim import FORMATS
from tests.by_hand import snap

SPECIAL = sorted({t for f in FORMATS.values() for t in (f.prefix, f.suffix, f.middle, f.repo_name, f.file_sep, *f.end) if t})


@pytest.mark.parametrize("token", SPECIAL)
def test_a_special_token_of_any_family_ends_the_text(token: str) -> None:
    assert cut_special(f"total + 1{token}") == "total + 1"


@pytest.mark.parametrize("begun", ["<|fim", "<|endof", "<|fim_middle|", "<|", "<fim_mid", "<｜fim▁be"])
def test_the_beginning_of_one_at_the_end_is_cut_too(begun: str) -> None:
    assert cut_special("total" + begun) == "total"


@pytest.mark.parametrize("text", ["a < b", "a <| b", "vector<int>", "a < b | c > d", "f(x) <", "</p>", "</s> + 1", "x[1]", "<s>"])
def test_code_that_only_looks_similar_stays(text: str) -> None:
    assert cut_special(text) == text


def test_the_first_of_several_counts() -> None:
    assert cut_special("a<|fim_pad|>b<|endoftext|>") == "a"


@pytest.mark.parametrize(
    ("marked", "language_id", "text", "kept"),
    [
        ("‸\n", "python", "a = 1\n```\nThis is", "a = 1"),
        ("‸\n", "python", "a = 1\n  ~~~", "a = 1"),
        ("‸\n", "python", "```python\na = 1", ""),
        ("‸\n", "python", "x = '```'", "x = '```'"),  # not at the start of a line
        ('"""‸\n"""\n', "python", "Use:\n```sh\n", "Use:\n```sh\n"),
        ("/* ‸ */\n", "c", "a\n```\nb", "a\n```\nb"),
        ("‸\n", "markdown", "```sh\nls\n```", "```sh\nls\n```"),
    ],
)
def test_a_code_fence_ends_code_and_is_text_elsewhere(marked: str, language_id: str, text: str, kept: str) -> None:
    assert cut_fence(text, cursor_context(snap(marked, language_id))) == kept

"""Whether an answer is the line that was there, and what it does to the brackets of the file."""

from __future__ import annotations

from collections import Counter

from bench.client import Json
from bench.invariants import is_balanced
from bench.places.case import Case
from completer.syntax.languages import language
from completer.syntax.lexer import CLOSER, tokens


def judge(case: Case, text: str) -> Json:
    """Return the judgement on `text`, as shown after the cursor ("": nothing was).

    right: the cursor's line is what it was, white space at its end aside; further lines do not count.
    many, missing: the file with the answer's first line in it has closing brackets too many, or too few; None
    if nothing was shown or the lexer does not find the original file balanced.
    all_many, all_missing: the same with the whole answer.
    """
    first = text.split("\n", 1)[0]
    right = bool(text) and first.rstrip() == case.want.rstrip()
    known = bool(text) and is_balanced(case.prefix + case.want + case.suffix, case.language)
    many, missing = brackets(case, first) if known else (None, None)
    all_many, all_missing = brackets(case, text) if known else (None, None)
    return {
        "right": right,
        "shown": len(text),
        "first": case.line_prefix + first if text else "",
        "many": many,
        "missing": missing,
        "all_many": all_many,
        "all_missing": all_missing,
    }


def brackets(case: Case, text: str) -> tuple[bool, bool]:
    """Return whether the file with `text` at the cursor has closing brackets of a kind too many, too few."""
    found = tokens(case.prefix + text + case.suffix, language(case.language))
    counts = Counter(token.text for token in found if token.kind == "bracket")
    owed = [counts[opener] - counts[closer] for opener, closer in CLOSER.items()]
    return min(owed) < 0, max(owed) > 0

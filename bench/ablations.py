"""Rules of ours that `bench quality --without RULE` switches off and asks again, to see what each is worth.

healing        the token at the cursor is what the model sees, even in the middle of a word
word healing   only the last token is healed, not the word that it is the end of
overlap        lines that stand behind the cursor already are not cut off, nor is what they repeat dropped
repetition     a line that was said before does not end decoding, and is not cut off, nor dropped
block          a block runs on until the model ends it
stop line      decoding goes on behind a line that stands below the cursor
brackets       brackets and literals are left as the model puts them, and what the rest of the line repeats as well
clean ends     what was not finished is shown up to its last character
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from completer.suggest.block_end import stop_rule
from completer.suggest.fit import Fitted
from completer.types import StopRule


def _stop_rule(**changes: Any) -> Callable[..., StopRule]:
    return lambda *args, **named: replace(stop_rule(*args, **named), **changes)


RULES: dict[str, dict[str, Callable[..., Any]]] = {
    "healing": {"completer.prompt.prompt.n_word_tokens": lambda *_: 0},
    "word healing": {"completer.prompt.prompt.n_word_tokens": lambda *_: 1},
    "overlap": {
        "completer.suggest.trim.cut_suffix_lines": lambda text, _: text,
        "completer.suggest.trim.duplicates_suffix": lambda *_: False,
    },
    "repetition": {
        "completer.generate.stop.is_stuck": lambda _: False,
        "completer.suggest.trim.cut_repetition": lambda text: text,
        "completer.suggest.trim.repeats_line_above": lambda *_: False,
    },
    "block": {
        "completer.suggest.trim.sibling_stop": lambda *_: None,
        "completer.complete.generations.sibling_stop": lambda *_: None,
        "completer.complete.state.stop_rule": _stop_rule(block_indent=None),
    },
    "stop line": {"completer.complete.state.stop_rule": _stop_rule(suffix_line="")},
    "brackets": {"completer.suggest.trim.fit": lambda text, *_: Fitted(text)},
    "clean ends": {"completer.suggest.visible.clean_partial": lambda raw, *_, **__: raw},
}
"""Name of a rule -> what takes the place of the functions that follow it."""


@contextmanager
def without(rules: Iterable[str]) -> Iterator[None]:
    """Switch `rules` off within the block. Raises: KeyError for an unknown one. Mutates: modules, until the block ends."""
    with ExitStack() as stack:
        for rule in rules:
            for target, stand_in in RULES[rule].items():
                stack.enter_context(patch(target, stand_in))
        yield

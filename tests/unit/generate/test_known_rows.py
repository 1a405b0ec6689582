"""Known rows: what is kept is found again, by all tokens in front of it, until newer ones need its place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from completer.generate.known_rows import MAX_ROWS, KnownRows
from completer.tokens.tokenizer import Tokenizer
from completer.types import StopRule
from tests import tiny
from tests.fake_engine import FakeEngine
from tests.law import Run, prompt_of

IDS = st.tuples(st.integers(0, 60))


def test_a_block_that_nobody_asked_for_takes_no_rows_from_the_keys(tokenizer: Tokenizer) -> None:
    prompt, stop = prompt_of(tokenizer, tokenizer.encode("def print_all(self):")), StopRule(max_tokens=20, single_line=False)
    engine, rows = FakeEngine(tiny.VOCAB_SIZE), KnownRows(tiny.VOCAB_SIZE)
    key = Run(engine, tokenizer, prompt, stop, rows=rows).finish()
    context = list(prompt.ids)
    assert rows.after(context) is not None
    for id_ in range(2 * MAX_ROWS):
        other = prompt_of(tokenizer, [*context, id_])
        Run(FakeEngine(tiny.VOCAB_SIZE), tokenizer, other, stop, rows=rows, scratch=True).finish()
    assert rows.after(context) is not None
    block = Run(engine, tokenizer, prompt, stop, slot=key.slot, scratch=True).finish()
    assert key.slot.scratch_from == len(context)
    assert block.ids == key.ids


@given(st.lists(st.tuples(IDS, st.booleans()), max_size=300))
def test_rows_are_those_kept_last_and_the_least_recently_used_goes(steps: list[tuple[tuple[int], bool]]) -> None:
    rows, model = KnownRows(3), dict[tuple[int], float]()  # oldest first
    for i, (ids, keep) in enumerate(steps):
        if keep:
            rows.keep(ids, np.full(3, i, np.float32))
            model.pop(ids, None)
            model[ids] = i
            if len(model) > MAX_ROWS:
                del model[next(iter(model))]
        else:
            found = rows.after(ids)
            assert (None if found is None else found.tolist()) == ([model[ids]] * 3 if ids in model else None)
            if ids in model:
                model[ids] = model.pop(ids)

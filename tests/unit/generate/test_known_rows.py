"""Known rows: what is kept is found again, by all tokens in front of it, until newer ones need its place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from completer.generate.known_rows import MAX_ROWS, KnownRows

IDS = st.tuples(st.integers(0, 60))


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

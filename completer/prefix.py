"""Which cached tokens a prompt can keep. Pure functions over token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Diff(NamedTuple):
    """cached:  | keep .......... | dropped |
    prompt:  | keep .......... | feed ............ |
    """

    keep: int  # cached tokens retained
    feed: int  # prompt tokens to forward


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the longest common prefix of two token sequences."""
    limit = min(len(a), len(b))
    if list(a[:limit]) == list(b[:limit]):  # the usual case, compared in C
        return limit
    low, high = 0, limit  # a[:low] == b[:low], and the first difference lies before `high`
    while high - low > 1:
        middle = (low + high) // 2
        if list(a[low:middle]) == list(b[low:middle]):
            low = middle
        else:
            high = middle
    return low


def diff(cached_ids: Sequence[int], prompt_ids: Sequence[int], n_rows: int = 1) -> Diff:
    """Return the plan that turns the cached sequence into the prompt.

    cached_ids, prompt_ids: [T] token ids.  n_rows: logits wanted of the last so many prompt tokens, 1 <= n_rows <= T_prompt;
    these are always fed, because logits need a forward.  Mutates: nothing.
    """
    keep = min(common_length(cached_ids, prompt_ids), len(prompt_ids) - n_rows)
    return Diff(keep, len(prompt_ids) - keep)

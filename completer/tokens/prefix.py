"""Which cached tokens a prompt can keep.

slot    | keep .......... | dropped |
prompt  | keep .......... | feed ............ |
"""

from __future__ import annotations

from collections.abc import Sequence


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

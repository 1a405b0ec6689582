"""Seeds of the random law tests: a few for `make test-fast`, all of them for `make test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


def seeds(count: int, *, fast: int) -> list[ParameterSet]:
    """`count` seeds; those from `fast` on are marked slow."""
    return [pytest.param(seed, marks=[pytest.mark.slow] if seed >= fast else []) for seed in range(count)]

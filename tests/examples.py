"""How many examples a property test tries: all of them, or a fifth in `make test-fast`."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fast", max_examples=20)
_FULL = 100
"""`max_examples` of Hypothesis's default profile."""


def examples(n: int) -> settings:
    """Return the settings of a test that tries `n` examples in full, without a deadline for each.

    With `--hypothesis-profile fast` it tries a fifth of them, but at least ten.
    """
    return settings(max_examples=max(10, n * settings.default.max_examples // _FULL), deadline=None)

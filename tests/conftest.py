"""Fixtures of several suites."""

from __future__ import annotations

import pytest

from completer.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tiny byte-level BPE vocabulary with FIM tokens."""
    from tests import tiny

    return tiny.tokenizer(tmp_path_factory.mktemp("tokenizer"))

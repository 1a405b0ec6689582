"""Fixtures of several suites."""

from __future__ import annotations

import pytest

from completer.tokenizer import Tokenizer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server-command",
        default="",
        help="Test this command (for instance dist/completer/completer) instead of the package, from an empty environment "
        "and another folder. Only tests/e2e/test_real_model.py knows it.",
    )


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tiny byte-level BPE vocabulary with FIM tokens."""
    from tests import tiny

    return tiny.tokenizer(tmp_path_factory.mktemp("tokenizer"))

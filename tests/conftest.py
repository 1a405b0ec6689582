"""Fixtures of several suites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from completer.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from completer.generate.scheduler import LocalGenerator
    from tests.gate import GatedEngine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server-command",
        default="",
        help="Test this command (for instance dist/completer/completer) instead of the package, from an empty environment "
        "and another folder. Only tests/e2e/test_real_model.py knows it.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile"):
        import tests.examples  # noqa: F401  # registers our profile before the plugin loads it


@pytest.fixture(scope="session", autouse=True)
def no_user_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have a settings file: no test and no server that a test starts reads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_user_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test adds to the history of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_user_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test uses the worker of whoever runs the tests, and none that a test started is left running."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield
    for socket in folder.glob("completer/worker-*.sock"):
        from completer.worker import control, start

        control.stop(start.Place(socket, socket, socket))


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tiny byte-level BPE vocabulary with FIM tokens."""
    from tests import tiny

    return tiny.tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def gated(tokenizer: Tokenizer) -> Iterator[tuple[GatedEngine, LocalGenerator]]:
    """An engine whose forwards wait until the test lets them through, and a generator over it."""
    from completer.generate.scheduler import LocalGenerator
    from tests.gate import GatedEngine

    gated_engine = GatedEngine()
    generator = LocalGenerator(gated_engine, tokenizer)
    yield gated_engine, generator
    gated_engine.open()
    generator.close()

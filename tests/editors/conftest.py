"""Editors for the tests. They are fetched by `python -m tests.editors.install`; without them a test fails and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.editors.install import editors_folder
from tests.editors.install_nvim import VERSIONS, installed


@pytest.fixture(scope="session", params=VERSIONS)
def nvim_program(request: pytest.FixtureRequest) -> Path:
    """Neovim in each version that the plugin supports."""
    programs = installed(editors_folder())
    if request.param not in programs:
        pytest.fail(f"Neovim {request.param} is missing: python -m tests.editors.install nvim")
    return programs[request.param]

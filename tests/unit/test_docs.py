"""Whatever a user can set or call is documented."""

from dataclasses import fields
from pathlib import Path

from completer.config import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    for field in fields(Settings):
        rows = [line for line in page.splitlines() if line.startswith(f"| `{field.name}` |")]
        assert len(rows) == 1, f"{field.name} has no row of its own in docs/reference/settings.md"


def test_the_readme_names_the_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("setup", "demo", "test", "check", "bench"):
        assert f"\n{target}:" in makefile
        assert f"make {target}" in readme

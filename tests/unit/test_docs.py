"""Whatever a user can set or call is documented."""

import json
import re
from dataclasses import fields
from pathlib import Path

from completer.config import RULES, Settings

ROOT = Path(__file__).parents[2]
ORIGINS = "## Who may set a setting"


def test_every_setting_is_documented_with_its_default() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    meanings, _ = page.split(ORIGINS)
    for field in fields(Settings):
        rows = [line for line in meanings.splitlines() if line.startswith(f"| `{field.name}` |")]
        assert len(rows) == 1, f"{field.name} has no row of its own in docs/reference/settings.md"
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        assert rows[0].startswith(f"| `{field.name}` | `{json.dumps(default)}` |")


def test_who_may_set_a_setting_is_documented_as_the_code_has_it() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| (.*) \|$", page.split(ORIGINS)[1], re.MULTILINE)
    assert table == [(name, f"{rule.origin} | {rule.range or '–'} | {rule.reason}") for name, rule in RULES.items()]


def test_the_readme_names_the_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("setup", "demo", "test", "check", "bench"):
        assert f"\n{target}:" in makefile
        assert f"make {target}" in readme

"""The documentation holds: links resolve, lines are short, and whatever a user can set or call is described."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main

from completer.cli.main import app
from completer.cli.models import app as models_app
from completer.cli.worker import app as worker_app
from completer.complete.trace import Trace
from completer.config import RULES, Settings
from completer.engines.registry import ENGINES
from completer.server import messages

ROOT = Path(__file__).parents[2]
MAX_COLUMNS = 110
ONE_FILE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "editors/nvim/README.md", "editors/vscode/README.md")
PAGES = sorted({*(ROOT / name for name in ONE_FILE), *(ROOT / "docs").rglob("*.md")})

FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"!?\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^)\s]+)\)", re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| `([^`]*)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
"""A row of the table of settings."""


def of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=of)


def read(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its code blocks; each leaves a line of its own."""
    return FENCE.sub("", read(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings: lower case, no punctuation, hyphens for spaces."""
    found: dict[str, int] = {}
    names = set()
    for heading in HEADING.findall(prose(page)):
        text = LINK.sub(lambda link: link["text"], heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        n = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{n}" if n else name)
    return names


def broken_links(page: Path) -> Iterator[str]:
    for link in LINK.finditer(CODE.sub("", prose(page))):
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            yield f"{link['target']}: no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{link['target']}: no such heading"


@every_page
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    assert list(broken_links(page)) == []


@every_page
def test_prose_is_at_most_110_columns_wide(page: Path) -> None:
    lines = (line for line in LINK.sub(lambda link: link["text"], prose(page)).splitlines() if not line.lstrip().startswith("|"))
    assert [line for line in lines if len(line) > MAX_COLUMNS] == []


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link["target"].partition("#")[0]).resolve() for link in LINK.finditer(read(index))}
    for page in (ROOT / "docs").rglob("*.md"):
        assert page == index or linked & {page, page.parent, page.parent / "README.md"}, of(page)


def test_every_setting_has_a_row_with_its_default_its_range_and_who_may_set_it() -> None:
    table, reasons = read("docs/reference/settings.md").split("\n## Who may set a setting\n")
    rows = {name: tuple(cells) for name, *cells in ROW.findall(table)}
    expected = {}
    for field in dataclasses.fields(Settings):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        rule = RULES[field.name]
        expected[field.name] = (json.dumps(default), rule.range or "–", str(rule.origin))
    assert rows == expected
    why = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", reasons, re.MULTILINE))
    assert why == {name: rule.reason for name, rule in RULES.items()}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of the command line as a user types them."""
    for prefix, group in (("completer", app), ("completer models", models_app), ("completer worker", worker_app)):
        commands = getattr(typer.main.get_command(group), "commands", {})
        yield from ((f"{prefix} {name}", command) for name, command in commands.items())


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


def test_every_command_and_option_is_on_the_page_of_the_command_line() -> None:
    page = read("docs/reference/cli.md")
    named = dict(commands())
    assert {"completer lsp", "completer models pull"} <= named.keys()
    for name, command in named.items():
        assert re.search(rf"(?:^## |`){re.escape(name)}\b", page, re.MULTILINE), name
        for option in options_of(command) - {"--help"}:
            assert f"`{option}" in page, f"{name} {option}"
    for option in options_of(typer.main.get_command(app)):
        assert f"`{option}`" in page, option


def test_every_custom_method_has_a_section_on_the_page_of_the_protocol() -> None:
    methods = {value for name, value in vars(messages).items() if name.isupper() and str(value).startswith("completer/")}
    assert len(methods) >= 8
    headings = set(re.findall(r"^### `(completer/\w+)`$", read("docs/reference/protocol.md"), re.MULTILINE))
    assert headings == methods


def test_every_field_of_a_trace_is_on_the_page_of_the_metrics() -> None:
    page = read("docs/reference/metrics.md")
    assert [field.name for field in dataclasses.fields(Trace) if f"`{field.name}`" not in page] == []


def test_every_engine_is_in_the_table_of_engines() -> None:
    table = read("docs/reference/engines/README.md")
    for name, needs in ENGINES.items():
        (row,) = (line for line in table.splitlines() if line.startswith(f"| [`{name}`]({name}.md) |"))
        assert needs.device not in ("cuda", "any") or "not run on a GPU" in row, name


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    for page in PAGES:
        used = set(re.findall(r"(?:`|^ *)make ([a-z][\w-]*)", read(page), re.MULTILINE))
        assert used <= targets, f"{of(page)}: {used - targets}"


def test_the_readme_fits_two_screens() -> None:
    assert 60 <= len(read("README.md").splitlines()) <= 80


def test_the_page_of_the_extension_stands_alone() -> None:
    """`make vsix` refuses links out of its folder: nobody who installs the extension has the files around it."""
    assert "](../" not in read("editors/vscode/README.md")

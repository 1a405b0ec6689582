"""The settings of the VS Code extension are the server's, word for word where it counts."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from completer.config import RULES, Origin, Settings, update

PACKAGE = Path(__file__).parents[2] / "editors/vscode/package.json"
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", tuple: "array"}
OF_THE_EXTENSION = {"server.command", "server.interpreter", "server.pipArguments"}
"""Settings of the extension itself that name programs, or what is installed."""


def sections() -> list[dict[str, Any]]:
    return list(json.loads(PACKAGE.read_text(encoding="utf-8"))["contributes"]["configuration"])


def server_properties() -> dict[str, Any]:
    """The properties of the section that the extension passes on, without the prefix."""
    (server,) = (section for section in sections() if section.get("id") == "server")
    return {name.removeprefix("completer."): value for name, value in server["properties"].items()}


def all_properties() -> dict[str, Any]:
    return {name: value for section in sections() for name, value in section["properties"].items()}


def test_the_extension_offers_exactly_the_servers_settings() -> None:
    wanted = {field.name for field in fields(Settings)}
    offered = set(server_properties())
    assert offered == wanted, f"editors/vscode/package.json lacks {wanted - offered}, and has without need {offered - wanted}"


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_defaults_and_types_are_the_servers(field: Any) -> None:
    offered = server_properties()[field.name]
    hint = get_type_hints(Settings)[field.name]
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    assert offered["default"] == default
    choices = get_args(hint) if get_origin(hint) not in (None, tuple) else ()
    values = [choice for choice in choices if isinstance(choice, str)]
    assert offered.get("enum", []) == values
    if not values:
        kind = get_origin(hint) or hint
        assert offered["type"] == JSON_TYPES[kind]


def test_the_server_takes_the_extensions_defaults() -> None:
    defaults = {name: value["default"] for name, value in server_properties().items()}
    assert update(Settings(), defaults) == Settings()


def test_every_setting_says_what_it_does() -> None:
    for name, value in all_properties().items():
        text = value.get("description") or value.get("markdownDescription") or ""
        assert text.endswith("."), name


def test_a_cloned_repository_can_set_nothing_that_names_a_program_a_file_or_a_machine() -> None:
    of_user = OF_THE_EXTENSION | {name for name, rule in RULES.items() if rule.origin is not Origin.WORKSPACE}
    scopes = {name.removeprefix("completer."): value["scope"] for name, value in all_properties().items()}
    assert {name for name, scope in scopes.items() if scope == "machine"} == of_user


def test_settings_that_name_programs_are_read_from_the_user_alone() -> None:
    for file in (PACKAGE.parent / "src").glob("*.ts"):
        read = set(re.findall(r"\bsetting<[^(]*\(\"([\w.]+)\"\)", file.read_text(encoding="utf-8")))
        assert read <= {"enable", "disabled_languages"}, file


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.range])
def test_ranges_are_the_servers(name: str) -> None:
    offered = server_properties()[name]
    assert (offered["minimum"], offered["maximum"]) == (RULES[name].low, RULES[name].high)


def test_an_untrusted_workspace_can_set_nothing_that_only_the_machine_may_set() -> None:
    trust = json.loads(PACKAGE.read_text(encoding="utf-8"))["capabilities"]["untrustedWorkspaces"]
    assert trust["supported"] == "limited" and trust["description"]
    assert trust["restrictedConfigurations"] == [name for name, value in all_properties().items() if value["scope"] == "machine"]


def test_the_palette_has_what_the_extension_registers() -> None:
    commands = {entry["command"] for entry in json.loads(PACKAGE.read_text(encoding="utf-8"))["contributes"]["commands"]}
    source = (PACKAGE.parent / "src/commands.ts").read_text(encoding="utf-8")
    handlers = re.findall(r"^    (\w+): \(\) =>", source, re.MULTILINE)
    assert commands == {f"completer.{name}" for name in handlers}


def test_tab_is_left_to_the_editor() -> None:
    bindings = json.loads(PACKAGE.read_text(encoding="utf-8"))["contributes"]["keybindings"]
    assert not [binding for binding in bindings if "tab" in binding["key"]]

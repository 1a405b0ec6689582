"""Packages import downwards only: the levels in the table of docs/explanation/architecture.md hold."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "completer"
ENGINES_MAY_IMPORT = {"errors", "types", "tokens", "config", "models", "system"}
ONLY_COMMANDS_IMPORT = {"cli", "assemble", "server", "worker"}
ROW = re.compile(r"^\| (\d+) \| `(\w+)(?:/|\.py)` \|", re.MULTILINE)
"""A row of the map of packages: level and package."""


@cache
def imports(file: Path) -> list[ast.Import | ast.ImportFrom]:
    """Return the import statements of a file, wherever in it they are."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(file: Path) -> set[str]:
    """Return the modules of the package that `file` imports, by their first name below the package."""
    found = set()
    for node in imports(file):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("completer."):
            found.add((node.module or "").split(".")[1])
        if isinstance(node, ast.ImportFrom) and node.module == "completer":
            found.update(alias.name for alias in node.names if alias.name != "__version__")
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("completer."))
    return found


@cache
def arrows() -> dict[str, set[str]]:
    """Return for each module or folder of the package which others it imports."""
    graph: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own != "__init__":
            graph.setdefault(own, set()).update(imported(file) - {own})
    return graph


def levels() -> dict[str, int]:
    """Return the level of each package, in the order of the table."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    return {name: int(level) for level, name in ROW.findall(page)}


def test_the_map_lists_every_package_once_from_top_to_bottom() -> None:
    assert levels().keys() == arrows().keys()
    in_order = list(levels().values())
    assert in_order == sorted(in_order, reverse=True)


def test_the_diagram_has_the_levels_of_the_table() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    drawn = {
        name: int(level) for level, row in re.findall(r"^(\d) │(.*)│$", page, re.MULTILINE) for name in re.findall(r"\w+", row)
    }
    assert drawn == {name: level for name, level in levels().items() if name != "__main__"}


@pytest.mark.parametrize("package", ["server", "worker", "next_edit", "prompt/memory"])
def test_an_index_names_every_file_of_its_package(package: str) -> None:
    index = (PACKAGE / package / "__init__.py").read_text(encoding="utf-8")
    files = {path.name for path in (PACKAGE / package).glob("*.py")} - {"__init__.py"}
    assert files == {name for name in re.findall(r"\b(\w+\.py)\b", index) if not name.startswith("__")}


def test_a_package_imports_only_packages_of_a_lower_level() -> None:
    level = levels()
    wrong = [
        f"{package} imports {other}" for package, others in arrows().items() for other in others if level[other] >= level[package]
    ]
    assert wrong == []


def test_engines_know_nothing_of_prompts_and_documents() -> None:
    assert arrows()["engines"] <= ENGINES_MAY_IMPORT


def test_only_the_command_line_knows_how_engines_and_servers_are_built() -> None:
    for module, others in arrows().items():
        if module not in {"__main__", "cli"}:
            assert not others & ONLY_COMMANDS_IMPORT, f"{module} imports {others & ONLY_COMMANDS_IMPORT}"


def test_only_the_server_package_imports_pygls() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "server" not in file.relative_to(PACKAGE).parts:
            assert "pygls" not in file.read_text(encoding="utf-8").replace("imports pygls", ""), file


def test_the_front_imports_no_inference_library() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "engines" in file.relative_to(PACKAGE).parts or file.name in ("assemble.py", "doctor.py"):
            continue
        for node in imports(file):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not {n.split(".")[0] for n in names} & {"torch", "onnxruntime", "transformers"}, file

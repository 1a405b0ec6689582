"""Modules import in one direction only: the arrows of docs/explanation/architecture.md."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "completer"
ENGINES_MAY_IMPORT = {"errors", "types", "tokens", "config", "models", "system"}
ONLY_COMMANDS_IMPORT = {"cli", "assemble", "server"}


def imported(file: Path) -> set[str]:
    """Return the modules of the package that `file` imports, by their first name below the package."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("completer."):
            found.add((node.module or "").split(".")[1])
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("completer."))
    return found


def arrows() -> dict[str, set[str]]:
    """Return for each module or folder of the package which others it imports."""
    graph: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own != "__init__":
            graph.setdefault(own, set()).update(imported(file) - {own})
    return graph


def test_imports_have_no_cycles() -> None:
    TopologicalSorter(arrows()).prepare()  # raises CycleError, which names the cycle


def test_engines_know_nothing_of_the_front() -> None:
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
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not {n.split(".")[0] for n in names} & {"torch", "onnxruntime", "transformers"}, file

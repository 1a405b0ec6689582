"""Modules import in one direction only: the arrows of docs/flow.md."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "completer"
LAYERS = (
    {"errors", "types", "__init__"},
    {"config", "fim", "languages", "prefix", "position", "manifest", "calibration", "store", "transfer", "trace"},
    {"lexical", "tokenizer", "document", "pull_hub", "pull_index", "syntax", "engines"},
    {"notebook", "documents", "pull", "place", "outline", "speculate", "stopping"},
    {"stops", "overlap", "decode", "fit", "prompt"},
    {"generator", "trim", "reuse", "anchoring"},
    {"live", "frontend"},
    {"pipeline"},
    {"loader", "server", "cli_models"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imported(file: Path) -> set[str]:
    """Return the modules of the package that `file` imports, by their first name below the package."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("completer."):
            found.add((node.module or "").split(".")[1])
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("completer."))
    return found


def test_every_module_imports_only_from_layers_below_its_own() -> None:
    for file in PACKAGE.rglob("*.py"):
        own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own == "demo":
            continue
        assert own in RANK, f"{own} has no place in the layers"
        for other in imported(file) - {own}:
            if own == "engines":
                allowed = other in {"errors", "types", "tokenizer", "calibration", "config", "store", "fim"}
                assert allowed, f"engines/{file.name} imports {other}"
            else:
                assert RANK[other] < RANK[own], f"{own} imports {other}, which is not below it"


def test_only_the_server_package_imports_pygls() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "server" not in file.relative_to(PACKAGE).parts:
            assert "pygls" not in file.read_text(encoding="utf-8").replace("imports pygls", ""), file


def test_the_front_imports_no_inference_library() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "engines" in file.relative_to(PACKAGE).parts or file.name in ("loader.py", "doctor.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not {n.split(".")[0] for n in names} & {"torch", "onnxruntime", "transformers"}, file

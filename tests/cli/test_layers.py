"""Who may import whom: the model side and the database side meet in jobs only, and nothing needs the command line."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATABASE = ("duckdb", "duckdb_engine", "sqlalchemy", "alembic", "atlas.store", "atlas.store.atlas", "atlas.migrations")
MODEL = ("torch", "transformers", "safetensors", "atlas.models", "atlas.engine", "atlas.attribution")
FORBIDDEN = {
    "atlas/facts": (*DATABASE, *MODEL),
    "atlas/models": DATABASE,
    "atlas/attribution": DATABASE,
    "atlas/engine": DATABASE,
    "atlas/planted": DATABASE,
    "atlas/store": MODEL,
    "atlas/reports": (*MODEL, "pandas"),
    "migrations": MODEL,
}


def _imports(path):
    """Yield every module that a file imports, wherever in it, save for type checkers only."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _within(module, tops):
    return any(module == top or module.startswith(top + ".") for top in tops)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_each_side_keeps_to_itself(folder):
    for path in (ROOT / folder).rglob("*.py"):
        wrong = [module for module in _imports(path) if _within(module, FORBIDDEN[folder])]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_library_does_not_know_its_command_line():
    for path in (ROOT / "atlas").rglob("*.py"):
        assert not [module for module in _imports(path) if _within(module, ("atlas.cli", "typer", "rich"))], path


def test_the_library_never_prints():
    for path in (ROOT / "atlas").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        printing = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not printing or path.name in {"train.py", "__main__.py"}, f"{path} prints in lines {printing}"


def test_commands_import_nothing_heavy_at_the_top():
    for path in (ROOT / "cli").rglob("*.py"):
        top = [
            node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
        heavy = [name for name in names if _within(name, (*DATABASE, *MODEL, "pandas"))]
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy}"

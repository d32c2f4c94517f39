"""Who may import whom: arrows run down the floors, and the model side and the database side meet above both."""

import ast

import pytest
from project.floors import DATABASE_SIDE, FLOOR, FLOORS, MODEL_SIDE
from project.source import ROOT, imports, modules, own_imports, reached, room, tree

DATABASE = {"duckdb", "duckdb_engine", "sqlalchemy", "alembic"}
MODEL = {"torch", "transformers", "safetensors", "accelerate"}
HEAVY = DATABASE | MODEL | {"pandas"}


def _top(name):
    return name.partition(".")[0]


def _inside(rooms):
    return [name for name in modules() if room(name) in rooms]


def test_every_room_has_a_floor():
    assert {room(name) for name in modules()} == set(FLOOR)


@pytest.mark.parametrize("own", FLOOR)
def test_arrows_run_down(own):
    arrows = [(name, target) for name in _inside({own}) for target in own_imports(name) if room(target) != own]
    assert [(name, target) for name, target in arrows if FLOOR[room(target)] >= FLOOR[own]] == []


@pytest.mark.parametrize(("side", "never"), [(MODEL_SIDE, DATABASE), (DATABASE_SIDE, MODEL)])
def test_each_side_keeps_to_itself(side, never):
    for name in _inside(side):
        wrong = {target for target in reached(name) if _top(target) in never}
        assert not wrong, f"{name} reaches {wrong}"


@pytest.mark.parametrize("own", [room for rooms in FLOORS[:2] for room in rooms])
def test_the_lowest_floors_need_neither_side(own):
    for name in _inside({own}):
        assert not {_top(target) for target in reached(name)} & (DATABASE | MODEL), name


def test_pages_need_no_pandas():
    for name in _inside({"reports"}):
        assert "pandas" not in {_top(target) for target in imports(name)}, name


def test_the_library_does_not_know_a_terminal():
    for name in modules():
        assert room(name) == "cli" or not {_top(target) for target in imports(name)} & {"typer", "rich"}, name


def test_the_library_never_prints():
    for path in (ROOT / "atlas").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        printing = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not printing or path.name in {"train.py", "__main__.py"}, f"{path} prints in lines {printing}"


def test_commands_import_nothing_heavy_at_the_top():
    for name in _inside({"cli"}):
        top = [node for node in tree(name).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom) and not node.level}
        heavy = {each for each in names if _top(each) in HEAVY or room(each) in {*MODEL_SIDE, *DATABASE_SIDE}}
        assert heavy <= {"atlas"}, f"{name} imports {heavy}"

"""The shape of the code: no circle of imports, short functions and modules, one place for what is said once."""

import ast
import re
from collections import Counter
from statistics import median

from project.source import ROOT, circle, modules, own_imports, room, tree

from benchmarks.calls import functions_of_one_prompt

LONG_MODULES = {"atlas.schema"}
"""The column dictionary, which is one long table."""
WIDE_FOLDERS = {"store", "commands"}
"""Folders of more than 16 modules: one for each question of the atlas, one for each command."""

LINES = {
    "__main__": 6,
    "atlas": 35,
    "attribution": 1456,
    "building": 1455,
    "checking": 1700,
    "cli": 3841,
    "demo": 1047,
    "doctor": 555,
    "drawing": 26,
    "editing": 2378,
    "engine": 1612,
    "errors": 66,
    "evaluation": 1117,
    "exam": 799,
    "facts": 2449,
    "ids": 34,
    "jobs": 297,
    "knockouts": 783,
    "matching": 228,
    "migrations": 489,
    "models": 2671,
    "outputs": 250,
    "planted": 1501,
    "reports": 3682,
    "running": 797,
    "schema": 475,
    "scorers": 71,
    "statistics": 128,
    "store": 5288,
    "study": 725,
    "templates": 1,
}
"""The most lines that each room may have."""


def _library():
    return [name for name in modules() if room(name) not in {"cli", "migrations", "templates"}]


def _lengths():
    """Return the lines of every function of the library, by its place."""
    return {
        f"{name}:{node.lineno}": node.end_lineno - node.lineno + 1
        for name in _library()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _lines(name):
    return len(modules()[name].read_text("utf-8").splitlines())


def _places(pattern, *paths):
    """Return what matches, with its file, once for each time."""
    return [(path.name, found) for path in paths for found in re.findall(pattern, path.read_text("utf-8"), re.M)]


def test_no_file_imports_itself_in_a_circle():
    assert circle({name: own_imports(name) for name in modules()}) == []


def test_no_room_imports_itself_in_a_circle():
    rooms = {}
    for name in modules():
        rooms.setdefault(room(name), set()).update(map(room, own_imports(name)))
    assert circle({own: targets - {own} for own, targets in rooms.items()}) == []


def test_functions_are_short():
    lengths = sorted(_lengths().values())
    assert median(lengths) <= 6
    assert lengths[int(0.9 * len(lengths))] <= 16
    assert {place: length for place, length in _lengths().items() if length > 40} == {}


def test_modules_are_of_one_subject():
    assert {name for name in modules() if _lines(name) > 300} <= LONG_MODULES


def test_folders_hold_few_modules():
    found = Counter(path.parent for path in modules().values() if path.name != "__init__.py")
    assert {folder.name for folder, count in found.items() if count > 16} <= WIDE_FOLDERS


def test_rooms_stay_as_small_as_they_are():
    """A ratchet: who makes a room larger raises its number here, and so says so; who makes one smaller lowers it."""
    found = Counter()
    for name in modules():
        found[room(name)] += _lines(name)
    grown = {name: (lines, LINES.get(name, 0)) for name, lines in found.items() if lines > LINES.get(name, 0)}
    assert grown == {}, "lines of each room, and the most that it may have"


def test_a_neuron_is_named_once():
    assert len(_places(r"^\w+ *(?::[^=\n]*)?= *tuple\[int, int\]$", *modules().values())) <= 1


def test_usable_statuses_are_listed_once_in_python_and_once_in_sql():
    files = (*modules().values(), *(ROOT / "atlas").rglob("*.sql"))
    assert len(_places(r"'ok', *'not_converged'|\"ok\", *\"not_converged\"", *files)) <= 2


def test_one_prompt_passes_through_few_files_and_functions():
    found = functions_of_one_prompt("demo-mbert", "amig")
    assert len(found) <= 12
    assert sum(map(len, found.values())) <= 115

"""The project's source as data: its modules, and what each imports, wherever in the file and for whatever use."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"atlas": ROOT / "atlas", "atlas.cli": ROOT / "cli", "atlas.migrations": ROOT / "migrations",
            "atlas.templates": ROOT / "templates"}  # fmt: skip


@cache
def modules():
    """Return the path of every module by its name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


@cache
def tree(name):
    """Return the syntax tree of a module."""
    return ast.parse(modules()[name].read_text("utf-8"))


@cache
def imports(name):
    """Return the names of all that a module imports: at its top, within functions, and for type checkers only."""
    return frozenset(target for node in ast.walk(tree(name)) for target in _targets(name, node))


def _targets(name, node):
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(filter(None, (_package(name, node.level), node.module)))
        inner = [f"{base}.{alias.name}" for alias in node.names]
        yield from (each if each in modules() else base for each in inner)


def _package(name, level):
    """Return the package that a relative import of `level` dots starts from; nothing for an absolute one."""
    parts = name.split(".") if modules()[name].name == "__init__.py" else name.split(".")[:-1]
    return ".".join(parts[: len(parts) + 1 - level]) if level else ""


def own_imports(name):
    """Return the project's other modules that a module imports."""
    return {target for target in imports(name) if target in modules() and target != name}


def room(name):
    """Return the room of a module: a package or a single file right within `atlas`, or `atlas` itself."""
    return name.split(".")[1] if "." in name else name


def reached(name):
    """Return all names that an import of a module may bring in, now or later, with the packages that they lie in."""
    found, open_ = set(), [name]
    while open_:
        each = open_.pop()
        if each not in found:
            found.add(each)
            open_ += imports(each) | _parents(each) if each in modules() else ()
    return found


def _parents(name):
    """Return the packages around a module, save for `atlas` itself."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(2, len(parts))}


def circle(graph):
    """Return the nodes of a circle of `{node: targets}`, or nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []

"""The wheel holds every package, and what the packages read."""

import tomllib
from pathlib import Path

import pytest

import atlas

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
TOPS = {"atlas": "atlas", "cli": "atlas.cli", "migrations": "atlas.migrations", "templates": "atlas.templates"}


def _packages():
    for folder, name in TOPS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            yield ".".join([name, *init.parent.relative_to(ROOT / folder).parts])


def test_every_package_is_listed():
    assert set(SETUPTOOLS["packages"]) == set(_packages())


def test_every_file_that_is_not_code_has_a_pattern():
    data = SETUPTOOLS["package-data"]
    for folder, name in TOPS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
                package = _package_of(path, ROOT / folder, name)
                inside = path.relative_to(ROOT / folder / Path(*package.removeprefix(name).strip(".").split(".")))
                assert any(_fits(inside, pattern) for pattern in data.get(package, [])), f"{path} is left out"


def test_the_version_is_one():
    assert PROJECT["project"]["version"] == atlas.__version__


def test_every_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text()
    lines = [line for line in text.splitlines() if line.startswith('    "') and ("==" in line or ">=" in line)]
    assert lines
    assert all("# " in line for line in lines)


@pytest.mark.parametrize("extra", ["", "dev"])
def test_constraints_pin_every_dependency(extra):
    wanted = PROJECT["project"]["optional-dependencies"][extra] if extra else PROJECT["project"]["dependencies"]
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {_name(requirement) for requirement in wanted} <= pinned


def _package_of(path, folder, name):
    for parent in path.parents:
        if (parent / "__init__.py").exists() or parent == folder:
            return ".".join([name, *parent.relative_to(folder).parts])
    raise AssertionError(path)


def _fits(path, pattern):
    # `**/` also stands for no folder at all, which Path.match learns in Python 3.12 only.
    return path.match(pattern) or path.match(pattern.removeprefix("**/"))


def _name(requirement):
    return requirement.split("=")[0].split(">")[0].split("<")[0].strip().lower().replace("_", "-")

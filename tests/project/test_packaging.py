"""The wheel holds every package, and what the packages read."""

import subprocess
import tomllib
from pathlib import Path

import pytest

import atlas

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
TOPS = {"atlas": "atlas", "cli": "atlas.cli", "migrations": "atlas.migrations", "templates": "atlas.templates"}


def _packages():
    """Yield folders of code, and folders of data that are listed as packages."""
    for folder, name in TOPS.items():
        for inner in (ROOT / folder, *(ROOT / folder).rglob("*/")):
            package = ".".join([name, *inner.relative_to(ROOT / folder).parts])
            if (inner / "__init__.py").exists() or package in SETUPTOOLS["packages"]:
                yield package, inner


def test_every_package_is_listed():
    assert set(SETUPTOOLS["packages"]) == dict(_packages()).keys()


def test_every_file_that_is_not_code_has_a_pattern():
    packages = {folder: package for package, folder in _packages()}
    for folder in packages:
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
                owner = next(parent for parent in path.parents if parent in packages)
                patterns = SETUPTOOLS["package-data"].get(packages[owner], [])
                inside = path.relative_to(owner)
                assert any(_fits(inside, pattern) for pattern in patterns), f"{path} is left out"


def test_nothing_lies_at_the_top_that_has_no_place_there():
    """Of what git knows, where it is at hand: a user's own files may lie beside."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        found = {name for name in listed.splitlines() if "/" not in name}
    else:
        found = {path.name for path in ROOT.iterdir() if path.is_file()}
    own = {".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md", "constraints.txt", "pyproject.toml"}
    assert found <= own


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


def _fits(path, pattern):
    # `**/` also stands for no folder at all, which Path.match learns in Python 3.12 only.
    return path.match(pattern) or path.match(pattern.removeprefix("**/"))


def _name(requirement):
    return requirement.split("=")[0].split(">")[0].split("<")[0].strip().lower().replace("_", "-")

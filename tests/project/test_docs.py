"""The documentation names what there is."""

import re
from pathlib import Path

import pytest
from project.floors import FLOORS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def _folders():
    tops = ("atlas", "cli", "migrations", "templates", "benchmarks")
    inner = {path.parent for path in (ROOT / "atlas").glob("*/__init__.py")}
    return {str(path.relative_to(ROOT)) for path in inner} | set(tops) - {"atlas"}


def test_the_architecture_page_names_every_folder():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z/]+)` \|", text, re.MULTILINE)) == _folders()


def test_the_diagram_shows_the_floors():
    diagram = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("```")[1]
    assert tuple(tuple(line.split()) for line in reversed(diagram.strip().splitlines())) == FLOORS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_pages_exist(page):
    for target in re.findall(r"`((?:atlas|cli|tests|docs|templates|migrations|benchmarks)/[\w./-]+\.\w+)`",
                             page.read_text("utf-8")):  # fmt: skip
        assert (ROOT / target).exists(), f"{page.name} names {target}"


def test_the_facts_page_names_every_source():
    from atlas.facts.sources import IMPORTERS

    text = (ROOT / "docs" / "facts.md").read_text("utf-8").lower()
    assert all(importer.NAME in text for importer in IMPORTERS)


def test_the_readme_starts_with_two_commands():
    first_screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:24])
    commands = re.findall(r"^python3\.11 -m venv .*", first_screen, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("atlas build")
    assert commands[1].endswith("pytest -n 2 --dist worksteal")

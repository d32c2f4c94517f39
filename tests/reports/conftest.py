import pytest
from reports.html import Parsed
from reports.sample import fill

import atlas
from atlas.reports import Selection, snapshot, write


@pytest.fixture(scope="session")
def db(tmp_path_factory):
    """The path of the sample atlas."""
    path = tmp_path_factory.mktemp("sample") / "sample.duckdb"
    with atlas.open(path, "w") as writer:
        fill(writer)
    return path


@pytest.fixture(scope="session")
def written(db, tmp_path_factory):
    """The report of the sample atlas: its folder and how many pages of each kind."""
    folder = tmp_path_factory.mktemp("report") / "site"
    with atlas.open(db) as opened:
        return folder, write(opened, folder).pages


@pytest.fixture(scope="session")
def site(written):
    """The folder of the report of the sample atlas."""
    return written[0]


@pytest.fixture(scope="session")
def two_facts(db):
    """What a report of two facts of the sample atlas shows, computed once."""
    with atlas.open(db) as opened, opened.beside() as own:
        yield snapshot.take(own, Selection(facts=2))


@pytest.fixture
def of_two_facts(two_facts, monkeypatch):
    """Lets every report be of two facts of the sample atlas."""
    monkeypatch.setattr(snapshot, "take", lambda *_: two_facts)


@pytest.fixture(scope="session")
def pages(site):
    """Every page, parsed, by its address."""
    return {path.relative_to(site).as_posix(): Parsed(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}


@pytest.fixture
def opened(db):
    """The sample atlas."""
    with atlas.open(db) as reader:
        yield reader

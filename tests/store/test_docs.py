"""The schema page is made from the code, and every column of it says what it means."""

import re
from pathlib import Path

import pytest

import atlas
from atlas import schema
from atlas.store import docs, views
from atlas.store.meanings import DERIVED

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"


@pytest.fixture(scope="module")
def connection():
    """An empty atlas in memory, with all views."""
    with docs.in_memory() as made:
        yield made


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == docs.page(), "run: python -m atlas.store.docs docs/schema.md"


def test_the_page_says_where_each_section_that_it_cites_stands():
    head, _, rest = docs.page().partition("## Tables")
    told = set(re.findall(r"(?:METHOD |, )(\d\w?) (?:stands )?for\s\[", head))
    assert set(re.findall(r"METHOD (\d\w?)", rest)) <= told
    for page, _, heading in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", head)):
        text = (PAGE.parent / page).read_text("utf-8")
        anchors = [
            re.sub(r"[^\w -]", "", line).strip().replace(" ", "-") for line in re.findall("^#+ (.*)", text, re.M)
        ]
        assert not heading or heading in map(str.lower, anchors)


def _views(connection):
    return [
        name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    ]


def _columns(connection):
    return [(view, column) for view in _views(connection) for column, _ in docs.columns(view, connection)]


@pytest.mark.slow
def test_every_column_says_what_it_means(connection):
    silent = [f"{view}.{column}" for view, column in _columns(connection) if not docs.meaning(view, column)]
    assert silent == [], "name them in atlas/store/meanings.py"
    assert all(column.meaning for table in schema.TABLES.values() for column in table.columns)


def test_no_view_counts_in_numbers_that_other_programs_lack(connection):
    """A sum of whole numbers has 128 bits, which Parquet and pandas take for decimals, unless it is cast."""
    kinds = {kind for view in _views(connection) for _, kind in docs.columns(view, connection)}
    assert {"INTEGER", "DOUBLE"} <= kinds
    assert not [kind for kind in kinds if kind.startswith(("HUGEINT", "UHUGEINT", "DECIMAL"))]


@pytest.mark.slow
def test_a_meaning_that_is_taken_from_a_table_is_of_one_that_the_view_reads(connection):
    foreign = [
        f"{view}.{column}: {docs.meaning(view, column)}"
        for view, column in _columns(connection)
        if not {f"{view.removesuffix('_all')}.{column}", column} & {*DERIVED}
        and docs.meaning(view, column) not in _meanings(_read(view), column)
        and not column.endswith(("_low", "_high"))
    ]
    assert foreign == [], "name them in atlas/store/meanings.py"


def _read(view):
    """Return the tables that the files name which make a view."""
    words = {word for sql in views.needed(view) for word in re.findall(r"\w+", re.sub("--.*", "", sql))}
    return words & {*schema.TABLES}


def _meanings(tables, column):
    return {c.meaning for table in tables for c in schema.TABLES[table].columns if c.name == column}


def test_where_neurons_come_from_is_said_of_interventions_as_their_table_says_it():
    (source,) = _meanings(["intervention"], "source")
    views_ = ("localisation", "cross_lingual", "intervention_effect", "intervention_summary")
    assert {docs.meaning(view, "source") for view in views_} == {source}
    assert docs.meaning("dkn_by_replace", "share") == docs.meaning("dkn_summary", "share")
    assert {docs.meaning("knockout_effect", name) for name in ("control", "twin")} == _meanings(
        ["knockout"], "control"
    ) | _meanings(["knockout"], "twin")


@pytest.mark.slow
def test_a_model_by_its_number_is_not_called_a_name(connection):
    numbered = [view for view in _views(connection) if ("model", "BIGINT") in docs.columns(view, connection)]
    assert numbered
    assert not [view for view in numbered if "name" in docs.meaning(view, "model")]


def test_every_view_file_is_installed(connection):
    folder = Path(views.__file__).parent
    written = [name for path in folder.glob("*.sql") for name in re.findall(r"REPLACE VIEW (\w+)", path.read_text())]
    assert sorted(written) == sorted(_views(connection))


_CREATED = re.compile(r"(.*)\nCREATE OR REPLACE (?:VIEW|MACRO) (\w+?)(?:_from|_of|_all|_at)?\b")


def test_every_view_and_macro_has_a_comment_of_its_own_right_above():
    """Those of one stem, such as `likn_from`, `likn_of`, `likn_all` and `likn`, have one, above the first."""
    above = {}
    for name in views.order():
        for line, stem in _CREATED.findall("\n" + views.text(name)):
            above.setdefault((name, stem), line)
    assert [made for made, line in above.items() if not line.startswith("-- ")] == []
    assert len(above) > len(views.order())


def test_a_view_is_described_by_its_own_comment_and_not_by_another_of_its_file(path):
    begins = {
        "likn_control": "What a fact's LIKN count means",
        "dkn_untried": "What a definition would have asked of the search",
        "fact_spelling": "The tokens of a fact's names in every language",
        "dkn": "Degenerate knowledge neurons of a fact in a language",
    }
    said = {row["name"]: row["meaning"] for row in docs.overview()}
    with atlas.open(path) as opened:
        comments = {row["table_name"]: row["comment"] for row in opened.sql(_VIEWS).to_pylist()}
    for view, begin in begins.items():
        assert said[view].startswith(begin)
        assert comments[view].startswith(begin)
        assert comments.get(f"{view}_all", begin).startswith(begin)


@pytest.mark.parametrize("table", schema.TABLES)
def test_keys_references_and_arrow_types(table):
    about = schema.TABLES[table]
    names = [column.name for column in about.columns]
    assert set(about.key) <= set(names)
    assert len(names) == len(set(names))
    for column in about.columns:
        assert not column.refers or schema.TABLES[column.refers].key == (column.refers,)
    assert schema.arrow(table).names == [column.name for column in about.content]


def test_table_and_view_defaults_are_the_default_definition(connection):
    connection.begin()
    connection.execute(
        "INSERT INTO definition BY NAME SELECT * EXCLUDE (run, sources, facts) "
        "FROM (SELECT unnest(thresholds(), recursive := true))"
    )
    row = connection.execute("SELECT * EXCLUDE (definition) FROM definition").fetchall()
    connection.rollback()
    assert row == [(0.2, {}, 0.5, None, "none", 0.2, 0.25, False, False, 0.7, None, False, "zero")]


def test_the_file_says_what_its_views_are(path):
    with atlas.open(path) as opened:
        found = opened.sql(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).to_pylist()
        views_ = {row["table_name"]: row["comment"] for row in opened.sql(_VIEWS).to_pylist()}
    said = {(row["table_name"], row["column_name"]): row["comment"] for row in found if row["table_name"] in views_}
    assert said == {key: docs.meaning(*key) for key in said}
    assert said["dkn", "layers"] == "layer of each neuron of the set"
    assert said["likn", "subject"] == "name of the subject"
    assert all(views_.values())


_VIEWS = "SELECT view_name AS table_name, comment FROM duckdb_views() WHERE NOT internal"

"""What a report says that a column means is what it means in that table's own view."""

import re

import pytest
from reports.html import Parsed

import atlas
from atlas import schema
from atlas.reports.pages import comparisons, edits, evaluations, facts, languages, neurons, overview, relations, runs
from atlas.reports.query import Query
from atlas.store import docs

KINDS = {
    "index.html": (overview, runs),
    "runs": (runs,),
    "relations": (relations,),
    "languages": (languages,),
    "facts": (facts,),
    "neurons": (neurons,),
    "edits": (edits,),
    "evaluations": (evaluations,),
    "comparisons": (comparisons,),
}


@pytest.fixture(scope="module")
def titles(site):
    """The titles of columns, `{(kind of page, table, column): {title}}`."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        kind = path.relative_to(site).parts[0]
        for table in Parsed(path.read_text("utf-8")).tables:
            for column, title in zip(table.head, table.titles, strict=True):
                key = (kind, re.sub(r"-\d+$", "", table.name), column.replace(" ", "_"))
                found.setdefault(key, set()).add(title)
    return found


@pytest.fixture(scope="module")
def held(db):
    """The columns of every table and view of an atlas."""
    with atlas.open(db) as opened:
        rows = opened.sql("SELECT table_name, column_name FROM duckdb_columns()").to_pylist()
    return {(row["table_name"], row["column_name"]) for row in rows}


def _queries(kind):
    return {made.name: made for module in KINDS[kind] for made in vars(module).values() if isinstance(made, Query)}


def test_every_title_is_of_the_view_that_the_table_is_about_or_the_page_s_own(titles, held):
    assert {kind for kind, _, _ in titles} == {*KINDS}
    wrong = []
    for (kind, table, column), said in titles.items():
        if (kind, table) == ("facts", "neurons") and column not in ("same_relation", "other_relations"):
            continue  # a column for each language
        query = _queries(kind)[table]
        own = query.means.get(column)
        base = re.sub("_(low|high)$", "", column)
        known = {(query.about, column), (query.about, base)} & held
        meant = own if own is not None else docs.meaning(query.about, column) if known else ""
        if said != {meant.replace("`", "")}:
            wrong.append((kind, table, column, said, meant))
    assert wrong == []


def test_what_pages_say_of_names_kinds_and_counts(titles):
    told = {
        ("index.html", "relations", "name"): _of("relation", "name"),
        ("index.html", "languages", "name"): _of("language", "name"),
        ("index.html", "runs", "kind"): _of("model", "kind"),
        ("index.html", "runs", "position"): docs.meaning("position_profile", "position"),
        ("index.html", "edits", "method"): _of("edit", "method"),
        ("facts", "prompts", "status"): _of("probe", "status"),
        ("facts", "prompts", "rank"): _of("probe", "rank"),
        ("facts", "prompts", "text"): "the prompt, with the answer in its place",
        ("facts", "effects", "source"): _of("intervention", "source"),
        ("neurons", "facts", "languages"): "languages that it is found in",
        ("neurons", "tokens", "rank"): _of("neuron_token", "rank"),
        ("runs", "layers", "share"): "share of the pairs",
        ("runs", "layers", "neurons"): "number of different neurons",
        ("edits", "outcomes", "known"): _of("edit_outcome", "known"),
        ("comparisons", "compared-facts", "expected"): "number expected in both, if the two were independent",
    }
    assert {key: titles[key] for key in told} == {key: {title} for key, title in told.items()}


def _of(table, name):
    (meaning,) = (column.meaning for column in schema.TABLES[table].columns if column.name == name)
    return meaning


def test_a_table_that_is_cut_says_so():
    made = {query for kind in KINDS for query in _queries(kind).values() if "QUALIFY" in query.sql}
    assert len(made) > 10
    assert {query.name for query in made if "at most" not in query.note.lower()} == set()


def test_no_table_is_described_in_marks_of_markdown(site):
    for path in site.rglob("*.html"):
        text = re.sub(r"(?s)<(pre|code|td|title|h1|svg)\b.*?</\1>", "", path.read_text("utf-8"))
        assert "`" not in text, path

"""A second source that names or marks otherwise what the atlas holds: the first one's names stay, and it is told."""

import json

import pytest

import atlas

ORPHANS = "SELECT count(*) AS rows FROM knockout WHERE prompt NOT IN (SELECT prompt FROM probe)"
TWICE = "SELECT fact, template FROM prompt SEMI JOIN probe USING (prompt) GROUP BY ALL HAVING count(*) > 1"


@pytest.fixture
def rename(data):
    """Lets the facts call France otherwise in English, where it has two templates."""

    def renamed():
        file = data / "facts.csv"
        file.write_text(file.read_text("utf-8").replace("P36,en,France", "P36,en,Germany"), "utf-8")

    return renamed


@pytest.fixture
def knockout(shell, masked):
    """Runs `atlas knockout` on an atlas."""
    return lambda db: shell("knockout", "--model", masked, "--top", "2", "--no-control", "--db", db)


def _rows(db, query):
    with atlas.open(db) as opened:
        return opened.sql(query).to_pylist()


@pytest.mark.slow
def test_another_label_in_a_second_build_asks_nothing_twice(build, rename, knockout, db):
    build()
    rename()
    ended = build()
    assert "Kept 1 label of the atlas where the data set has another" in ended.out
    assert ended.out.startswith("Attributed 0 of 11 prompts")
    assert json.loads(build("--json").out)["kept_labels"] == 1
    assert _rows(db, TWICE) == []
    assert knockout(db).code == 0
    assert _rows(db, ORPHANS) == [{"rows": 0}]


@pytest.mark.slow
def test_a_build_asks_by_the_labels_that_were_imported(build, shell, data, rename, knockout, db):
    shell("import", data, "--db", db)
    rename()
    assert "Kept 1 label of the atlas" in shell("import", data, "--db", db).out
    assert "Kept 1 label of the atlas" in build().out
    assert knockout(db).code == 0
    assert _rows(db, ORPHANS) == [{"rows": 0}]
    texts = {row["text"] for row in _rows(db, "SELECT text FROM prompt")}
    assert "the capital of France is [Y] ." in texts


@pytest.mark.slow
def test_prompts_of_another_label_that_a_merge_brings_are_left_out_and_told(
    build, shell, rename, knockout, db, tmp_path
):
    build()
    rename()
    build(db=tmp_path / "second.duckdb")
    shell("merge", tmp_path / "second.duckdb", "--into", db)
    assert len(_rows(db, TWICE)) == 2
    ended = knockout(db)
    assert ended.code == 0
    assert "left out 2 of 13 usable prompts, whose labels are not those of the atlas" in ended.err
    assert _rows(db, ORPHANS) == [{"rows": 0}]
    assert "left out 2 of 13 prompts of the run" in shell("twin", "--db", db).err


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then", "attributed"), [("1", "0", 0), ("0", "1", 2)])
def test_a_template_is_held_out_as_the_atlas_has_it(build, shell, data, db, first, then, attributed):
    template = "P36,en,[X] has [Y] as its capital city .,"
    for mark in (first, then):
        file = data / "templates.csv"
        file.write_text(file.read_text("utf-8").replace(template + "1", template + mark), "utf-8")
        ended = build("--relations", "P36", "--languages", "en")
        file.write_text(file.read_text("utf-8").replace(template + mark, template + "1"), "utf-8")
    assert "Kept 1 template held out or not as the atlas has them" in ended.out
    query = (
        "SELECT held_out FROM probe JOIN prompt USING (prompt) JOIN template USING (template) WHERE text LIKE '%has%'"
    )
    assert _rows(db, query.replace("text", "template.text")) == [{"held_out": False}] * attributed


@pytest.mark.slow
def test_a_build_of_templates_that_the_atlas_holds_out_says_whose_marks_they_are(build, shell, data, db):
    file = data / "templates.csv"
    marked = file.read_text("utf-8")
    file.write_text(marked.replace(",0\n", ",1\n"), "utf-8")
    shell("import", data, "--db", db)
    file.write_text(marked, "utf-8")
    ended = build("--relations", "P38")
    assert (ended.code, ended.out) == (2, "")
    assert "and is not held out (marks of 1 are the atlas's, which stay); select others." in ended.err

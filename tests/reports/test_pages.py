"""What the pages of a report say: their tables, figures and words, beside what the atlas holds."""

import dataclasses
import math

import duckdb
import pytest
from reports.sample import HOSTILE, facts

from atlas import schema
from atlas.reports import addresses, snapshot
from atlas.reports.cells import shown
from atlas.reports.pages import comparisons, edits, evaluations, overview, relations, runs
from atlas.reports.pages import facts as fact_pages
from atlas.reports.pages.shared import of_facts
from atlas.reports.rendering import render
from atlas.reports.tables import Tables


def test_facts_of_several_scorers_say_where_they_agree(pages, opened):
    """Two facts have a run of `kn` beside that of `amig`; the page of every other has no such table."""
    query = """
        SELECT prompt.fact FROM probe JOIN run USING (run) JOIN prompt USING (prompt)
        WHERE probe.status IN ('ok', 'not_converged')
        GROUP BY prompt.fact, run.model, prompt.language HAVING count(DISTINCT run.method) > 1
    """
    both = {addresses.fact(row["fact"]) for row in opened.sql(query).to_pylist()}
    tables = {name: [t for t in page.tables if t.name.startswith("scorers")] for name, page in pages.items()}
    assert {name for name, found in tables.items() if found} == both
    for name in both:
        (table,) = tables[name]
        assert {"amig", "kn"} <= set(", ".join(row[table.head.index("found by")] for row in table.rows).split(", "))


@pytest.mark.slow
def test_the_sql_of_a_table_gives_its_rows(pages, opened):
    seen = set()
    for address, page in pages.items():
        for table in page.tables:
            kind = table.name.partition("-")[0]
            if (address.partition("/")[0], kind) in seen:
                continue  # pages of a kind, and their tables of each run, are many and alike
            seen.add((address.partition("/")[0], kind))
            rows = opened.sql(table.sql).to_pylist()
            assert len(rows) >= len(table.rows), table
            if kind not in ("neurons", "facts") or len(rows) == len(table.rows):
                _same(table, rows)
            seen.add(kind)
    kinds = {
        "prompts",
        "neurons",
        "dkn",
        "effects",
        "facts",
        "tokens",
        "activations",
        "partners",
        "outcomes",
        "overlap",
    }
    assert seen >= kinds


def _same(table, rows):
    """Compare the numbers of a table with those of its query, wherever a column of both has the same name."""
    for number, name in enumerate(table.head):
        column = name.replace(" ", "_")
        if rows and column in rows[0] and all(isinstance(row[column], float) for row in rows):
            shown = sorted(float(row[number]) for row in table.rows)
            assert all(
                math.isclose(a, b, rel_tol=1e-6) for a, b in zip(shown, sorted(r[column] for r in rows), strict=True)
            )


def test_a_fact_page_says_what_the_atlas_says(pages, opened):
    fact = facts().facts[0]
    page = pages[addresses.fact(fact.id)]
    query = """
        SELECT layer, neuron FROM likn_all JOIN run USING (run)
        WHERE definition = 'default' AND method = 'amig' AND fact = ? AND twin_of IS NULL
    """
    likn = opened.sql(query, [fact.id])
    tables = [table for table in page.tables if table.name.startswith("neurons")]
    marked = [(row[0], row[1]) for table in tables for row in table.rows if "LIKN" in row]
    assert sorted(marked) == sorted((str(row["layer"]), str(row["neuron"])) for row in likn.to_pylist())
    assert "not converged" in page.text
    directions = {a.get("lang"): a.get("dir") for tag, a in page.seen if tag == "bdi"}
    assert directions["ar"] == "rtl"
    assert directions["zh-hans"] is None


def test_a_set_that_two_runs_found_is_one(pages, opened):
    fact = facts().facts[0].id
    query = """
        SELECT count(DISTINCT (language, "set")) AS sets, count(*) AS n, any_value(run) FILTER (method = 'amig') AS run
        FROM dkn_all JOIN run USING (run) WHERE fact = ? AND definition = 'default'
    """
    (found,) = opened.sql(query, [fact]).to_pylist()
    (table,) = [t for t in pages["relations/P36.html"].tables if t.name == f"facts-{found['run']}"]
    (row,) = [row for row in table.rows if row[0] == str(fact)]
    assert found["sets"] < found["n"]
    assert row[table.head.index("sets")] == str(found["sets"])


def test_likn_are_told_by_how_many_languages_are_asked_for(pages, opened):
    query = """
        SELECT avg(observed), avg(expected), avg(same_relation), avg(other_relations)
        FROM likn_control_at(min_languages := $least, draws := 0) WHERE run = $run AND of_languages >= $least
    """
    tables = {table.name: table for name, page in pages.items() if name.startswith("runs/") for table in page.tables}
    curves = {name.partition("-")[2]: table for name, table in tables.items() if name.startswith("curve")}
    assert curves
    for run, table in curves.items():
        assert [row[0] for row in table.rows] == ["2", "3", "4"][: len(table.rows)]
        for least, _, observed, *others in table.rows:
            (wanted,) = opened.sql(query, {"least": int(least), "run": int(run)}).to_pylist()
            found = [
                number for name, number in zip(table.head[2:], [observed, *others], strict=True) if "twin" not in name
            ]
            assert [float(number) for number in found] == pytest.approx(list(wanted.values()), rel=1e-5)


def test_evaluations_of_one_kind_are_told_apart():
    zero, swap = (evaluations.Evaluation(1, "m", evaluations.KINDS["localisation"], "localisation", [{"replace": how}])
                  for how in ("zero", "swap"))  # fmt: skip
    assert (zero.about, swap.about) == ("m", "m, swap")


def test_a_relation_lists_facts_in_one_language_too():
    controls = ("in_exchanged_facts", "twin_likn", "p_exchange", "q", "same_relation", "other_relations", "expected")
    bound = {"definition": "own", "run": 1, "model": 2, "relation": "r"}
    with duckdb.connect() as held:
        held.sql(f"""
            CREATE TABLE fact AS SELECT fact, 'r' AS relation FROM range(3, 5) AS n(fact);
            CREATE TABLE fact_language AS SELECT 1 AS run, fact, 2 AS argmax, 5 AS usable FROM fact, range(2);
            CREATE TABLE likn_control_all AS SELECT 'own' AS definition, 1 AS run, 4 AS fact, 2 AS of_languages,
            3 AS observed, {", ".join(f"0 AS {name}" for name in controls)};
            CREATE TABLE run AS SELECT 1 AS run, 2 AS model;
            CREATE TABLE dkn_all AS SELECT '' AS definition, 1 AS run, 4 AS fact, 'en' AS language, 9 AS "set";
            CREATE TABLE dkn_summary_all AS SELECT '' AS definition, 1 AS run, 'r' AS relation;
        """)
        found = [row[:5] for row in held.sql(relations.FACTS.of(bound)).fetchall()]
        (figures,) = held.sql(relations.FIGURES.of(bound)).fetchall()
    assert found == [(4, 2, 4, 10, 3), (3, None, 4, 10, None)]
    assert figures[:3] == (2, 1.0, 3.0)


def test_degenerate_sets_are_counted_where_knock_outs_were_measured(two_facts):
    counted = {}
    for run in two_facts.runs:
        bound = {"run": run.run, "model": run.model, "relation": "P36"}
        in_run = two_facts.rows(runs.FIGURES, bound)[0]["facts with a DKN"]
        counted[run.name] = [in_run, *(row["sets"] for row in two_facts.rows(relations.FACTS, bound))]
    assert set(counted.pop(HOSTILE)) == {None}
    assert None not in counted["demo-mbert"]


def test_tables_of_degenerate_sets_stand_where_knock_outs_were_measured(pages, two_facts):
    runs_of = {run.name: str(run.run) for run in two_facts.runs}
    for table, address in (
        ("dkn", addresses.fact(facts().facts[0].id)),
        ("relation-dkn", "relations/P36.html"),
        (
            "partners",
            next(name for name in pages if name.startswith("neurons/") and "partners" in str(pages[name].ids)),
        ),
    ):
        assert f"{table}-{runs_of[HOSTILE]}" not in pages[address].ids
        assert f"{table}-{runs_of['demo-mbert']}" in pages[address].ids


def test_an_evaluation_counts_its_facts_in_all_languages():
    with duckdb.connect() as held:
        held.sql("""
            CREATE TABLE intervention_effect AS SELECT 1 AS evaluation, 'localisation' AS purpose, 2 AS run, fact,
            CASE fact WHEN 5 THEN 'en' ELSE 'fr' END AS measured FROM (VALUES (5), (6), (7)) AS f(fact);
            CREATE TABLE run AS SELECT 2 AS run, 3 AS model;
            CREATE TABLE model AS SELECT 3 AS model, 'm' AS name;
            CREATE TABLE verdict (evaluation BIGINT, claim BIGINT, run BIGINT);
            CREATE TABLE claim (claim BIGINT, split VARCHAR)
        """)
        ((*_, model, counted),) = held.sql(evaluations._LIST.text).fetchall()
    kind = evaluations.KINDS["localisation"]
    found = evaluations.Evaluation(1, model, kind, "localisation", [{"facts": 1}, {"facts": 2}], counted)
    assert [figure.value for figure in evaluations._figures(found)] == ["3"]


def test_a_relation_goes_by_its_name_in_tables_and_charts(two_facts):
    name = two_facts.relations["P36"]
    tables = Tables(two_facts, addresses.OVERVIEW)
    cell = tables.cell("relation", "P36", {})
    assert (cell.text, cell.value, cell.href) == (name, "P36", "relations/P36.html")
    assert (tables.labelled("P36"), tables.labelled("P0")) == (f"{name} (P36)", "P0")


def test_a_relation_without_facts_is_listed():
    with duckdb.connect() as held:
        held.sql("CREATE TABLE relation AS SELECT 'r' AS relation, 'x' AS name")
        held.sql("CREATE TABLE fact (fact BIGINT, relation VARCHAR)")
        assert held.sql(overview.RELATIONS.text).fetchall() == [("r", "x", 0)]


def test_what_was_skipped_is_explained():
    assert all(
        f"{status}: " in overview.SKIPPED.note
        for status in schema.PROBE_STATUSES
        if status not in schema.USABLE_STATUSES
    )


@pytest.mark.parametrize(("count", "said"), [(1, "1 fact"), (0, "0 facts"), (1234, "1,234 facts")])
def test_one_fact_is_no_facts(count, said):
    assert of_facts(count) == said


@pytest.mark.parametrize(("models", "pairs"), [(3, 3), (8, 28), (9, 8)])
def test_of_many_models_the_one_in_use_is_compared_with_each(two_facts, models, pairs):
    (number,) = two_facts.source.sql("SELECT run FROM run_in_use")["run"].to_pylist()
    (in_use,) = (run for run in two_facts.runs if run.run == number)
    others = [dataclasses.replace(in_use, run=number) for number in range(models - 1)]
    found = list(comparisons._chosen([*others, in_use], two_facts))
    assert len(found) == pairs
    assert models <= 8 or all(in_use in pair for pair in found)


@pytest.mark.parametrize(("status", "file"), [("made", "7.safetensors"), ("not_converged", None)])
def test_an_edit_names_its_new_object_and_one_that_did_not_converge_no_file(status, file):
    with duckdb.connect() as held:
        held.sql("CREATE TABLE model AS SELECT 2 AS model, 'm' AS name")
        held.sql(f"""
            CREATE TABLE edit AS SELECT 7 AS edit, 1 AS fact, 2 AS model, 'o' AS object, ['en'] AS languages,
            'fit' AS method, 'likn' AS source, '{status}' AS status, 0 AS created, '7.safetensors' AS file,
            [3] AS layers, [4] AS neurons
        """)
        held.sql("CREATE TABLE fact AS SELECT unnest([1, 2]) AS fact, 'r' AS relation, unnest(['old', 'o']) AS object")
        held.sql("CREATE TABLE fact_name AS SELECT fact, relation, upper(object) AS object FROM fact")
        (row,) = held.sql(edits.EDITS.of({"fact": 1}) + " LIMIT 1").to_arrow_table().to_pylist()
    assert (row["file"], row["object"]) == (file, "O")


def test_effects_say_what_cut_neurons_became(pages):
    (table,) = [t for t in pages[addresses.fact(facts().facts[0].id)].tables if t.rows and t.name.startswith("effects")]
    assert {row[table.head.index("replace")] for row in table.rows} == {"zero"}


@pytest.mark.slow
def test_the_overview_leads_with_what_was_found_beside_what_is_found_anyway(pages, opened):
    query = """
        SELECT avg(observed) AS found, avg(in_exchanged_facts) AS exchanged, avg(twin_likn) AS twin
        FROM likn_control_all JOIN run USING (run) JOIN model USING (model)
        WHERE definition = 'default' AND model.name = 'demo-mbert' AND method = 'amig'
    """
    (row,) = opened.sql(query).to_pylist()
    text = [part.strip() for part in pages["index.html"].text if part.strip()]
    # The first run shown is the other model's, which has no twin.
    place, first = [number for number, part in enumerate(text) if part == "in exchanged facts"][:2]
    assert text[place + 3] == "–"
    assert text[first - 2 : first + 4 : 2] == ["found", "in exchanged facts", "in the untrained twin"]
    assert text[first - 1 : first + 5 : 2] == [shown(row[name]) for name in ("found", "exchanged", "twin")]
    assert first < text.index("relations")


@pytest.mark.parametrize(("exchanged", "last"), [("NULL", 2.0), ("0.5", None)])
def test_what_was_found_is_told_of_the_facts_that_can_be_exchanged(exchanged, last):
    with duckdb.connect() as held:
        held.sql(f"""
            CREATE TABLE likn_control_all AS SELECT 'own' AS definition, 1 AS run, * FROM
            (VALUES (2, 1.5, 0), (0, {exchanged}, 0)) AS found(observed, in_exchanged_facts, twin_likn)
        """)
        found = held.sql(overview.EVIDENCE.of({"definition": "own", "run": 1})).to_arrow_table().to_pylist()
    told = [figure.value for figure in overview._evidence(found[0])]
    assert told == [*map(shown, (1.0, 1.5 if last else 1.0, 0.0)), *([shown(last)] if last else [])]


def test_the_overview_says_how_many_facts_it_shows(pages):
    notes = [" ".join(pages[name].text) for name in pages if name == "index.html" or name.startswith("runs/")]
    assert [f"At most {runs.MOST_IN_SUMMARY};" in note for note in notes] == [True, *(False for _ in notes[1:])]
    assert "At most 50; relation pages list all facts." not in notes[0]
    assert len(notes) > 1
    assert all("At most 50; relation pages list all facts." in note for note in notes[1:])


def test_a_fact_that_no_run_asks_for_says_so_and_not_that_there_is_no_run(two_facts):
    name = {query.name: [] for query in fact_pages.QUERIES}
    text = render(fact_pages._page(two_facts, (min(two_facts.facts),), name))
    assert "No run shown has prompts of it." in text
    assert "No model has been run" not in text


def test_facts_that_no_run_shown_asks_for_are_chosen_last():
    with duckdb.connect() as held:
        held.sql("CREATE TABLE fact AS SELECT fact, 'a' AS relation FROM range(1, 5) AS f(fact)")
        held.sql(
            "CREATE TABLE likn_all AS SELECT 4 AS fact; CREATE TABLE fact_language AS SELECT unnest([3, 4]) AS fact"
        )
        held.execute(snapshot._FACTS, {"relations": ["a"], "facts": 3})
        assert held.sql("FROM shown_fact").fetchall() == [(4,), (3,), (1,)]


def test_a_relation_leads_to_facts_that_no_run_shown_asks_for(two_facts, opened):
    (few,) = opened.sql("SELECT run FROM run WHERE method = 'kn'")["run"].to_pylist()
    unasked = opened.sql(relations.UNASKED.of({"relation": "P36", "runs": [few]})).to_pylist()
    assert [row["fact"] for row in unasked] == [facts().facts[2].id]
    text = render(relations._page(two_facts, "P36", {}, 1, (), unasked))
    assert two_facts.facts[unasked[0]["fact"]].title in text
    assert len(two_facts.rows(relations.UNASKED, {"relation": "P36", "runs": []})) == 3
    assert "no run shown asks for" not in render(relations._page(two_facts, "P36", {}, 1, (), []))


def test_the_overview_names_the_definition_whose_thresholds_it_shows(two_facts):
    page = render(overview.draft(dataclasses.replace(two_facts, definition="paper"), tuple).make())
    assert "the definition <code>paper</code>" in page
    assert "{en=0.3, zh=0.2, zh-hans=0.2}" in page


def test_a_further_part_of_a_relation_holds_no_run_whose_facts_ended_before(two_facts, monkeypatch):
    monkeypatch.setattr(relations, "FACTS_A_PAGE", 2)
    one, other = two_facts.runs
    rows = two_facts.rows(relations.FACTS, {"run": one.run, "model": one.model, "relation": "P36"})
    facts = {one: rows, other: rows[:2]}
    first, second = (relations._page(two_facts, "P36", facts, part, (), []) for part in (1, 2))
    assert [section.run for section in first.runs] == [str(one.run), str(other.run)]
    assert [section.run for section in second.runs] == [str(one.run)]
    assert [len(section.tables[0].rows) for section in second.runs] == [len(rows) - 2]

"""`--known`: facts whose answer is the model's own choice, in the languages where it is; and which a limit takes."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import atlas
from atlas.building.computing import Worker
from atlas.building.job import BuildOptions, _known_alone, build, read_plan
from atlas.building.known import known_facts
from atlas.building.plan import make_plan
from atlas.errors import UsageError
from atlas.facts import read
from atlas.facts.selection import in_turn, limited
from atlas.models import load_model
from atlas.running.progress import Progress


@pytest.fixture(scope="module")
def model():
    return load_model("demo-mgpt", device="cpu")


@pytest.fixture(scope="module")
def some():
    return read("bundled", languages=["en", "fr", "zh"], limit=12)


def knows(model, facts, fact, language):
    """Return whether plain runs choose every token of the answer in more than half of the usable prompts."""
    found = []
    for prompt in facts.prompts():
        if prompt.fact.id == fact.id and prompt.language == language and prompt.template.ends_in_object:
            steps = model.steps(prompt)
            logits = [model.model(torch.tensor([step.ids])).logits[0, step.query] for step in steps]
            found.append(all(int(own.argmax()) == step.target for own, step in zip(logits, steps, strict=True)))
    return 2 * sum(found) > len(found)


@pytest.mark.slow
def test_what_is_known_is_what_plain_runs_choose(model, some):
    found = {fact.id: set(fact.labels) for fact in known_facts(model, some, None).facts}
    wanted = {
        fact.id: {language for language in fact.labels if knows(model, some, fact, language)} for fact in some.facts
    }
    assert found == {fact: languages for fact, languages in wanted.items() if languages}
    assert len(found) > 0


def test_an_answer_whose_first_token_alone_is_chosen_is_not_known(tmp_path, model):
    facts = tmp_path / "facts.csv"
    facts.write_text(
        "relation,language,subject,object,template\n"
        "capital,en,France,Paris,The capital of [X] is [Y].\n"
        "capital,en,Italy,Rome Berlin,The capital of [X] is [Y].\n",
        "utf-8",
    )
    read_facts = read(str(facts))
    assert [fact.subject for fact in known_facts(model, read_facts, None).facts] == ["France"]
    path = tmp_path / "every.duckdb"
    build(BuildOptions("demo-mgpt", dataset=str(facts), db=path, settings={"method": "gradient"}))
    with atlas.open(path) as opened:
        rows = opened.sql("SELECT subject, rank, argmax FROM probe JOIN prompt USING (prompt) JOIN fact USING (fact)")
        counted = opened.sql("SELECT count(*) AS n FROM counted_language_of(thresholds(known := true))")
        shares = opened.sql("SELECT sum(argmax) / sum(usable) AS share FROM fact_language")
    assert {row["subject"]: (row["rank"], row["argmax"]) for row in rows.to_pylist()} == {
        "France": (1, True),
        "Italy": (1, False),
    }
    assert (counted["n"].to_pylist(), shares["share"].to_pylist()) == ([1], [0.5])


def test_what_is_left_out_is_counted(model, some):
    found = known_facts(model, some, None)
    counts = {skip.reason: skip.count for skip in found.skips}
    assert counts.get("the model knows the fact in no language", 0) == len(some.facts) - len(found.facts)
    labels = {fact.id: len(fact.labels) for fact in some.facts}
    left = sum(labels[fact.id] - len(fact.labels) for fact in found.facts)
    assert counts.get("the model does not know the fact in that language", 0) == left


@pytest.fixture
def english(monkeypatch):
    """A model that knows whatever it is asked in English, and nothing else."""

    def knows(_model, prompts, _budget):
        return {(prompt.fact.id, "en") for prompt in prompts if prompt.language == "en"}

    monkeypatch.setattr("atlas.building.known._languages", knows)


@pytest.mark.usefixtures("english")
def test_languages_are_counted_of_the_facts_that_are_taken(some):
    counts = {skip.reason: skip.count for skip in known_facts(None, some, 2).skips}
    assert counts == {"the model does not know the fact in that language": 4, "the limit was reached": 10}
    counts = {skip.reason: skip.count for skip in known_facts(None, some, None, least=2).skips}
    assert counts == {"the model knows the fact in fewer than 2 languages": len(some.facts)}


@pytest.mark.usefixtures("english")
def test_known_facts_too_begin_with_that_of_the_readme():
    worker = Worker(None)
    worker.model = None
    options = (BuildOptions(known=True, limit=limit) for limit in (None, 60))
    plans = [_known_alone(own, make_plan(BUNDLED), worker, Progress()) for own in options]
    chosen, plain = ({(fact.relation, fact.subject) for fact in plan.facts.facts} for plan in plans)
    assert chosen - plain == {("P36", "france")}


@pytest.mark.slow
def test_facts_known_in_as_many_languages_as_asked_for_keep_them_all(model, some):
    every = {fact.id: fact.labels for fact in known_facts(model, some, None).facts}
    found = known_facts(model, some, None, least=3)
    assert {fact.id: fact.labels for fact in found.facts} == {f: own for f, own in every.items() if len(own) == 3}
    counts = {skip.reason: skip.count for skip in found.skips}
    assert counts.get("the model knows the fact in fewer than 3 languages", 0) == len(some.facts) - len(found.facts)


@pytest.mark.slow
def test_a_limit_counts_known_facts_in_turn_from_every_relation(model, some):
    everything = {fact.id for fact in known_facts(model, some, None).facts}
    wanted = [fact.id for fact in in_turn(some) if fact.id in everything][:3]
    assert {fact.id for fact in known_facts(model, some, 3).facts} == set(wanted)


@pytest.mark.slow
def test_a_build_of_known_facts_stores_what_its_model_answers(tmp_path, model):
    path = tmp_path / "known.duckdb"
    options = BuildOptions("demo-mgpt", languages=["en"], limit=3, known=True, db=path, settings={"method": "gradient"})
    summary = build(options)
    with atlas.open(path) as opened:
        rows = opened.sql("SELECT fact, sum((rank = 1)::INT) AS first, count(rank) AS usable FROM probe "
                          "JOIN prompt USING (prompt) GROUP BY fact").to_pylist()  # fmt: skip
    assert len(rows) == 3
    assert all(2 * row["first"] > row["usable"] for row in rows)
    again = build(options)
    assert (again.run, again.before, again.attributed) == (summary.run, summary.total, 0)


def test_a_model_that_knows_nothing_is_told_of(tmp_path):
    """demo-mgpt knows no Chinese word in a set of other objects."""
    path = tmp_path / "facts.csv"
    path.write_text("relation,subject,object,language,template\nR,Oslo,Zzyzx,en,[X] is in [Y]\n")
    options = BuildOptions("demo-mgpt", dataset=str(path), known=True, db=tmp_path / "a.duckdb")
    with pytest.raises(UsageError, match="knows none of the 1 facts"):
        build(options)


@pytest.mark.slow
@given(limit=st.integers(1, 40), seed=st.integers(0, 5))
def test_a_sample_is_spread_over_relations_and_grows_with_its_limit(limit, seed):
    facts = BUNDLED
    chosen = limited(facts, limit, seed).facts
    counts = [sum(fact.relation == relation for fact in chosen) for relation in {f.relation for f in facts.facts}]
    assert max(counts) - min(counts) <= 1
    assert {fact.id for fact in chosen} <= {fact.id for fact in limited(facts, limit + 5, seed).facts}


def test_a_bare_build_takes_the_fact_that_the_readme_asks_for():
    def chosen(**options):
        return {(fact.relation, fact.subject) for fact in read_plan(BuildOptions(**options), Progress()).facts.facts}

    bare, plain = chosen(), chosen(limit=60)
    assert Counter(relation for relation, _ in bare) == dict.fromkeys(("P17", "P30", "P36", "P37", "P38"), 12)
    assert bare - plain == {("P36", "france")}


def test_another_seed_is_another_sample():
    samples = {tuple(sorted(fact.id for fact in limited(BUNDLED, 20, seed).facts)) for seed in range(4)}
    assert len(samples) == 4


BUNDLED = read("bundled")

"""Which tokens two languages share of a fact's names, against the tokenizer asked by hand."""

from itertools import combinations

import pytest
from tiny import make_bert_tokenizer, make_gpt2_tokenizer

import atlas
from atlas.store import Writer


def _tokens(tokenizer, name):
    """The ids of a name in the middle of a text, without marks; after a space and without one."""
    return {token for text in (name, " " + name) for token in tokenizer(text, add_special_tokens=False)["input_ids"]}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_build_stores_what_two_languages_share_of_a_name(build, masked, causal, data, db, family):
    model, tokenizer = (masked, make_bert_tokenizer()) if family == "bert" else (causal, make_gpt2_tokenizer())
    assert build(model=model).code == 0
    rows = [line.split(",") for line in (data / "facts.csv").read_text("utf-8").splitlines()[1:]]
    with atlas.open(db) as opened:
        found = opened.sql("FROM label_overlap JOIN fact USING (fact)").to_pylist()
        stored = opened.sql("FROM label_token JOIN fact USING (fact)").to_pylist()
    of = {(row["relation"], row["subject_1"], row["language"]): row for row in stored}
    assert len(stored) == len(of) == len(rows)
    for relation, language, subject, answer, key, _ in rows:
        for name, ids in (
            (subject, of[relation, key, language]["subject"]),
            (answer, of[relation, key, language]["object"]),
        ):
            # A byte pair may reach over a name's edge; a word piece never does.
            assert set(ids) & _tokens(tokenizer, name)
            assert family == "gpt2" or set(ids) <= _tokens(tokenizer, name)
    pairs = {(row["relation"], row["subject"], row["language_a"], row["language_b"]): row for row in found}
    codes = {(r[0], r[4]): sorted(x[1] for x in rows if (x[0], x[4]) == (r[0], r[4])) for r in rows}
    assert set(pairs) == {(*key, a, b) for key, each in codes.items() for a, b in combinations(each, 2)}
    france = pairs["P36", "france", "en", "fr"]
    assert (france["subject_tokens"] > 0, france["object_tokens"] > 0, france["scripts_differ"]) == (True, True, False)
    for language in ("en", "fr"):
        row = pairs["P36", "france", language, "zh"]
        assert (row["subject_tokens"], row["object_tokens"], row["scripts_differ"]) == (0, 0, True)


@pytest.mark.slow
def test_names_are_spelled_once_and_for_the_twin_too(build, db):
    build("--languages", "en")
    build("--twin", "--seed", "3")
    build("--seed", "3")
    with atlas.open(db) as opened:
        counts = opened.sql("SELECT model.name, count(*) AS n FROM label_token JOIN model USING (model) GROUP BY ALL")
        assert sorted(row["n"] for row in counts.to_pylist()) == [7, 7]


@pytest.mark.slow
def test_an_atlas_of_before_is_spelled_by_the_next_build(build, db):
    build()
    with atlas.open(db, "a") as writer:
        before = writer.sql("FROM label_token ORDER BY ALL")
        writer.sql("DELETE FROM label_token")
    build()
    with atlas.open(db) as opened:
        assert opened.sql("FROM label_token ORDER BY ALL").equals(before)


@pytest.mark.slow
def test_templates_of_a_later_build_that_was_killed_add_the_tokens_that_names_take_in_them(
    build, data, causal, db, tmp_path, monkeypatch
):
    query = "FROM label_token ORDER BY ALL"
    templates = (data / "templates.csv").read_text("utf-8")
    build("--languages", "en", model=causal)
    (data / "templates.csv").write_text(f"{templates}P36,en,[X] has [Y],0\n", "utf-8")
    with monkeypatch.context() as patch:
        patch.delattr(Writer, "finish_run")  # all scores are there, and nothing comes behind them
        assert build("--languages", "en", model=causal).code == 1
    build("--languages", "en", model=causal)
    whole = tmp_path / "whole.duckdb"
    build("--languages", "en", model=causal, db=whole)
    with atlas.open(db) as opened, atlas.open(whole) as at_once:
        assert opened.sql(query).to_pylist() == at_once.sql(query).to_pylist()

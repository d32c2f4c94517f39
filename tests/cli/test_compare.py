"""`compare`: two models of one atlas."""

import json

import pytest


@pytest.fixture
def two(built, build, causal, masked):
    """The names of two models that the atlas holds runs of."""
    assert build(model=causal).code == 0
    return masked, causal


@pytest.mark.slow
def test_all_three_tables_are_printed_and_the_models_named(two, shell, db):
    ended = shell("compare", *two, "--db", db)
    assert ended.code == 0, ended.err
    heads = [line.split()[:2] for line in ended.out.splitlines() if line.startswith("kind")]
    assert heads == [["kind", "language"], ["kind", "facts"], ["kind", "depth_from"]]
    assert "note: a is " in ended.err
    assert "tiny-gpt2" in ended.err
    assert all(len(cell) < 12 for line in ended.out.splitlines() for cell in line.split() if "." in cell)


@pytest.mark.slow
def test_one_table_for_scripts(two, shell, db):
    facts = json.loads(shell("compare", *two, "--db", db, "--json").out)
    likn = {"likn", "likn of different facts", "likn of equal size"}
    assert {row["kind"] for row in facts} == {"known", "knowledge neuron"} | likn
    assert {row["language"] for row in facts} == {None, "en", "fr", "zh"}
    neurons = shell("compare", *two, "--db", db, "--table", "neurons", "--format", "csv")
    assert neurons.out.startswith("kind,facts,neurons_a,neurons_b")
    assert shell("compare", *two, "--db", db, "--columns", "kind,in_b").out.split()[:3] == ["kind", "in_b", "known"]
    layers = json.loads(shell("compare", *two, "--db", db, "--table", "layers", "--json").out)
    for side in ("share_a", "share_b"):
        assert sum(row[side] for row in layers if row["kind"] == "knowledge neuron") == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{}", "{}"), "same model"),
        (("{}", "gpt5"), "no model 'gpt5'"),
        (("{}", "gpt5", "--table", "all"), "'all' is not one of"),
        (("{}",), "Missing argument 'B'"),
    ],
)
def test_wrong_usage(built, shell, db, masked, words, message):
    ended = shell("compare", *(word.format(masked) for word in words), "--db", db)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err

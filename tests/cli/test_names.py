"""Names in options: in any language and case, with the nearest where there is none; wrong values before any work."""

import json

import pytest

import atlas
from atlas.errors import UsageError
from atlas.matching import language, language_tag, nearest, one_of, parse_neuron


@pytest.fixture
def no_model(monkeypatch):
    """Any attempt to load a model fails the test."""

    def load(*_, **__):
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("atlas.models.load_model", load)


ANYWHERE = ("evaluate", "knockout", "check --evaluate")


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate --scope qurey", "--scope cannot be 'qurey': did you mean query?"),
        ("evaluate --method amgi", "--method cannot be 'amgi': did you mean amig?"),
        ("evaluate --likn-method amgi", "--likn-method cannot be 'amgi': did you mean amig?"),
        ("build --method amgi", "--method cannot be 'amgi': did you mean amig?"),
        ("build --rule gauss", "did you mean gauss-radau?"),
        ("build --tolerance 3", "--tolerance cannot be 3.0: choose a number below 1.0"),
        ("build --model=", "--model is empty; name one, or leave the option out."),
        ("knockout --model=", "--model is empty"),
        ("twin --dtype=", "--dtype is empty"),
        ("build --revision=", "--revision is empty"),
        ("build --nodes 0", "--nodes cannot be 0: choose a number of at least 1"),
        ("build --cuts 5", "--cuts is nothing that method amig reads; leave it out."),
        ("build --max-nodes 64 --method gradient", "--max-nodes is nothing that method gradient reads"),
        ("build --memory 4", "'4' has no unit: write 4GB"),
        ("exam --method amgi", "did you mean amig?"),
        ("exam --family bret", "did you mean bert?"),
        ("knockout --from amgi", "There is no scorer 'amgi'; did you mean amig"),
        ("check --evaluate --conditions plane", "did you mean plain?"),
        ("check --subject France --relation captial --object Paris", "did you mean capital?"),
        ("check --subject France --relation capital --object Paris --evidence dnk", "did you mean dkn?"),
        ("edit --fact Frnace --object Rome", "did you mean France?"),
        ("edit --fact France --object Rome --method fitt", "--method cannot be 'fitt': did you mean fit?"),
        ("edit --fact France --object Rome --method kn --steps 9", "--steps is for --method fit alone, not for kn"),
        ("edit --fact France --object Rome --neurons lkn", "--neurons cannot be 'lkn': did you mean likn?"),
        ("edit --fact France --object Rome --definition foo", "There is no definition 'foo'"),
        ("neurons --definition strcit", "did you mean strict?"),
        ("neurons Frnace", "did you mean France?"),
        ("neurons --neuron L3", "'L3' is no neuron: write L3.486"),
        ("neurons L99.1", "has layer 99: they go from 0 to"),
        ("neurons --neuron 9999", "has neuron 9999: they go from 0 to"),
        ("facts --relations captial", "did you mean capital?"),
        ("compare tiny-brt other", "did you mean"),
        *((f"{command} --relations P99", "There is no relation 'P99'") for command in ANYWHERE),
        *((f"{command} --languages xx", "There is no language 'xx'") for command in ANYWHERE),
        *((f"{command} --definition foo", "There is no definition 'foo'") for command in ANYWHERE),
    ],
)
def test_wrong_values_are_refused_before_any_work(shell, one_built, no_model, words, message):
    command, *rest = words.split()
    ended = shell(command, *rest, *(() if command == "exam" else ("--db", one_built)))
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err
    with atlas.open(one_built) as opened:
        assert opened.sql("SELECT count(*) AS n FROM run")["n"][0].as_py() == 1


@pytest.mark.quick(2)
@pytest.mark.parametrize("word", ["P36", "p36", "capital", "Capital"])
def test_a_relation_goes_by_its_code_or_name(shell, one_built, word):
    rows = json.loads(shell("facts", "--relations", word, "--db", one_built, "--json").out)
    assert {row["relation"] for row in rows} == {"P36"}


@pytest.mark.quick(2)
@pytest.mark.parametrize("word", ["zh", "ZH", "Chinese", "chinese", "zh-hans", "zho_Hans", "zh_cn"])
def test_a_language_goes_by_any_spelling_of_its_code_or_its_name(shell, one_built, word):
    rows = json.loads(shell("facts", "--languages", word, "--db", one_built, "--json").out)
    assert {row["language"] for row in rows} == {"zh"}


@pytest.mark.quick(2)
@pytest.mark.parametrize("word", ["Paris", "PARIS", "paris", "巴黎", "法国", "france", "FRANCE"])
def test_a_fact_goes_by_its_subject_or_object_in_any_language(one_built, word):
    with atlas.open(one_built) as opened:
        assert opened.fact_ids(word) == opened.fact_ids("France")


def test_the_old_names_of_options_stay(shell, one_built):
    new = shell("facts", "--languages", "en,fr", "--relations", "capital", "--db", one_built, "--json").out
    assert {row["language"] for row in json.loads(new)} == {"en", "fr"}
    old = shell("facts", "--language", "en", "--relation", "P36", "--db", one_built, "--json")
    assert {row["language"] for row in json.loads(old.out)} == {"en"}
    assert "--relation " not in shell("facts", "--help").out.replace("--relations ", "")


def test_names_are_compared_without_case_and_composition():
    assert one_of("thing", "CAFÉ", ["café", "tea"]) == "café"
    assert one_of("thing", "cafe\u0301", ["café", "tea"]) == "café"
    with pytest.raises(UsageError, match="several things: A, a"):
        one_of("thing", "ａ", ["A", "a"])
    assert one_of("thing", "a", ["A", "a"]) == "a"
    assert nearest("captial", ["capital", "currency"]) == ["capital"]


def test_spellings_of_a_language_are_one_and_scripts_are_two():
    assert len({language_tag(code) for code in ("zh", "zh-hans", "zho_Hans", "zh_cn", "ZH-CN")}) == 1
    assert language_tag("zh-hant") != language_tag("zh")
    assert language("eng", ["en", "fr"]) == "en"
    with pytest.raises(UsageError, match="several languages: a, b"):
        one_of("language", "x", {"a": ["x"], "b": ["x"]})


def test_a_neuron_is_written_one_way():
    assert parse_neuron("L3.486") == parse_neuron(" l3.486 ") == (3, 486)
    for wrong in ("3.486", "L3", "L3.", "L-1.2", "L3.4.5", "L٣.1"):
        with pytest.raises(UsageError, match=r"write L3\.486"):
            parse_neuron(wrong)

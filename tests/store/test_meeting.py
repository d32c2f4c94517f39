"""Facts of a second source meet those of the first in one atlas."""

import pytest

import atlas
from atlas.facts import Fact, FactSet, Label, Template, read
from atlas.store.meeting import met

CAPITALS = {
    "Q142": ("Q90", {"en": ("France", "Paris"), "es": ("Francia", "París"), "de": ("Frankreich", "Paris")}),
    "Q183": ("Q64", {"en": ("Germany", "Berlin"), "es": ("Alemania", "Berlín")}),
    "Q230": ("Q994", {"en": ("Georgia", "Tbilisi"), "es": ("Georgia", "Tiflis")}),
    "Q1428": ("Q23556", {"en": ("Georgia", "Atlanta"), "es": ("Georgia", "Atlanta")}),
}


def facts(rows, relation="P36"):
    return [
        Fact(relation, subject, object_, {code: Label(*names) for code, names in labels.items()})
        for subject, object_, labels in rows
    ]


@pytest.fixture
def filled(tmp_path):
    path = tmp_path / "a.duckdb"
    with atlas.open(path, "a") as writer:
        writer.add_facts(FactSet("mlama", facts((s, o, names) for s, (o, names) in CAPITALS.items()), []))
    return path


def keys(path, found, relation="P36"):
    with atlas.open(path, "a") as writer:
        result = met(writer, FactSet("bmlama", facts(found, relation), []))
    return [(fact.subject, fact.object) for fact in result.facts], result.united


def test_facts_called_the_same_in_several_languages_take_the_keys_that_are_there(filled):
    new = [
        ("France", "Paris", {"en": ("france", "Paris"), "es": ("Francia", "Pari\u0301s"), "fr": ("France", "Paris")}),
        ("Italy", "Rome", {"en": ("Italy", "Rome"), "es": ("Italia", "Roma")}),
    ]
    assert keys(filled, new) == ([("Q142", "Q90"), ("Italy", "Rome")], 1)


def test_what_has_two_ids_of_wikidata_is_two_things(filled):
    """As Niger and the Niger River, which many languages call the same, on one continent."""
    georgia = {"en": ("Georgia", "Tbilisi"), "es": ("Georgia", "Tiflis")}
    assert keys(filled, [("Q130229", "Q994", georgia)]) == ([("Q130229", "Q994")], 0)
    assert keys(filled, [("Georgia", "Q994", georgia)]) == ([("Q230", "Q994")], 1)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "labels",
    [
        {"en": ("France", "Paris")},
        {"en": ("France", "Paris"), "es": ("Francia", "Lyon")},
        {"en": ("France", "Paris"), "es": ("Francia", "París"), "de": ("F.", "P.")},
        {"en": ("Germany", "Berlin"), "es": ("Alemania", "Berlín")},
    ],
    ids=["one language", "another object", "two of three", "another fact"],
)
def test_what_unites_is_agreement_in_two_languages_and_most(filled, labels):
    united = {"two of three": 1, "another fact": 1}
    case = "two of three" if "de" in labels else "another fact" if "Germany" in str(labels) else "no"
    assert keys(filled, [("s", "o", labels)])[1] == united.get(case, 0)


def test_labels_that_are_there_stay_and_others_are_counted(filled):
    new = facts([
        ("Q142", "Q90", {"en": ("The French Republic", "Paris"), "fr": ("France", "Paris")}),
        ("a", "b", {"en": ("germany", "Berlin"), "es": ("Alemania", "Berlín")}),
        ("Q38", "Q220", {"en": ("Italy", "Rome")}),
    ])  # fmt: skip
    with atlas.open(filled, "a") as writer:
        found = met(writer, FactSet("table", new, []))
    assert [fact.labels["en"].subject for fact in found.facts] == ["France", "Germany", "Italy"]
    assert found.facts[0].labels["fr"] == Label("France", "Paris")
    assert (found.united, found.renamed) == (1, 2)


@pytest.mark.slow
def test_another_relation_and_doubtful_facts_stay_apart(filled):
    paris = {"en": ("France", "Paris"), "es": ("Francia", "París")}
    assert keys(filled, [("France", "Paris", paris)], "P190")[1] == 0
    assert keys(filled, [("a", "b", paris), ("c", "d", paris)]) == ([("a", "b"), ("c", "d")], 0)
    assert keys(filled, [("x", "y", CAPITALS["Q1428"][1])]) == ([("Q1428", "Q23556")], 1)


def test_an_older_atlas_keeps_its_code_of_a_language(tmp_path):
    path = tmp_path / "old.duckdb"
    chinese = Fact("P36", "Q142", "Q90", {"zh-hans": Label("法国", "巴黎")})
    with atlas.open(path, "a") as writer:
        writer.add_facts(FactSet("mpararel", [chinese], [Template("P36", "zh-hans", "[X]的首都是[Y]")]))
        new = FactSet(
            "mpararel",
            [Fact("P36", "Q142", "Q90", {"zh": Label("法国", "巴黎"), "en": Label("France", "Paris")})],
            [Template("P36", "zh", "[X]的首都是[Y]"), Template("P36", "en", "The capital of [X] is [Y]")],
        )
        found = met(writer, new)
        assert writer.add_facts(found)["template"] == 1
        assert writer.sql("SELECT language FROM language ORDER BY ALL")["language"].to_pylist() == ["en", "zh-hans"]
    assert set(found.facts[0].labels) == {"en", "zh-hans"}


def test_where_facts_come_from_and_how_it_spells_languages_is_kept(tmp_path):
    file = tmp_path / "facts.csv"
    file.write_text("relation,language,subject,object,template\nP36,zh_cn,法国,巴黎,[X]的首都是[Y]\n", "utf-8")
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        for _ in range(2):
            writer.add_facts(read(file))
        assert writer.sql("FROM language_spelling").to_pylist() == [{"language": "zh", "spelling": "zh_cn"}]
        (row,) = writer.sql("FROM dataset").to_pylist()
        assert {name: row[name] for name in ("name", "source", "revision")} == {
            "name": str(file), "source": "table", "revision": None,
        }  # fmt: skip
        assert writer.sql("SELECT kind FROM template")["kind"].to_pylist() == ["stated"]


@pytest.mark.data
@pytest.mark.slow
def test_bmlama_meets_mpararel(real_data, tmp_path):
    """Facts of the one are found in the other by plain comparison of names in two languages."""
    languages = ["en", "fr", "es"]
    first, second = (read(real_data / name, languages, ["P36"]) for name in ("mpararel", "bmlama17"))
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        writer.add_facts(first)
        found = met(writer, second)
    by_key = {(fact.subject, fact.object): fact.labels for fact in first.facts}
    pairs = [
        (old, new.labels)
        for new, before in zip(found.facts, second.facts, strict=True)
        if new.subject != before.subject and (old := by_key[new.subject, new.object])
    ]
    assert len(pairs) == found.united > 0.5 * len(second.facts)
    assert all(
        sum(str(old[code]).lower() == str(new[code]).lower() for code in old.keys() & new.keys()) >= 2
        for old, new in pairs
    )

import csv
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import DataError, UsageError
from atlas.facts import read
from atlas.facts.reading.collect import NO_LABEL, REPEATED_FACT

FACTS = """\
relation,language,subject_key,object_key,subject,object,note
capital,en,Q142,Q90,France,Paris,mine
capital,fr,Q142,Q90,"France, la",Paris,
capital,en,Q183,Q64,Germany,Berlin,
"""
TEMPLATES = """\
relation,language,template,held_out
capital,en,The capital of [X] is [Y].,
capital,en,[Y] is where the government of [X] sits.,yes
capital,fr,"La capitale de [X], c'est [Y].",0
"""
TOLD = (
    {
        ("capital", "Q142", "Q90"): {"en": ("France", "Paris"), "fr": ("France, la", "Paris")},
        ("capital", "Q183", "Q64"): {"en": ("Germany", "Berlin")},
    },
    {
        ("capital", "en", "The capital of [X] is [Y]."),
        ("capital", "en", "[Y] is where the government of [X] sits."),
        ("capital", "fr", "La capitale de [X], c'est [Y]."),
    },
)


def test_facts_and_templates_in_two_files(plant, told, skipped):
    found = read(plant({"facts.csv": FACTS, "templates.csv": TEMPLATES}))
    assert told(found) == TOLD
    assert [t.text for t in found.templates if t.held_out] == ["[Y] is where the government of [X] sits."]
    assert skipped(found) == {}


@pytest.mark.parametrize("relation", ["राजधानी", "เมืองหลวง", "نام\u200cخانوادگی", "propri\u00e9t\u00e9"])
def test_a_relation_is_named_in_any_script(plant, relation):
    rows = (f"{own},en,Norway,Oslo,[X] has [Y]" for own in (relation, unicodedata.normalize("NFD", relation)))
    found = read(plant({"facts.csv": "\n".join(["relation,language,subject,object,template", *rows])}))
    assert [fact.relation for fact in found.facts] == [relation]


def test_the_facts_file_itself_may_be_named(plant, told):
    folder = plant({"mine.csv": FACTS, "templates.csv": TEMPLATES})
    assert told(read(folder / "mine.csv")) == TOLD


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators_and_spelled_headers(plant, told, mark):
    rows = [["Subject Key", "object-key", "RELATION", "language", "subject", "object", "Template", "Held-out"]]
    rows += [["Q1", "Q2", "P36", "de", "Österreich, das", "Wien", "[X]: [Y] ist die Hauptstadt", "True"]]
    name = "mine.tsv" if mark == "\t" else "mine.csv"
    folder = plant({name: "\ufeff" + "\r\n".join(mark.join(row) for row in rows)})
    found = read(folder / name)
    assert told(found)[0] == {("P36", "Q1", "Q2"): {"de": ("Österreich, das", "Wien")}}
    assert [t.held_out for t in found.templates] == [True]


def test_one_file_with_a_line_for_every_template(plant, told, skipped):
    lines = [
        "relation,language,subject,object,template",
        "capital,en,France,Paris,The capital of [X] is [Y].",
        "capital,en,France,Paris,[Y] is the capital of [X].",
        "capital,en,Germany,Berlin,The capital of [X] is [Y].",
        "capital,en,Italy,Rome,",
        "capital,en,Spain,,The capital of [X] is [Y].",
        "capital,en,Spain,,[Y] is the capital of [X].",
    ]
    found = read(plant({"facts.csv": "\n".join(lines)}))
    assert set(told(found)[0]) == {
        ("capital", "France", "Paris"),
        ("capital", "Germany", "Berlin"),
        ("capital", "Italy", "Rome"),
    }
    assert len(found.templates) == 2
    assert skipped(found) == {"fact without a label for subject or object": 1}, "a fact, not its lines"


def test_nothing_of_a_bad_line_is_taken(plant, told, skipped):
    lines = ["relation,language,subject,object,template,held_out", "capital,en,France,Paris,[X] has [Y].,"]
    lines += ["capital,en,Spain,Madrid,[X]: [Y],perhaps", "capital,en,[Y],Rome,[Y] of [X],"]
    found = read(plant({"facts.csv": "\n".join(lines)}), skip_bad=True)
    assert told(found) == (
        {("capital", "France", "Paris"): {"en": ("France", "Paris")}},
        {("capital", "en", "[X] has [Y].")},
    )
    assert sum(skipped(found).values()) == 2


def test_facts_of_a_language_whose_templates_are_all_held_out_are_counted(plant, skipped):
    lines = [
        "relation,language,subject,object,subject_key,object_key,template,held_out",
        "capital,en,France,Paris,Q142,Q90,The capital of [X] is [Y].,",
        "capital,fr,France,Paris,Q142,Q90,La capitale de la [X] est [Y].,1",
    ]
    found = read(plant({"facts.csv": "\n".join(lines)}))
    assert skipped(found) == {"fact whose templates in its language are all held out": 1}


def test_other_names_for_a_fact_of_the_same_language_are_counted(plant, skipped):
    more = "capital,en,Q142,Q90,French Republic,Paris,\n"
    found = read(plant({"facts.csv": FACTS + more, "templates.csv": TEMPLATES}))
    assert skipped(found) == {"fact read before": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"facts.csv": FACTS}, "has no templates; add a column template, or a file templates.csv beside it"),
        ({"facts.csv": "relation,subject,object,template\n"}, "has no column language"),
        ({"facts.csv": FACTS, "templates.csv": "relation,template\n"}, r"templates\.csv has no column language"),
        ({"facts.csv": FACTS, "templates.csv": TEMPLATES.replace("held_out", "heldout")}, "looks like held_out"),
        ({"facts.csv": FACTS.replace("note", "subject"), "templates.csv": TEMPLATES}, "'subject' is there twice"),
        (
            {"facts.csv": "relation,language,subject,object\nP1,en,a,b\nP1,fr,c,d\n", "templates.csv": TEMPLATES},
            "has no column subject_key and no object_key",
        ),
        (
            {"facts.csv": "relation,language,subject,object,object_key\nP1,en,a,b,c\n", "templates.csv": TEMPLATES},
            "has no column subject_key",
        ),
    ],
)
def test_missing_columns_are_named(plant, files, message):
    with pytest.raises(DataError, match=message):
        read(plant(files))


@pytest.mark.parametrize(
    ("name", "line", "cause"),
    [
        ("facts.csv", "capital,en,Q1,Q2,Oz", r"facts\.csv:5: it has 5 columns where the header has 7"),
        ("facts.csv", "capital,../en,Q1,Q2,Oz,Emerald,", r"facts\.csv:5: '\.\./en' is no language code"),
        ("facts.csv", "../capital,en,Q1,Q2,Oz,Emerald,", r"facts\.csv:5: '\.\./capital' is no relation name"),
        ("facts.csv", "capital,en,,Q2,Oz,Emerald,", r"facts\.csv:5: a key is empty"),
        ("facts.csv", "capital,en,Q1,Q2,[Y] of Oz,Emerald,", r"facts\.csv:5: a label holds the mark \[Y\]"),
        ("facts.csv", f"capital,en,Q1,Q2,{'z' * 501},Emerald,", "a label of 501 characters is longer than 500"),
        ("templates.csv", "capital,en,[X] of [Y],perhaps", r"templates\.csv:5: held_out is 'perhaps'"),
    ],
)
def test_a_bad_line_is_named_and_left_out_on_request(plant, told, skipped, name, line, cause):
    files = {"facts.csv": FACTS, "templates.csv": TEMPLATES}
    folder = plant(files | {name: files[name] + line + "\n"})
    with pytest.raises(DataError, match=cause):
        read(folder)
    found = read(folder, skip_bad=True)
    assert told(found) == TOLD
    assert list(skipped(found).values()) == [1]


CELLS = ("", "\u200b", "Niger", "Nigeria", "Zu\u0308rich", "Zürich", " 東京 ", "قدس", "1,984", '"a"; b', "null", "🇫🇷")
ROWS = st.tuples(
    st.sampled_from(["P36", "राजधानी"]), st.sampled_from(["en", "zh-hans", "zh_cn", "arb_Arab"]),
    st.sampled_from(["Q1", "Q2"]), st.just("o"), st.sampled_from(CELLS), st.sampled_from(CELLS), st.just("mine"),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=12))
def test_every_line_is_a_name_that_was_read_or_is_counted(rows):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "templates.csv").write_text(TEMPLATES, "utf-8")
        with Path(folder, "facts.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([FACTS.splitlines()[0].split(","), *rows])
        try:
            found = read(folder)
        except UsageError:
            assert all({"", "\u200b"} & {*row} for row in rows), "no line has both names"
            return
    labels = sum(len(fact.labels) for fact in found.facts)
    assert labels + sum(skip.count for skip in found.skips if skip.reason in (NO_LABEL, REPEATED_FACT)) == len(rows)

"""The real files, against counts made here by a few lines of plain reading."""

import json
from collections import Counter

import pytest

from atlas.facts import read

pytestmark = [pytest.mark.data, pytest.mark.slow]

LANGUAGES = ["ar", "en", "es", "fr", "ja", "ru", "zh"]


@pytest.fixture(scope="module")
def mpararel_rows(real_data):
    """Every row of every file: `(part, language, relation, row)`."""
    return [
        (path.parts[-3], path.parts[-2], path.stem, json.loads(line))
        for path in (real_data / "mpararel").rglob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def bmlama_rows(real_data):
    """The cells of every row, by language."""
    return {
        language: [
            line.split("\t")
            for line in (real_data / "bmlama17" / f"{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        ]
        for language in LANGUAGES
    }


@pytest.fixture(scope="module")
def bmlama(real_data):
    return read(real_data / "bmlama17")


def test_all_of_mpararel_is_read(real_data, mpararel_rows, skipped):
    found = read(real_data / "mpararel")
    tuples = [(language, relation, row) for part, language, relation, row in mpararel_rows if part == "tuples"]
    patterns = [(language, relation, row) for part, language, relation, row in mpararel_rows if part == "patterns"]
    keys = {(relation, row["sub_uri"], row["obj_uri"]) for _, relation, row in tuples}
    assert {(fact.relation, fact.subject, fact.object) for fact in found.facts} == keys
    assert len(keys) == 19_926
    assert sum(len(fact.labels) for fact in found.facts) == len(tuples) == 116_970
    distinct = {(language, relation, "".join(row["pattern"].split())) for language, relation, row in patterns}
    assert len(found.templates) == len({template.id for template in found.templates}) == 1_982
    assert skipped(found) == {"template read before": len(patterns) - 1_982}
    assert len({(language, relation, text.replace("\u200b", "")) for language, relation, text in distinct}) == 1_982


def test_labels_of_mpararel_are_as_written(real_data, mpararel_rows):
    found = read(real_data / "mpararel", languages=["ru"], relations=["P36"])
    written = {
        (row["sub_uri"], row["obj_uri"]): (row["sub_label"], row["obj_label"])
        for part, language, relation, row in mpararel_rows
        if (part, language, relation) == ("tuples", "ru", "P36")
    }
    labels = {(f.subject, f.object): (f.labels["ru"].subject, f.labels["ru"].object) for f in found.facts}
    assert labels == written


def test_the_selection_of_the_first_issue(real_data):
    found = read(real_data / "mpararel", ["en", "fr", "zh-hans"], ["P36", "P30", "P37"], 50)
    assert sorted(Counter(fact.relation for fact in found.facts).values()) == [16, 17, 17]
    assert all(set(fact.labels) == {"en", "fr", "zh"} for fact in found.facts)
    assert {(t.relation, t.language) for t in found.templates if t.ends_in_object} == {
        (relation, language) for relation in ("P36", "P30", "P37") for language in ("en", "fr", "zh")
    }


def test_all_of_bmlama_is_read(bmlama, bmlama_rows, skipped):
    assert {language: len(rows) for language, rows in bmlama_rows.items()} == dict.fromkeys(LANGUAGES, 6_792)
    distinct = {(prompt.replace(subject, ""), subject, answer) for prompt, answer, _, subject in bmlama_rows["en"]}
    assert len(distinct) == len(bmlama.facts) == 6_790
    assert all(set(fact.labels) == set(LANGUAGES) for fact in bmlama.facts)
    assert skipped(bmlama) == {
        "fact read before": 2 * len(LANGUAGES),
        "prompt that does not follow its relation's template": 1,
    }
    assert len(bmlama.templates) == 41 * len(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_prompts_of_bmlama_come_back_as_they_were(bmlama, bmlama_rows, language):
    """But for the two rows whose English repeats an earlier row, and one slip of the Arabic file."""
    english = [(prompt.replace(subject, ""), subject, answer) for prompt, answer, _, subject in bmlama_rows["en"]]
    first = [row not in english[:index] for index, row in enumerate(english)]
    written = {row[0].replace("\u200b", "") for row, new in zip(bmlama_rows[language], first, strict=True) if new}
    made = {prompt.text.replace("[Y]", "<mask>") for prompt in bmlama.prompts() if prompt.language == language}
    assert first.count(False) == 2
    assert len({" ".join(text.split()) for text in written} - made) == (1 if language == "ar" else 0)


def test_the_relations_of_bmlama_are_those_of_mpararel(real_data, bmlama):
    """Facts of one relation in the one set are found under the same relation in the other, by their English names."""
    known = {}
    for fact in read(real_data / "mpararel", languages=["en"]).facts:
        known.setdefault(fact.relation, set()).add((fact.labels["en"].subject, fact.labels["en"].object))
    asked = {}
    for fact in bmlama.facts:
        asked.setdefault(fact.relation, set()).add((fact.subject, fact.object))
    assert len(asked) == 41
    assert set(known) <= set(asked)
    for relation, facts in known.items():
        shares = {other: len(asked[relation] & rows) / len(asked[relation]) for other, rows in known.items()}
        assert max(shares, key=shares.get) == relation, (relation, shares)
        assert len(asked[relation] & facts) > 0.5 * len(asked[relation])

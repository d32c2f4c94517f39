"""The promises of the bundled fact set: coverage, spelling, prompts for both kinds of models."""

import csv
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import atlas.facts.bundled
from atlas.facts import FactSet
from atlas.facts.bundled import LANGUAGES, load

FOLDER = Path(atlas.facts.bundled.__file__).parent
SCRIPTS = {"en": "LATIN", "fr": "LATIN", "de": "LATIN", "zh": "CJK", "ru": "CYRILLIC", "ar": "ARABIC"}


@pytest.fixture(scope="module")
def facts() -> FactSet:
    return load()


def label_rows() -> list[dict[str, str]]:
    with (FOLDER / "labels.tsv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_covers_sixty_places_five_relations_six_languages(facts: FactSet) -> None:
    kinds = Counter(row["kind"] for row in label_rows())
    assert kinds["country"] + kinds["city"] >= 60
    assert len({fact.relation for fact in facts.facts}) >= 5
    assert set(SCRIPTS) == set(LANGUAGES)
    assert len(set(SCRIPTS.values())) >= 4


def test_every_fact_has_labels_in_every_language(facts: FactSet) -> None:
    for fact in facts.facts:
        assert set(fact.labels) == set(LANGUAGES)
        for label in fact.labels.values():
            assert label.subject.strip() == label.subject != ""
            assert label.object.strip() == label.object != ""


def test_facts_are_unique_and_each_subject_has_one_object(facts: FactSet) -> None:
    assert len({fact.id for fact in facts.facts}) == len(facts.facts)
    assert max(Counter((fact.relation, fact.subject) for fact in facts.facts).values()) == 1


def test_no_label_is_unused_and_keys_are_unique(facts: FactSet) -> None:
    keys = [row["key"] for row in label_rows()]
    assert len(keys) == len(set(keys))
    assert set(keys) == {key for fact in facts.facts for key in (fact.subject, fact.object)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_are_written_in_the_script_of_their_language(language: str) -> None:
    for row in label_rows():
        text = row[language]
        assert unicodedata.normalize("NFC", text) == text
        letters = [character for character in text if character.isalpha()]
        assert all(unicodedata.name(letter).startswith(SCRIPTS[language]) for letter in letters), text


def test_labels_of_one_kind_differ_within_a_language() -> None:
    for language in LANGUAGES:
        names = Counter((row["kind"], row[language]) for row in label_rows())
        assert max(names.values()) == 1, names.most_common(1)


def test_templates_serve_both_kinds_of_models(facts: FactSet) -> None:
    groups = defaultdict(list)
    for template in facts.templates:
        groups[template.relation, template.language].append(template)
    assert set(groups) == {(relation, language) for relation in facts.relation_names for language in LANGUAGES}
    for group in groups.values():
        trained = [template for template in group if not template.held_out]
        held_out = [template for template in group if template.held_out]
        assert len(trained) >= 4
        assert sum(template.ends_in_object for template in trained) >= 2
        assert any(not template.ends_in_object for template in trained)
        assert any(template.ends_in_object for template in held_out)


def test_templates_are_unique_and_hold_one_subject_and_one_object(facts: FactSet) -> None:
    assert len({template.id for template in facts.templates}) == len(facts.templates)
    for template in facts.templates:
        assert template.text.count("[X]") == template.text.count("[Y]") == 1


def test_every_relation_is_named(facts: FactSet) -> None:
    assert {fact.relation for fact in facts.facts} == set(facts.relation_names)


def test_known_facts_read_as_sentences(facts: FactSet) -> None:
    sentences = {
        prompt.text.replace("[Y]", prompt.answer)
        for prompt in facts.prompts()
        if prompt.fact.subject == "japan" and prompt.fact.relation == "P36"
    }
    assert {"The capital of Japan is Tokyo.", "日本的首都是东京。", "عاصمة اليابان هي طوكيو."} <= sentences
    assert {"Столица страны Япония — Токио.", "Die Hauptstadt von Japan ist Tokio."} <= sentences


def test_any_beginning_of_the_set_mixes_relations(facts: FactSet) -> None:
    assert len({fact.relation for fact in facts.facts[:5]}) == 5

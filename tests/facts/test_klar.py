"""KLAR's layout, as its authors' code reads it."""

import json
from pathlib import Path

import pytest

from atlas.errors import DataError
from atlas.facts import read
from atlas.facts.klar import NO_NAME
from atlas.facts.reading.collect import NO_LABEL

EN = {
    "prompt_templates": ["The capital of <subject> is <mask>.", "<subject> has the capital <MASK>"],
    "samples": [
        {"index": 7, "subject": "France", "object": "Paris"},
        {"index": 9, "subject": "Germany", "object": "Berlin"},
    ],
}
JA = {
    "prompt_templates": ["<subject>の首都は<mask>です。"],
    "samples": [
        {"index": 9, "subject": "ドイツ", "object": "ベルリン", "subject_en": "Deutschland", "object_en": "Berlin"},
        {"index": 11, "subject": "日本", "object": "東京", "subject_en": "Japan", "object_en": "Tokyo"},
    ],
}


def written(folder, tree):
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")
    return folder


def test_samples_of_one_index_are_one_fact_by_its_english_names(tmp_path, told):
    facts, templates = told(read(written(tmp_path, {"en/capital.json": EN, "ja/capital.json": JA})))
    assert facts == {
        ("capital", "France", "Paris"): {"en": ("France", "Paris")},
        ("capital", "Germany", "Berlin"): {"en": ("Germany", "Berlin"), "ja": ("ドイツ", "ベルリン")},
        ("capital", "Japan", "Tokyo"): {"ja": ("日本", "東京")},
    }
    assert templates == {
        ("capital", "en", "The capital of [X] is [Y]."), ("capital", "en", "[X] has the capital [Y]"),
        ("capital", "ja", "[X]の首都は[Y]です。"),
    }  # fmt: skip


def test_an_index_of_two_english_samples_names_neither(tmp_path, told):
    english = EN | {"samples": [*EN["samples"], {"index": 9, "subject": "Italy", "object": "Rome"}]}
    facts, _ = told(read(written(tmp_path, {"en/capital.json": english, "ja/capital.json": JA})))
    assert facts["capital", "Germany", "Berlin"] == {"en": ("Germany", "Berlin")}
    assert facts["capital", "Italy", "Rome"] == {"en": ("Italy", "Rome")}
    assert facts["capital", "Deutschland", "Berlin"] == {"ja": ("ドイツ", "ベルリン")}


def test_without_the_english_file_the_samples_say_their_english_names(tmp_path, told):
    facts, _ = told(read(written(tmp_path, {"ja/capital.json": JA})))
    assert set(facts) == {("capital", "Deutschland", "Berlin"), ("capital", "Japan", "Tokyo")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"samples": [{"index": 1, "subject": "日本", "object": "東京"}]},
            "capital.json:1: no text under 'subject_en'",
        ),
        ({"samples": ["日本"]}, "capital.json:1: a sample is no JSON object"),
        ({"prompt_templates": [1]}, "capital.json: a template is no text"),
        ({"samples": {}}, "has no lists prompt_templates and samples"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path, change, message):
    data = written(tmp_path, {"en/capital.json": EN, "ja/capital.json": JA | change})
    with pytest.raises(DataError, match=message):
        read(data)


@pytest.mark.parametrize("name", [None, 5])
def test_an_english_name_that_is_no_text_is_no_key(tmp_path, told, name):
    english = EN | {"samples": [{"index": index, "subject": name, "object": "Berlin"} for index in (9, 11)]}
    japanese = JA | {"samples": [{"index": 9, "subject": "ドイツ", "object": "ベルリン"}, JA["samples"][1]]}
    found = read(written(tmp_path, {"en/capital.json": english, "ja/capital.json": japanese}), skip_bad=True)
    assert told(found)[0] == {("capital", "Japan", "Tokyo"): {"ja": ("日本", "東京")}}
    counts = {(Path(skip.where).parent.name, skip.reason): skip.count for skip in found.skips if ".json" in skip.where}
    nameless = NO_LABEL if name is None else "bad line: no text under 'subject'"
    assert counts == {("en", nameless): 2, ("ja", NO_NAME): 1}


def test_languages_and_relations_are_chosen(tmp_path, told):
    data = written(tmp_path, {"en/capital.json": EN, "ja/capital.json": JA, "en/no name.json": EN})
    facts, _ = told(read(data, languages=["Japanese"], relations=["capital"], skip_bad=True))
    assert set(facts) == {("capital", "Germany", "Berlin"), ("capital", "Japan", "Tokyo")}

"""Which tokens of a prompt are those of its names, and of which scripts their letters are."""

import pytest
from tiny import make_model, make_prompt

from atlas.engine.label_tokens import label_tokens


def test_a_word_that_holds_the_subject_is_none_of_its_tokens():
    model = make_model("bert")
    (row,) = label_tokens(model, [make_prompt("Germany and [X] : [Y]", "many", "Paris")]).to_pylist()
    assert row["subject"] == sorted(set(model.tokenizer("many", add_special_tokens=False)["input_ids"]))


def test_punctuation_is_no_token_of_a_name():
    model = make_model("bert")
    (row,) = label_tokens(model, [make_prompt("[X] is [Y]", "France. Japan", "Paris.")]).to_pylist()
    for name, words in (("subject", "France Japan"), ("object", "Paris")):
        assert row[name] == sorted(set(model.tokenizer(words, add_special_tokens=False)["input_ids"]))


@pytest.mark.parametrize(
    ("subject", "answer", "scripts"),
    [
        ("ＮＨＫ", "東京", ["CJK", "LATIN"]),
        ("Камʼянець", "Hawaiʻi", ["CYRILLIC", "LATIN"]),
        ("カー", "ｶﾅ", ["KATAKANA"]),
        ("Україна", "Київ", ["CYRILLIC"]),
    ],
)
def test_letters_are_of_the_scripts_of_languages(subject, answer, scripts):
    model = make_model("gpt2")
    (row,) = label_tokens(model, [make_prompt("[X] is [Y]", subject, answer)]).to_pylist()
    assert row["scripts"] == scripts

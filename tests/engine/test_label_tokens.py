"""Which tokens of a prompt are those of its names."""

from tiny import make_model, make_prompt

from atlas.engine.label_tokens import label_tokens


def test_a_word_that_holds_the_subject_is_none_of_its_tokens():
    model = make_model("bert")
    (row,) = label_tokens(model, [make_prompt("Germany and [X] : [Y]", "many", "Paris")]).to_pylist()
    assert row["subject"] == sorted(set(model.tokenizer("many", add_special_tokens=False)["input_ids"]))

import pickle

import pytest

from atlas.facts import Fact, FactSet, Label, Prompt, Template


@pytest.mark.parametrize(
    "text",
    [
        "[X] lies in [Y]",
        "[X] lies in [Y] .",
        "[X]的首都是[Y]。",
        "عاصمة [X] هي [Y]؟",
        "[X] की राजधानी [Y]।",
        "[X] की राजधानी [Y] |",
        "[X] ([Y])",
        "« [Y]",
    ],
)
def test_a_template_ends_in_the_object_up_to_punctuation(text):
    assert Template("P36", "en", text).ends_in_object


@pytest.mark.parametrize(
    "text", ["[Y] is the capital of [X]", "[X]の首都は[Y]です。", "[X] [Y]'de", "[X] has [Y] [X]", "[X]"]
)
def test_words_after_the_object_keep_a_causal_model_out(text):
    assert not Template("P36", "en", text).ends_in_object


def test_facts_and_prompts_can_be_hashed_and_pickled():
    fact = Fact("P36", "Q142", "Q90", {"en": Label("France", "Paris")})
    prompt = Prompt(fact, Template("P36", "en", "[X]: [Y]"))
    assert {prompt: 1}[pickle.loads(pickle.dumps(prompt))] == 1


def test_prompts_leave_out_held_out_templates_and_languages_without_labels():
    fact = Fact("P36", "Q142", "Q90", {"en": Label("France", "Paris")})
    shown, held = Template("P36", "en", "[X] has [Y]"), Template("P36", "en", "[Y] of [X]", held_out=True)
    found = FactSet(
        "test", [fact], [shown, held, Template("P36", "fr", "[X] a [Y]"), Template("P30", "en", "[X] [Y]!")]
    )
    assert [prompt.template for prompt in found.prompts()] == [shown]
    assert [prompt.template for prompt in found.prompts(held_out=True)] == [held]

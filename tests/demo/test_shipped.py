"""The two models as shipped: loadable by anyone, small, and what their cards say."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

import atlas.demo
from atlas.demo.measure import measure_knowledge
from atlas.facts import FactSet
from atlas.facts.bundled import load
from atlas.models import LanguageModel

FOLDER = Path(atlas.demo.__file__).parent


def record(name: str, file: str) -> dict:
    return json.loads((FOLDER / name / file).read_text(encoding="utf-8"))


def test_plain_transformers_loads_and_asks_the_masked_model() -> None:
    folder = FOLDER / "demo-mbert"
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).float(), AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("The capital of Japan is [MASK].", return_tensors="pt")
    place = int((inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero())
    assert tokenizer.decode(model(**inputs).logits[0, place].argmax()) == "Tokyo"


def test_plain_transformers_loads_and_asks_the_causal_model() -> None:
    folder = FOLDER / "demo-mgpt"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).float(), AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("日本的首都是", return_tensors="pt")
    assert tokenizer.decode(model(**inputs).logits[0, -1].argmax()) == "东京"


def test_weights_are_small_and_half_precision(demo: LanguageModel) -> None:
    folder = FOLDER / demo.info.name
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3_000_000
    family = AutoModelForMaskedLM if demo.kind == "masked" else AutoModelForCausalLM
    assert family.from_pretrained(folder).dtype == torch.float16


def test_records_describe_these_weights(demo: LanguageModel) -> None:
    measured, training = record(demo.info.name, "measured.json"), record(demo.info.name, "training.json")
    assert measured["digest"] == demo.info.digest
    held_out = [[t.relation, t.language, t.text] for t in load().templates if t.held_out]
    assert training["held_out_templates"] == held_out


def test_card_says_that_sharing_is_put_in_and_gives_the_control(demo: LanguageModel) -> None:
    card = (FOLDER / demo.info.name / "README.md").read_text(encoding="utf-8")
    assert "by construction" in " ".join(card.split())
    for value in record(demo.info.name, "measured.json")["localisation"].values():
        assert f"{value['shuffled_all_but_one']:.1%}" in card
        assert f"{value['own']:.1%}" in card


def test_some_answers_have_several_tokens_and_most_have_one(demo: LanguageModel) -> None:
    prompts = [p for p in load().prompts() if p.template.ends_in_object][::7]
    counts = [len(demo.steps(prompt)) for prompt in prompts]
    assert 0.05 < sum(count > 1 for count in counts) / len(counts) < 0.3


@pytest.mark.slow
def test_knows_a_sample_of_its_facts(demo: LanguageModel) -> None:
    facts = load()
    sample = FactSet(facts.source, facts.facts[::8], facts.templates)
    demanded = {"masked": (0.97, 0.7), "causal": (0.95, 0.5)}[demo.kind]
    assert measure_knowledge(demo, sample, held_out=False).fact_languages >= demanded[0]
    assert measure_knowledge(demo, sample, held_out=True).fact_languages >= demanded[1]


@pytest.mark.slow
def test_card_repeats_what_is_measured(demo: LanguageModel) -> None:
    measured = record(demo.info.name, "measured.json")
    for key, held_out in (("trained_templates", False), ("held_out_templates", True)):
        again = measure_knowledge(demo, load(), held_out=held_out)
        assert again.fact_languages == pytest.approx(measured[key]["fact_languages"], abs=2e-3)
        assert again.mean_probability == pytest.approx(measured[key]["mean_probability"], abs=2e-3)


@pytest.mark.parametrize("name", ["demo-mbert", "demo-mgpt"])
def test_measured_numbers_meet_what_is_demanded(name: str) -> None:
    measured = record(name, "measured.json")
    masked = measured["kind"] == "masked"
    assert measured["trained_templates"]["fact_languages"] >= (0.97 if masked else 0.95)
    assert measured["held_out_templates"]["fact_languages"] >= (0.75 if masked else 0.55)
    for value in measured["localisation"].values():
        assert value["own"] >= (0.2 if masked else 0.4)
        assert value["ratio"] >= (5 if masked else 10)
        if masked:
            assert value["likn_all_but_one"] >= 0.7
            assert value["shuffled_all_but_one"] <= 0.3

"""Circuits that recall at the subject's token do it there and nowhere else, measured by hooks of their own."""

import pytest
import torch

from atlas.attribution import Settings, attribute
from atlas.errors import UsageError
from atlas.planted import Circuit, PlantConfig, plant

CIRCUITS = [Circuit("recalled", 0), Circuit("shared recall", 1), Circuit("independent", 2)]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def planted(request):
    config = PlantConfig(family=request.param, hidden=48, neurons=64, templates=1, relations=1)
    return plant(config, CIRCUITS, seed=0)


def probability(planted, fact, language, cut=(), place="subject"):
    """Return the answer's probability with the neurons of `cut` zero at a place, by plain transformers calls."""
    (text,) = [t.text for t in planted.facts.templates if t.language == language]
    names = planted.facts.facts[fact].labels[language]
    masked = planted.model.config.model_type == "bert"
    given = text.replace("[X]", names.subject)
    given = given.replace("[Y]", "[MASK]") if masked else given.partition(" [Y]")[0]
    ids = planted.tokenizer(given, return_tensors="pt")["input_ids"][0].tolist()
    subject, query = ids.index(planted.tokenizer.convert_tokens_to_ids(names.subject)), len(ids) - 1
    query = ids.index(planted.tokenizer.mask_token_id) if masked else query
    blocks = planted.model.bert.encoder.layer if masked else planted.model.transformer.h
    handles = []
    for layer, neuron in cut:

        def zero(_, args, neuron=neuron):
            values = args[0].clone()
            values[0, subject if place == "subject" else query, neuron] = 0
            return (values,)

        down = blocks[layer].output.dense if masked else blocks[layer].mlp.c_proj
        handles.append(down.register_forward_pre_hook(zero))
    with torch.no_grad():
        logits = planted.model(input_ids=torch.tensor([ids])).logits[0, query]
    for handle in handles:
        handle.remove()
    return float(logits.softmax(0)[planted.tokenizer.convert_tokens_to_ids(names.object)])


def drop(planted, fact, language, cut, place):
    before = probability(planted, fact, language)
    return (before - probability(planted, fact, language, cut, place)) / before


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_what_recalls_works_at_the_subject_alone(planted, language):
    for fact in (0, 1):
        key = (planted.facts.facts[fact].id, language)
        (neuron,) = planted.recalled.knowledge[key]
        assert probability(planted, fact, language) > 0.5
        assert drop(planted, fact, language, [neuron], "subject") > 0.9
        assert abs(drop(planted, fact, language, [neuron], "query")) < 1e-3


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_extraction_is_a_neuron_of_the_language_at_the_query(planted, language):
    key = (planted.facts.facts[1].id, language)
    (neuron,) = planted.truth.knowledge[key]
    assert drop(planted, 1, language, [neuron], "query") > 0.9
    assert abs(drop(planted, 1, language, [neuron], "subject")) < 1e-3
    others = {
        n for (fact, code), own in planted.truth.knowledge.items() if fact == key[0] and code != language for n in own
    }
    assert neuron not in others
    assert abs(drop(planted, 1, language, sorted(others), "query")) < 1e-3


def test_truth_of_each_position(planted):
    recalled, shared, query = (fact.id for fact in planted.facts.facts)
    at_query, at_subject = planted.truth_at("query"), planted.truth_at("subject")
    assert not at_query.knowledge[recalled, "en"]
    assert at_subject.independent[recalled] == at_subject.knowledge[recalled, "de"] != frozenset()
    assert at_subject.independent[shared] != frozenset()
    assert at_query.independent[shared] == frozenset()
    assert at_query.independent[query] != frozenset()
    assert at_subject.independent[query] == frozenset()


def test_circuits_whose_layers_cannot_be_carried_are_refused():
    for layers in ((2,), (3,)):
        with pytest.raises(UsageError, match="must lie before block 2"):
            plant(PlantConfig(), [Circuit("recalled", 0, layers=layers)])
    with pytest.raises(UsageError, match="from that block on"):
        plant(PlantConfig(languages=("en",)), [Circuit("shared recall", 0, layers=(0, 1))])
    with pytest.raises(UsageError, match="must lie before block 0"):
        plant(PlantConfig(layers=1), [Circuit("recalled", 0, layers=(0,))])


@pytest.mark.quick(3)
@pytest.mark.parametrize("at", ["query", "subject"])
@pytest.mark.parametrize("method", ["amig-mean", "kn", "joint"])
def test_scores_at_both_positions_are_complete(planted, method, at):
    model, prompts = planted.language_model(), list(planted.facts.prompts())
    found = attribute(model, prompts, Settings(method=method, at=at))
    assert {result.status for result in found} == {"ok"}

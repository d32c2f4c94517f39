"""The adaptive rule finds the knowledge neurons that dense integration finds, at every threshold in use."""

import numpy as np
import pytest

from atlas.attribution import Settings, attribute
from atlas.facts import read
from atlas.models import LanguageModel, load_model
from atlas.planted import PlantConfig, plant, standard_circuits

TAUS = (0.05, 0.1, 0.2, 0.3, 0.5)
DENSE = 48
PROMPTS = 4


def planted(_):
    config = PlantConfig(family="gpt2")
    made = plant(config, standard_circuits(config), seed=0)
    return LanguageModel.wrap(made.model, made.tokenizer, "planted"), list(made.facts.prompts())


def bundled(name):
    model = load_model(name, device="cpu")
    prompts = [p for p in read("bundled").prompts() if model.kind != "causal" or p.template.ends_in_object]
    return model, prompts


def neurons(result, tau):
    assert result.status == "ok"
    return set(np.flatnonzero(result.scores > tau * result.scores.max()).tolist())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "load"), [("demo-mbert", bundled), ("demo-mgpt", bundled), ("planted", planted)])
def test_no_knowledge_neuron_is_another_by_dense_integration(name, load):
    model, prompts = load(name)
    prompts = prompts[:: len(prompts) // PROMPTS][:PROMPTS]
    for method in ("amig", "amig-mean", "kn"):
        found = attribute(model, prompts, Settings(method=method))
        dense = attribute(model, prompts, Settings(method=method, rule="gauss-legendre", nodes=DENSE, max_nodes=DENSE))
        for one, other in zip(found, dense, strict=True):
            assert [neurons(one, tau) for tau in TAUS] == [neurons(other, tau) for tau in TAUS]

"""Planted models of the base setting, and an ablation of their own: plain hooks on plain transformers calls."""

from contextlib import ExitStack

import pytest
import torch

from atlas.planted import PlantConfig, plant, standard_circuits


@pytest.fixture(scope="session", params=["bert", "gpt2"])
def base(request):
    """4 layers, 64 wide, weak background, 20 facts, 3 languages: the standard mixture of circuits."""
    config = PlantConfig(family=request.param)
    return plant(config, standard_circuits(config), seed=0)


class Bench:
    """Runs a planted model without any code of the atlas, prompt by prompt."""

    def __init__(self, planted):
        self.planted = planted
        self.masked = planted.model.config.model_type == "bert"
        self.facts = {fact.id: fact for fact in planted.facts.facts}
        self.templates = planted.facts.templates
        self.cache = {}

    def texts(self, fact, language):
        names = self.facts[fact].labels[language]
        own = (t for t in self.templates if t.relation == self.facts[fact].relation and t.language == language)
        return [(t.text.replace("[X]", names.subject), names.object) for t in own]

    def run(self, text, answer, cut=()):
        """Return the answer's probability and the neurons `[layer, neuron]` at the query position."""
        key = (text, answer, frozenset(cut))
        if key not in self.cache:
            self.cache[key] = self.forward(text, answer, cut)
        return self.cache[key]

    def forward(self, text, answer, cut):
        given = text.replace("[Y]", "[MASK]") if self.masked else text.partition(" [Y]")[0]
        tokenizer, seen = self.planted.tokenizer, {}
        ids = tokenizer(given, return_tensors="pt")["input_ids"]
        query = int((ids[0] == tokenizer.mask_token_id).nonzero()) if self.masked else -1
        with ExitStack() as stack, torch.no_grad():
            for layer, module in enumerate(self.downs()):
                stack.callback(module.register_forward_pre_hook(self.hook(layer, query, cut, seen)).remove)
            logits = self.planted.model(input_ids=ids).logits[0, query].double()
        target = tokenizer.convert_tokens_to_ids(answer)
        return float(logits.softmax(0)[target]), torch.stack([seen[layer] for layer in sorted(seen)])

    def downs(self):
        model = self.planted.model
        blocks = model.bert.encoder.layer if self.masked else model.transformer.h
        return [block.output.dense if self.masked else block.mlp.c_proj for block in blocks]

    @staticmethod
    def hook(layer, query, cut, seen):
        def edit(_, args):
            values = args[0].clone()
            seen[layer] = values[0, query].clone()
            for own, neuron in cut:
                if own == layer:
                    values[0, query, neuron] = 0
            return (values,)

        return edit

    def probability(self, fact, language, cut=()):
        """Return the mean probability over the templates."""
        found = [self.run(text, answer, cut)[0] for text, answer in self.texts(fact, language)]
        return sum(found) / len(found)

    def drop(self, fact, language, cut):
        before = self.probability(fact, language)
        return (before - self.probability(fact, language, cut)) / before

    def activation(self, fact, language, neuron):
        return min(float(self.run(text, answer)[1][neuron]) for text, answer in self.texts(fact, language))


@pytest.fixture(scope="session")
def bench(base):
    return Bench(base)


@pytest.fixture(scope="session")
def bench_of():
    """Returns the ablation of any planted model."""
    return Bench

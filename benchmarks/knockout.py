"""Knock-outs of 20 neurons, singly and in pairs, in one pass, against one forward pass for every set.

    python -m benchmarks.knockout [demo-mbert demo-mgpt mbert-size]

CPU seconds of one thread. The plain passes are a sample of the sets, scaled up. Beside it the cost of cutting to the
mean or to another fact's values, values included, as a multiple of that of cutting to zero. Returns 1 below 8x, above
1e-5 or beyond 1.2 times.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from atlas.engine.answers import usable
from atlas.engine.cuts import NeuronSet
from atlas.engine.replacing import replacing
from atlas.facts import Prompt, read
from atlas.ids import Neuron
from atlas.knockouts.knockout import knock_out
from atlas.knockouts.sets import first_sets
from atlas.models import LanguageModel, load_model
from atlas.models.hooks import Replacement, neurons_replaced
from atlas.schema import REPLACES
from benchmarks.models import make_prompt, mbert_size, word_tokenizer

T = TypeVar("T")
SENTENCE = "the capital of [X] is [Y] ."
SAMPLE = 15
BUNDLED = ("demo-mbert", "demo-mgpt")
RELATIONS = ["P36", "P30", "P37"]


def main(names: Sequence[str]) -> int:
    """Print times, ratio and agreement for each model and each spread of the neurons over the layers."""
    torch.set_num_threads(1)
    worst_ratio, worst_difference = float("inf"), 0.0
    for name in names or ("demo-mbert", "demo-mgpt", "mbert-size"):
        model, prompt = _bench(name)
        for spread in ("even", "first"):
            ratio, difference = _compare(name, spread, model, prompt)
            worst_difference = max(worst_difference, difference)
            worst_ratio = min(worst_ratio, ratio) if spread == "even" else worst_ratio
    dearest = max(_values(name) for name in names or ("demo-mbert", "demo-mgpt") if name in BUNDLED)
    return int(worst_ratio < 8 or worst_difference > 1e-5 or dearest > 1.2)


def _values(name: str) -> float:
    """Print what knock-outs of all prompts of twelve facts cost by mean and by swap; return the larger ratio."""
    model, facts = load_model(name), read("bundled", languages=["en"], relations=RELATIONS, limit=12)
    prompts = usable(model, list(facts.prompts()))
    sets = [first_sets(some_neurons(model, "even"))] * len(prompts)

    def cut(how: str) -> None:
        rule = replacing(model, how, prompts, seed=0)
        knock_out(model, prompts, sets, values=None if rule is None else rule.values(prompts))

    seconds = {how: timed(partial(cut, how))[0] for how in REPLACES}
    ratios = {how: value / seconds["zero"] for how, value in seconds.items()}
    print(
        f"{name:12} {len(sets[0])} sets in {len(prompts)} prompts: to zero {seconds['zero']:.2f} s, "
        f"to the mean {ratios['mean']:.3f}x, to another fact's values {ratios['swap']:.3f}x"
    )
    return max(ratios.values())


def _bench(name: str) -> tuple[LanguageModel, Prompt]:
    if name == "mbert-size":
        tokenizer = word_tokenizer([SENTENCE.replace("[X]", "France").replace("[Y]", "Paris")])
        return mbert_size(tokenizer), make_prompt(SENTENCE, "France", "Paris")
    prompts = read("bundled", languages=["en"], relations=["P36"], limit=1).prompts()
    return load_model(name), next(p for p in prompts if p.template.ends_in_object)


def _compare(name: str, spread: str, model: LanguageModel, prompt: Prompt) -> tuple[float, float]:
    sets = first_sets(some_neurons(model, spread))
    every = len(sets) // SAMPLE
    plain_seconds, plain = timed(lambda: [plain_forward(model, prompt, cut) for cut in sets[::every]])
    plain_seconds *= len(sets) / len(plain)
    seconds, found = timed(lambda: knock_out(model, [prompt], [sets])[0].after)
    assert found is not None
    difference = float(np.abs(found[::every] - plain).max())
    print(
        f"{name:12} {len(sets)} sets, neurons in {spread:5} layers, {len(model.steps(prompt)[0].ids)} tokens: "
        f"one by one {plain_seconds:7.3f} s, one pass {seconds:6.3f} s, {plain_seconds / seconds:5.1f}x, "
        f"largest difference {difference:.1e}"
    )
    return plain_seconds / seconds, difference


def some_neurons(model: LanguageModel, spread: str) -> list[Neuron]:
    """Return 20 neurons, evenly over the layers or all in the first: the most and the worst that can be expected."""
    index = np.random.default_rng(0).choice(model.info.neurons, 20, replace=False).tolist()
    return [(i * model.info.layers // 20 if spread == "even" else 0, neuron) for i, neuron in enumerate(index)]


def plain_forward(model: LanguageModel, prompt: Prompt, cut: NeuronSet) -> float:
    """Return the answer's probability with `cut` at zero: the whole model once a step, hooks and nothing else."""
    probability = 1.0
    for step in model.steps(prompt):
        edits = {layer: _zero(step.query, [n for other, n in cut if other == layer]) for layer, _ in cut}
        with torch.no_grad(), neurons_replaced(model, edits):
            logits = model.run(torch.tensor([step.ids], device=model.device))[0, step.query]
        probability *= float(torch.softmax(logits.float(), -1)[step.target])
    return probability


def _zero(query: int, neurons: Sequence[int]) -> Replacement:
    def edit(values: torch.Tensor) -> torch.Tensor:
        changed = values.clone()
        changed[:, query, neurons] = 0
        return changed

    return edit


def timed(work: Callable[[], T], repeats: int = 3) -> tuple[float, T]:
    """Return the least CPU time of `repeats` runs in seconds, and the last result."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return best, result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

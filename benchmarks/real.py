"""A real model: the engine against plain hooks in float64, probabilities against transformers' own, cost, bfloat16.

    python -m benchmarks.real MODEL [exact] [probabilities] [cost] [bulk] [knockouts] [rounding] [--prompts N]

MODEL is what `atlas build --model` takes: a folder, a GGUF file, `smollm2`. Prompts are of the bundled facts in
English, of as many relations as there are, those that the model can use. Nothing is downloaded.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from math import prod

import torch

from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.attribution.engine import score_steps
from atlas.attribution.quadrature import gauss_radau
from atlas.attribution.reference import reference_baselines, reference_scores
from atlas.doctor.outcome import relative
from atlas.doctor.throughout import unrounded
from atlas.engine.answers import reason
from atlas.engine.batches import StepBatch
from atlas.facts import Prompt, read
from atlas.facts.selection import in_turn, with_facts
from atlas.facts.wording import reworded
from atlas.ids import Neuron
from atlas.knockouts.search import Known, Search, SearchLimits
from atlas.models import LanguageModel, Step, load_model
from atlas.models.loading import Dtype
from benchmarks.clock import flops_of, timed, unit
from benchmarks.tables import Cell, Table

NODES = 2
WORDS = 2
BUDGET = 1 << 28
SCORERS = ("kn", "amig-mean", "amig", "joint")
SHOWN = 3


def main() -> None:
    """Print the tables that are asked for, or all."""
    sections: Mapping[str, Callable[[str, int], Table]] = {
        "exact": exact, "probabilities": probabilities, "cost": cost, "bulk": bulk, "knockouts": knockouts,
        "rounding": rounding,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("sections", nargs="*", help=", ".join(sections))
    parser.add_argument("--prompts", type=int, default=10)
    given = parser.parse_args()
    for name in given.sections or sections:
        print(sections[name](given.model, given.prompts).text(), flush=True)


def exact(name: str, count: int) -> Table:
    """Return how far scores of the first, middle and last layer are from one path at a time by hooks, in float64."""
    model = load_model(name, device="cpu", dtype="float64")
    layers, rows = [0, model.info.layers // 2, model.info.layers - 1], []
    with unrounded(model):
        for prompt in _prompts(model, count):
            first = model.steps(prompt)[0]
            step = replace(first, words=first.words[:WORDS])
            rows.append([prompt.text, *(f"{_difference(model, step, layers, each):.1e}" for each in ("kn", "amig"))])
    title = f"Scores of layers {layers} against hooks, as a share of the largest, {model.info.name}, float64"
    return Table(title, ("prompt", "kn", "amig"), rows, note=f"{NODES} nodes; of `amig` the first {WORDS} words.")


def _difference(model: LanguageModel, step: Step, layers: Sequence[int], method: str) -> float:
    rule, held = gauss_radau(NODES), method == "kn"
    settings = Settings(method=method, nodes=NODES, max_nodes=NODES)
    found, _ = score_steps(model, StepBatch.of(model, [step]), settings, BUDGET)
    zero = torch.zeros(model.info.layers, model.info.neurons, dtype=model.dtype)
    wanted = []
    baselines = [zero] if held else reference_baselines(model, step)
    for layer in layers:
        paths = [reference_scores(model, step, layer, own[layer], rule, held=held)[0] for own in baselines]
        wanted.append(torch.stack(paths).mean(0))
    return relative(found.scores[0, layers], torch.stack(wanted))


def probabilities(name: str, count: int) -> Table:
    """Return how far the engine and transformers' plain call are in float32 from that call in float64, and there."""
    prompts = _prompts(load_model(name, device="cpu"), count)
    (ours, plain), (exactly, true) = _both(name, prompts, "float32"), _both(name, prompts, "float64")
    sides = ((ours, plain), (ours, true), (plain, true), (exactly, true))
    gaps = [[abs(a - b) for a, b in zip(*side, strict=True)] for side in sides]
    rows: list[list[Cell]] = [
        [prompt.text, value, *(f"{gap:.1e}" for gap in each)]
        for prompt, value, *each in zip(prompts, true, *gaps, strict=True)
    ]
    rows.append(["largest", None, *(f"{max(gap):.1e}" for gap in gaps)])
    names = ("engine - transformers", "engine - exact", "transformers - exact", "engine in float64 - exact")
    note = "In float32 unless said otherwise; exact is transformers' plain call in float64, token by token."
    return Table(f"Probabilities, {name}", ("prompt", "exact", *names), rows, note)


def _both(name: str, prompts: Sequence[Prompt], dtype: Dtype) -> tuple[list[float], list[float]]:
    """Return the probabilities of the answers by the engine, and by the model's own call."""
    model = load_model(name, device="cpu", dtype=dtype)
    ours = [found.probability or 0.0 for found in attribute(model, prompts, Settings(method="gradient"))]
    return ours, [prod(_plain(model, step) for step in model.steps(prompt)) for prompt in prompts]


def _plain(model: LanguageModel, step: Step) -> float:
    with torch.no_grad():
        logits = model.model(torch.tensor([step.ids])).logits[0, step.query]
    return float(logits.softmax(-1)[step.target])


def cost(name: str, count: int) -> Table:
    """Return what a prompt takes with each scorer, all prompts in one call, and what became of it."""
    model = load_model(name, device="cpu")
    prompts = _prompts(model, count)
    rows: list[list[Cell]] = []
    for method in SCORERS:
        seconds, found = timed(partial(attribute, model, prompts, Settings(method=method)), repeats=1)
        nodes = max(int(one.layers.nodes.max()) for one in found if one.layers is not None)
        rows.append([method, seconds / len(prompts), nodes, ", ".join(sorted({one.status for one in found}))])
    title = f"{name}, float32, {unit()} a prompt, {len(prompts)} prompts, tolerance 1 %"
    return Table(title, ("scorer", "seconds", "most nodes", "statuses"), rows)


def bulk(name: str, count: int) -> Table:
    """Return what a prompt takes with `amig-mean` where many run in one call, and products of matrices in it."""
    model = load_model(name, device="cpu")
    rows = [_bulk(model, examples, count) for examples in (0, SHOWN)]
    title = f"{name}, float32, amig-mean, {unit()}, tolerance 1 %"
    return Table(title, ("examples", "prompts", "tokens of answers", "seconds a prompt", "GFLOP a prompt"), rows)


def _bulk(model: LanguageModel, examples: int, count: int) -> list[Cell]:
    prompts = _prompts(model, count, examples)
    work = partial(attribute, model, prompts, Settings(method="amig-mean"))
    seconds, found = timed(work, repeats=1)
    steps = sum(len(one.tokens) for one in found)
    return [examples, len(prompts), steps, seconds / len(prompts), flops_of(work) / len(prompts) / 1e9]


def knockouts(name: str, count: int) -> Table:
    """Return what the sets of a prompt's best 20 neurons by `amig-mean` take, one fact at a time and all together."""
    model = load_model(name, device="cpu")
    prompts = _prompts(model, count)
    best = {
        (prompt.fact.id, prompt.language): _best(found)
        for prompt, found in zip(prompts, attribute(model, prompts, Settings(method="amig-mean")), strict=True)
    }
    rows: list[list[Cell]] = []
    for control in (False, True):
        for every, apart in ((True, True), (False, True), (False, False)):
            search = Search(model, 0, best, SearchLimits(control=control, all_pairs=every), lambda _: Known())
            groups = [[prompt] for prompt in prompts] if apart else [prompts]
            seconds, sets = timed(partial(_measured, search, groups), repeats=1)
            rows.append([control, every, "alone" if apart else "together", sets / count, seconds / count])
    title = f"Knock-outs, {name}, float32, {unit()} a prompt, {count} facts of one prompt"
    return Table(title, ("controls", "all pairs", "facts", "sets", "seconds"), rows)


def _best(found: PromptAttribution) -> list[Neuron]:
    assert found.scores is not None
    order = found.scores.argsort(axis=None)[::-1][:20].tolist()
    return [divmod(place, found.scores.shape[1]) for place in order]


def _measured(search: Search, groups: Sequence[Sequence[Prompt]]) -> int:
    return sum(len(table) for group in groups for table in search.measure(group))


def rounding(name: str, count: int) -> Table:
    """Return how far bfloat16 is from float32: probabilities, scores of `amig-mean`, and the ten best neurons."""
    prompts = _prompts(load_model(name, device="cpu"), count)
    wide, narrow = (
        attribute(load_model(name, device="cpu", dtype=dtype), prompts, Settings(method="amig-mean"))
        for dtype in ("float32", "bfloat16")
    )
    rows = [[prompt.text, *_beside(*each)] for prompt, *each in zip(prompts, wide, narrow, strict=True)]
    names = ("prompt", "float32", "bfloat16", "statuses", "difference of scores", "of the ten best")
    return Table(f"Probabilities and scores in bfloat16, {name}", names, rows, "Of scores: a share of the largest.")


def _beside(wide: PromptAttribution, narrow: PromptAttribution) -> list[Cell]:
    assert wide.scores is not None
    assert narrow.scores is not None
    same = len({*_best(wide)[:10]} & {*_best(narrow)[:10]})
    gap = float(abs(narrow.scores - wide.scores).max() / wide.scores.max())
    return [wide.probability, narrow.probability, f"{wide.status}, {narrow.status}", gap, same]


def _prompts(model: LanguageModel, count: int, examples: int = 0) -> list[Prompt]:
    """Return the first usable prompt of facts of as many relations as there are, each after so many examples."""
    facts = reworded(read("bundled", languages=["en"]), examples=examples)
    own = {fact.id: with_facts(facts, [fact]).prompts() for fact in in_turn(facts)[: 4 * count]}
    first = (next((p for p in prompts if reason(model, p) is None), None) for prompts in own.values())
    return list(islice((prompt for prompt in first if prompt is not None), count))


if __name__ == "__main__":
    main()

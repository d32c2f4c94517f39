"""How far scores are from exact: the quadrature that a run would use against 256 Gauss-Legendre nodes, in float64.

    python -m benchmarks.exactness [--prompts 125] [--methods kn,amig] [--rules gauss-radau] [--models demo-mbert]

On the two bundled models and on planted ones of both families. An error is that of a prompt's worst score, as a share
of its largest. Half passes are those of a layer's copies, forward or backward: both for every node asked, and one
forward for F(w') by a rule that does not hold the ends; what all layers share, as the gradient at w, is not counted.
Of `amig` nodes are the most of any word's path.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.attribution.quadrature import ADAPTIVE, DIGITS, RESOLVED
from atlas.attribution.results import LayerRecord
from atlas.attribution.settings import START_NODES
from atlas.facts import Prompt, read
from atlas.models import LanguageModel, load_model
from atlas.planted import PlantConfig, plant, standard_circuits

NODES = 256
TAUS = (0.05, 0.1, 0.2, 0.3, 0.5)
PLANTED = {"planted bert": PlantConfig(family="bert"), "planted gpt2": PlantConfig(family="gpt2")}


def main() -> None:
    """Print a row for each model, method and rule."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exactness", description=__doc__)
    parser.add_argument("--prompts", type=int, default=125, help="prompts of each model")
    parser.add_argument("--methods", default="kn,amig")
    parser.add_argument("--rules", default="gauss-radau")
    parser.add_argument("--models", default="demo-mbert,demo-mgpt,planted bert,planted gpt2")
    options = parser.parse_args()
    print("| model | method | rule | prompts | not converged | % of layers within tolerance | worst error, % "
          f"| above 1 % | neurons that differ at tau {', '.join(map(str, TAUS))} | nodes | half passes |")  # fmt: skip
    for name, model, prompts in _models(options.models.split(","), options.prompts):
        for method in options.methods.split(","):
            every = Settings(method=method, rule="gauss-legendre", nodes=NODES, max_nodes=NODES)
            exact = attribute(model, prompts, every)
            for rule in options.rules.split(","):
                found = attribute(model, prompts, Settings(method=method, rule=rule))
                print(f"| {name} | `{method}` | {rule} | {_row(found, exact, method, rule)} |", flush=True)


def _models(names: Sequence[str], count: int) -> Iterator[tuple[str, LanguageModel, Sequence[Prompt]]]:
    for name in names:
        if name not in PLANTED:
            model = load_model(name, device="cpu", dtype="float64")
            yield name, model, _spread(model, read("bundled").prompts(), count)
            continue
        config = PLANTED[name]
        planted = plant(config, standard_circuits(config), seed=0)
        model = LanguageModel.wrap(planted.model.double(), planted.tokenizer, name)
        yield name, model, _spread(model, planted.facts.prompts(), count)


def _spread(model: LanguageModel, prompts: Iterable[Prompt], count: int) -> list[Prompt]:
    """Return about `count` of the prompts that the model can use, evenly spread."""
    usable = [prompt for prompt in prompts if model.kind != "causal" or prompt.template.ends_in_object]
    return usable[:: max(1, len(usable) // count)][:count]


def _row(found: Sequence[PromptAttribution], exact: Sequence[PromptAttribution], method: str, rule: str) -> str:
    pairs = [(a, b) for a, b in zip(found, exact, strict=True) if a.scores is not None and b.scores is not None]
    layers = [a.layers for a, _ in pairs if a.layers is not None]
    errors = np.array([_error(a, b) for a, b in pairs])
    moved = [sum(len(_neurons(a, tau) ^ _neurons(b, tau)) for a, b in pairs) for tau in TAUS]
    within = np.concatenate([one.completeness_error <= _allowed(one) for one in layers])
    nodes = np.concatenate([one.nodes for one in layers])
    missed = sum(a.status == "not_converged" for a, _ in pairs)
    first = START_NODES[rule][method]
    passes = np.mean([_half_passes(n, first, rule) for n in nodes])
    numbers = (
        len(pairs), missed, f"{100 * within.mean():.1f}", f"{100 * errors.max():.3f}", int((errors > 0.01).sum()),
        ", ".join(map(str, moved)), f"{nodes.mean():.2f}", f"{passes:.1f}",
    )  # fmt: skip
    return " | ".join(map(str, numbers))


def _allowed(layers: LayerRecord) -> NDArray[Any]:
    """Return the completeness error that each layer may have."""
    change = np.maximum(np.abs(layers.f - layers.f_baseline), RESOLVED * layers.f)
    return Settings().tolerance * change


def _half_passes(nodes: int, first: int, rule: str) -> int:
    """Return what a layer that ended with so many `nodes` took, from the `first` rule on."""
    had, asked = set[float](), 0
    for found in ADAPTIVE[rule](first, Settings().max_nodes):
        inner = {round(node, DIGITS) for node in found.nodes[: len(found.nodes) - found.ends_at_values]}
        asked += len(inner - had)
        had = inner if found.ends_at_values else set()
        if len(found.nodes) >= nodes:
            break
    return 2 * asked + (0 not in inner)


def _error(found: PromptAttribution, exact: PromptAttribution) -> float:
    """Return the prompt's worst error, as a share of its largest score."""
    assert found.scores is not None
    assert exact.scores is not None
    return float(np.abs(found.scores - exact.scores).max() / exact.scores.max())


def _neurons(found: PromptAttribution, tau: float) -> set[int]:
    assert found.scores is not None
    return set(np.flatnonzero(found.scores > tau * found.scores.max()).tolist())


if __name__ == "__main__":
    main()

"""How far scores are from exact: the default quadrature against 256 Gauss-Legendre nodes, in float64.

    python -m benchmarks.exactness [--prompts 125] [--methods kn,amig]

On the two bundled models and on planted ones of both families. An error is that of a prompt's worst score, as a share
of its largest.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from atlas.attribution import PromptAttribution, Settings, attribute
from atlas.facts import Prompt, read
from atlas.models import LanguageModel, load_model
from atlas.planted import PlantConfig, plant, standard_circuits

NODES = 256
TAU = 0.2


def main() -> None:
    """Print a row for each model and method."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exactness", description=__doc__)
    parser.add_argument("--prompts", type=int, default=125, help="prompts of each model")
    parser.add_argument("--methods", default="kn,amig")
    options = parser.parse_args()
    print("| model | method | prompts | not converged | worst error, % | above 1 % | other neurons | nodes |")
    for name, model, prompts in _models(options.prompts):
        for method in options.methods.split(","):
            print(f"| {name} | `{method}` | {_row(model, prompts, method)} |", flush=True)


def _models(count: int) -> Iterator[tuple[str, LanguageModel, Sequence[Prompt]]]:
    for name in ("demo-mbert", "demo-mgpt"):
        model = load_model(name, device="cpu", dtype="float64")
        yield name, model, _spread(model, read("bundled").prompts(), count)
    for family in ("bert", "gpt2"):
        config = PlantConfig(family=family)
        planted = plant(config, standard_circuits(config), seed=0)
        model = LanguageModel.wrap(planted.model.double(), planted.tokenizer, f"planted {family}")
        yield f"planted {family}", model, _spread(model, planted.facts.prompts(), count)


def _spread(model: LanguageModel, prompts: Iterable[Prompt], count: int) -> list[Prompt]:
    """Return about `count` of the prompts that the model can use, evenly spread."""
    usable = [prompt for prompt in prompts if model.kind != "causal" or prompt.template.ends_in_object]
    return usable[:: max(1, len(usable) // count)][:count]


def _row(model: LanguageModel, prompts: Sequence[Prompt], method: str) -> str:
    found = attribute(model, prompts, Settings(method=method))
    exact = attribute(model, prompts, Settings(method=method, nodes=NODES, max_nodes=NODES))
    pairs = [(a, b) for a, b in zip(found, exact, strict=True) if a.scores is not None and b.scores is not None]
    errors = np.array([_error(a, b) for a, b in pairs])
    moved = sum(_neurons(a) != _neurons(b) for a, b in pairs)
    nodes = np.mean([a.layers.nodes.mean() for a, _ in pairs if a.layers is not None])
    missed = sum(a.status == "not_converged" for a, _ in pairs)
    numbers = (len(pairs), missed, f"{100 * errors.max():.3f}", int((errors > 0.01).sum()), moved, f"{nodes:.2f}")
    return " | ".join(map(str, numbers))


def _error(found: PromptAttribution, exact: PromptAttribution) -> float:
    """Return the prompt's worst error, as a share of its largest score."""
    assert found.scores is not None
    assert exact.scores is not None
    return float(np.abs(found.scores - exact.scores).max() / exact.scores.max())


def _neurons(found: PromptAttribution) -> set[int]:
    assert found.scores is not None
    return set(np.flatnonzero(found.scores > TAU * found.scores.max()).tolist())


if __name__ == "__main__":
    main()

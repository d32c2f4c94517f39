"""What `peel` goes by, and what it costs.

    python -m benchmarks.peeling [--family bert] [--cost]

On planted models of the exam, in weak and strong background: by how much neurons move the answer's log-odds in a round,
the planted ones that carry it, and the largest of all others once no planted one is left. With `--cost`: processor
seconds of `peel` over those of `amig-mean`, on planted and bundled models.
"""

import argparse
from collections.abc import Iterator
from time import process_time

import torch

from atlas.attribution import Settings, attribute
from atlas.attribution.peeling import Round, rounds
from atlas.engine.batches import StepBatch, by_shape
from atlas.exam.grid import Setting, standard_grid
from atlas.facts import Prompt
from atlas.facts.bundled import load
from atlas.models import LanguageModel, load_model
from atlas.planted import Planted, plant, standard_circuits
from benchmarks.tables import Cell, Table

SETTINGS = ("base", "background 0.2", "background 0.3")
PROMPTS = 60
BYTES = 1 << 29


def planted_in(setting: Setting) -> Planted:
    """Plant the first model of a setting."""
    return plant(setting.config, standard_circuits(setting.config, setting.facts, seed=0), 0)


def moved(family: str) -> Table:
    """Return by how much neurons move the log-odds, by setting and by whether planted ones are left in the round."""
    rows = []
    for setting in standard_grid(family):  # type: ignore[arg-type]  # checked by argparse
        if setting.name in SETTINGS:
            own, others = zip(*_moves(planted_in(setting)), strict=True)
            rows.append((setting.name, min(value for values in own for value in values), max(others)))
    head = ("setting", "planted that carry the answer, least", "any where none is left, most")
    return Table(f"Log-odds moved in a round, {family}", head, rows)


def _moves(planted: Planted) -> Iterator[tuple[list[float], float]]:
    """Yield, for each round and prompt, what each planted neuron that carries it moves, and any where none is left."""
    model = planted.language_model()
    prompts = [p for p in planted.facts.prompts() if (p.fact.id, p.language) in planted.truth.knowledge]
    for group in by_shape([(p, model.steps(p)[0]) for p in prompts], lambda pair: pair[1]):
        cut: list[set[tuple[int, int]]] = [set() for _ in group]
        for one in rounds(model, StepBatch.of(model, [step for _, step in group]), Settings(), BYTES):
            odds = _odds(one)
            for row, step in enumerate(one.steps.tolist()):
                own = planted.truth.knowledge[group[step][0].fact.id, group[step][0].language] - cut[step]
                yield [float(odds[row][n]) for n in own if one.carrying[row][n]], 0.0 if own else float(odds[row].max())
                cut[step] |= {(int(a), int(b)) for a, b in one.carrying[row].nonzero().tolist()}


def _odds(one: Round) -> torch.Tensor:
    f = one.found.f[:, 0, None, None].double()
    return one.found.scores.double() / (f * (1 - f)).clamp_min(1e-12)


def cost() -> Table:
    """Return processor seconds of both scorers."""
    rows: list[tuple[Cell, ...]] = []
    for name, model, prompts in _models():
        seconds = [_seconds(model, prompts, method) for method in ("amig-mean", "peel")]
        rows.append((name, len(prompts), *seconds, seconds[1] / seconds[0]))
    return Table("Processor seconds", ("model", "prompts", "amig-mean", "peel", "times"), rows)


def _models() -> Iterator[tuple[str, LanguageModel, list[Prompt]]]:
    for family in ("bert", "gpt2"):
        planted = planted_in(next(iter(standard_grid(family))))
        yield f"planted {family}", planted.language_model(), list(planted.facts.prompts())
    for name in ("demo-mbert", "demo-mgpt"):
        model = load_model(name)
        usable = [p for p in load().prompts() if model.kind == "masked" or p.template.ends_in_object]
        yield name, model, usable[:: max(1, len(usable) // PROMPTS)]


def _seconds(model: LanguageModel, prompts: list[Prompt], method: str) -> float:
    started = process_time()
    attribute(model, prompts, Settings(method=method))
    return process_time() - started


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=("bert", "gpt2"), default="bert")
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    print((cost() if options.cost else moved(options.family)).text())


if __name__ == "__main__":
    main()

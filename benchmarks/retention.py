"""Edits of one model in a row: what each reached, and what the later ones left of it.

    python -m benchmarks.retention ATLAS [--model MODEL] [--neurons kn] [--count 100] [--groups 5] [--seed 1]

Each edit gives a random fact of the atlas a random other object of its relation, in the languages that the fact has
names in, at most four, and stands on those before it. The edits are recorded in the atlas; one that did not converge
changed nothing and stands in no row.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

import atlas
from atlas.editing.job import Done, EditOptions, edit_facts
from atlas.store.stored import stored_facts
from benchmarks.editing import random_requests
from benchmarks.tables import Cell, Table

MEASURES = ("efficacy", "retention", "paraphrase", "locality", "neighbour")


def main() -> None:
    """Make the edits and print what is left of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--neurons", default="kn")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with atlas.open(given.atlas) as opened:
        facts = stored_facts(opened).facts
    options = EditOptions(
        db=given.atlas, model=given.model, neurons=given.neurons, force=True, together=True,
        settings={"seed": given.seed},
    )  # fmt: skip
    done = edit_facts(options, random_requests(list(facts), given.count, given.seed))
    print(curve(done, given.groups).text(), flush=True)


def curve(done: Sequence[Done], groups: int) -> Table:
    """Return the mean of each measure over the edits of a group, the first made first."""
    made = [(len(done) - place - 1, one.rates) for place, one in enumerate(done) if one.made and one.made.converged]
    rows = [_row(f"{own[-1][0]} to {own[0][0]}", [rates for _, rates in own]) for own in _split(made, groups)]
    refused = sum(one.made is None for one in done)
    title = f"{len(done)} edits in a row, {len(done) - len(made) - refused} not converged, {refused} not made"
    return Table(title, ("edits after it", "edits", *MEASURES), [*rows, _row("all", [rates for _, rates in made])])


def _split(made: list[tuple[int, dict[str, float]]], groups: int) -> list[list[tuple[int, dict[str, float]]]]:
    """Part the edits, in order, into groups of like size."""
    bounds = np.linspace(0, len(made), min(groups, len(made)) + 1).astype(int).tolist()
    return [made[low:high] for low, high in pairwise(bounds)]


def _row(name: str, rates: Sequence[dict[str, float]]) -> list[Cell]:
    held = {measure: [own[measure] for own in rates if measure in own] for measure in MEASURES}
    return [name, len(rates), *(round(float(np.mean(values)), 3) if values else None for values in held.values())]


if __name__ == "__main__":
    main()

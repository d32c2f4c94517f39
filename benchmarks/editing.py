"""Random edits of the demo models: what they change, what they leave alone, how long they take.

    python -m benchmarks.editing FOLDER [demo-mbert demo-mgpt] [--count 100] [--controls 100] [--seed 1]

FOLDER keeps the models' atlases (100 bundled facts, `amig`), built where absent. Each edit gives a random fact a random
other object of its relation in four random languages of the six; the first `--controls` of them are tried at as many
random neurons too. Prints a table for each model and returns 1 where a demand is missed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import atlas
from atlas.building.job import BuildOptions, build
from atlas.editing.applying import apply_edit, undo_edit
from atlas.editing.files import load_edit
from atlas.editing.job import Done, EditOptions, edit_facts, rates_of
from atlas.editing.making import Made, make_edit
from atlas.editing.requests import EditSettings, Request
from atlas.editing.sources import Choice, random_choices
from atlas.facts import Fact
from atlas.ids import stable_id
from atlas.models import LanguageModel, load_model
from atlas.store.stored import Prompts, stored_facts
from benchmarks.tables import Cell, Table

LANGUAGES = 4
SECONDS = 300


@dataclass(frozen=True)
class Measure:
    """A row of the table: its value for the edits and for random neurons, and what is demanded of the first."""

    name: str
    value: float
    control: float = float("nan")
    least: float = float("-inf")
    most: float = float("inf")

    @property
    def reached(self) -> bool:
        """Whether the demand is met."""
        return self.least <= self.value <= self.most

    def row(self) -> list[Cell]:
        """Return the cells: name, values, demand."""
        bounds = [f">= {self.least:g}"] * (self.least > float("-inf")) + [f"<= {self.most:g}"] * (self.most < 1e9)
        cells = [None if value != value else round(value, 3) for value in (self.value, self.control)]
        return [self.name, *cells, *(bounds or ["-"])]


def main(arguments: Sequence[str]) -> int:
    """Measure every model, print its table, and return 1 if a demand is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.editing")
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=["demo-mbert", "demo-mgpt"])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--controls", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    missed = False
    for name in given.models:
        db = given.folder / f"{name}.duckdb"
        build(BuildOptions(model=name, limit=100, db=db))
        measures = measure_edits(db, name, given.count, given.controls, given.seed)
        title = f"{name}, {given.count} edits, {min(given.count, given.controls)} controls, seed {given.seed}"
        table = Table(title, ["measure", "edit", "random neurons", "demanded"], [m.row() for m in measures])
        print(table.text(), flush=True)
        missed |= not all(measure.reached for measure in measures)
    return int(missed)


def measure_edits(db: Path, name: str, count: int, most_controls: int, seed: int) -> list[Measure]:
    """Make the edits and the controls and return what they reach; files go to a temporary folder."""
    with atlas.open(db) as opened:
        prompts = Prompts(stored_facts(opened))
    model = load_model(name)
    with tempfile.TemporaryDirectory() as folder:
        options = EditOptions(db=db, model=name, force=True, files=Path(folder), settings={"seed": seed})
        requests = random_requests(list(prompts.facts.values()), count, seed)
        start = time.perf_counter(), time.process_time()
        done = edit_facts(options, requests)
        seconds, processor = time.perf_counter() - start[0], time.process_time() - start[1]
        undone = sum(returns_to_the_bit(model, one) for one in done if one.file)
    controls = [control(model, prompts, one, seed) for one in done[:most_controls]]
    return [
        *compared([one.made for one in done], controls),
        Measure("neurons, median", float(np.median([len(one.made.edit.neurons) for one in done if one.made]))),
        Measure(
            "undone to the bit, of the edits made", undone / max(1, sum(one.file is not None for one in done)), least=1
        ),
        Measure("seconds", seconds, most=SECONDS * count / 100),
        Measure("processor seconds", processor),
    ]


def random_requests(facts: Sequence[Fact], count: int, seed: int) -> list[Request]:
    """Return edits of `count` random facts: another object of the relation, in `LANGUAGES` of the fact's languages.

    Facts whose relation has no other object are left out.
    """
    generator = np.random.default_rng(stable_id("benchmark-editing", seed))
    objects = {fact.relation: {f.object for f in facts if f.relation == fact.relation} for fact in facts}
    facts = [fact for fact in facts if len(objects[fact.relation]) > 1]
    requests = []
    for place in generator.permutation(len(facts))[:count]:
        fact = facts[place]
        others = sorted(objects[fact.relation] - {fact.object})
        languages = generator.permutation(sorted(fact.labels))[:LANGUAGES].tolist()
        requests.append(Request(str(fact.id), str(generator.choice(others)), languages=tuple(sorted(languages))))
    return requests


def control(model: LanguageModel, prompts: Prompts, done: Done, seed: int) -> Made | None:
    """Make the same edit at as many random neurons."""
    if done.made is None or done.target is None:
        return None
    choice = Choice("random", tuple(done.made.edit.neurons))
    shape = (model.info.layers, model.info.neurons)
    places = random_choices([choice], shape, done.target.fact.id, seed)
    return make_edit(model, done.target, prompts, places, EditSettings(seed=seed), force=True)


def compared(edits: Sequence[Made | None], controls: Sequence[Made | None]) -> list[Measure]:
    """Return every measure of the edits beside that of the controls."""

    def measure(name: str, of: Callable[[Sequence[Made | None]], float], least: float = float("-inf")) -> Measure:
        return Measure(name, of(edits), of(controls), least)

    transfer = measure("transfer", lambda group: rate(group, "transfer"))
    ratio = transfer.value / transfer.control if transfer.control else float("inf")
    return [
        measure("converged", lambda group: float(np.mean([made is not None and made.converged for made in group]))),
        measure("efficacy: every prompt of every edited language", complete, 0.95),
        measure("efficacy, prompts", lambda group: rate(group, "efficacy")),
        measure("paraphrase, of the prompts known before", lambda group: rate(group, "paraphrase"), 0.70),
        transfer,
        Measure("transfer, as often as random neurons", ratio, least=3),
        measure("locality: unrelated facts keep their argmax", lambda group: kept(group, "locality"), 0.97),
        measure("facts of the relation keep their argmax", lambda group: kept(group, "neighbour")),
    ]


def complete(group: Sequence[Made | None]) -> float:
    """Return the share of edits after which every edited prompt says the new object."""
    return float(np.mean([made is not None and rates_of(made.outcomes).get("efficacy") == 1 for made in group]))


def rate(group: Sequence[Made | None], measure: str) -> float:
    """Return the mean over edits; one that was not made reached nothing, one without such prompts does not count."""
    rates = [rates_of(made.outcomes) if made and made.converged else {measure: 0.0} for made in group]
    return float(np.mean([own[measure] for own in rates if measure in own]))


def kept(group: Sequence[Made | None], measure: str) -> float:
    """Return the mean over the edits that were made."""
    rates = [rates_of(made.outcomes) for made in group if made and made.converged]
    return float(np.mean([own[measure] for own in rates if measure in own])) if rates else float("nan")


def returns_to_the_bit(model: LanguageModel, done: Done) -> bool:
    """Apply the edit's file and undo it; return whether something changed and every weight came back."""
    assert done.file is not None
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    edit = load_edit(done.file)
    apply_edit(model, edit)
    changed = model.info.digest != edit.record.digest
    undo_edit(model, edit)
    return changed and all(torch.equal(value, before[name]) for name, value in model.model.state_dict().items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

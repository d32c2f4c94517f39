"""How long a report of a large atlas takes, and what memory: `python -m benchmarks.report FOLDER [--facts 10000]`.

Makes an atlas of made-up facts with the shape of a real one (12 layers of 3,072 neurons, three prompts in each of six
languages) in FOLDER, unless one is there, and writes its report in a process of its own, on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

import atlas
from atlas import schema
from atlas.facts import Fact, FactSet, Label, Prompt, Template
from atlas.store import Writer

LANGUAGES = ("ar", "de", "en", "fr", "ru", "zh")
LAYERS, NEURONS, TEMPLATES, RELATIONS = 12, 3072, 3, 40
FACTS_A_BATCH = 250
SHARED, OF_RELATION, OF_LANGUAGE, NOISE = 3, 4, 3, 30
FLOOR = 0.05

_CHILD = """
import json, resource, sys, time
from atlas.cli.main import main
started = time.perf_counter()
code = main(["report", "--db", sys.argv[1], "--out", sys.argv[2]])
peak = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": int(code), "s": time.perf_counter() - started, "cpu": peak.ru_utime + peak.ru_stime,
                  "mib": peak.ru_maxrss / 1024}))
"""


def main() -> None:
    """Make the atlas if it is missing, write its report, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--facts", type=int, default=10_000)
    given = parser.parse_args()
    db = given.folder / f"report-{given.facts}.duckdb"
    if not db.exists():
        given.folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        with atlas.open(db, "w") as writer:
            fill(writer, given.facts)
        print(f"made {db} ({db.stat().st_size / 2**20:,.0f} MiB) in {time.perf_counter() - started:.0f} s")
    print(json.dumps(measured(db, given.folder / "site"), indent=1))


def measured(db: Path, site: Path) -> dict[str, float]:
    """Return seconds, peak memory in MiB, pages and the largest page in kB of the report of `db`."""
    cores = {"preexec_fn": lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])}
    command = [sys.executable, "-c", _CHILD, str(db), str(site)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, **cores)  # type: ignore[call-overload]
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    sizes = [path.stat().st_size for path in site.rglob("*.html")]
    return found | {"pages": len(sizes), "largest_kb": max(sizes) / 1000, "site_mb": sum(sizes) / 1e6}


def fill(writer: Writer, count: int) -> None:
    """Load `count` facts and one run of them."""
    given = facts(count)
    writer.add_facts(given)
    info = {"name": "made-up", "family": "bert", "kind": "masked", "layers": LAYERS, "neurons": NEURONS, "hidden": 768}
    model = writer.add_model(info | {"vocabulary": 100_000, "revision": "0", "digest": "made-up"})
    run = writer.start_run(model=model, method="amig", settings={"floor": FLOOR}, seed=0, versions={})
    for first in range(0, count, FACTS_A_BATCH):
        part = FactSet("part", given.facts[first : first + FACTS_A_BATCH], given.templates)
        prompts = list(part.prompts())
        writer.add_prompts(prompts)
        writer.load_batch(dict(_scores(run, prompts, np.random.default_rng(first))))
    writer.finish_run(run)


def facts(count: int) -> FactSet:
    """Return made-up facts with labels in every language, evenly in every relation."""
    names = {"ar": "اسم", "zh": "名字", "ru": "имя"}
    labels = [
        {code: Label(f"{names.get(code, 'Name')} {n}", f"{names.get(code, 'name')} {n % 97}") for code in LANGUAGES}
        for n in range(count)
    ]
    made = [Fact(f"P{n % RELATIONS + 1}", f"s{n}", f"o{n % 97}", label) for n, label in enumerate(labels)]
    templates = [
        Template(f"P{relation + 1}", code, f"{number} {code}: the relation of [X] is [Y]")
        for relation in range(RELATIONS)
        for code in LANGUAGES
        for number in range(TEMPLATES)
    ]
    return FactSet("made-up", made, templates)


def _scores(run: int, prompts: list[Prompt], draw: np.random.Generator) -> Iterator[tuple[str, pa.Table]]:
    """Yield the three tables of a batch: neurons of the fact, of the relation, of the language, and noise."""
    places = np.stack([_places(prompt, draw) for prompt in prompts])
    amplitudes = np.repeat([1.0, 0.6, 0.4, 0.1], [SHARED, OF_RELATION, OF_LANGUAGE, NOISE])
    scores = (amplitudes * draw.uniform(0.6, 1.0, places.shape) * 0.01).astype(np.float32)
    prompt = np.array([prompt.id for prompt in prompts])
    n = len(prompts)
    ones = {"run": np.full(n, run), "prompt": prompt}
    probability = draw.uniform(0.001, 0.9, n)
    yield (
        "probe",
        _table(
            "probe",
            ones
            | {
                "status": ["ok"] * n,
                "probability": probability,
                "mean_probability": probability,
                "rank": draw.integers(1, 6, n),
                "prediction": [item.answer for item in prompts],
                "tokens": ["[]"] * n,
                "max_score": scores.max(axis=1),
            },
        ),
    )
    layered = {name: np.repeat(column, LAYERS) for name, column in ones.items()}
    f = np.repeat(probability, LAYERS)
    layer = {"layer": np.tile(np.arange(LAYERS), n), "score_sum": f, "f": f, "f_baseline": f * 0}
    error = {
        "completeness_error": draw.uniform(0, 1e-4, n * LAYERS),
        "nodes": np.full(n * LAYERS, 4),
        "score_error": np.zeros(n * LAYERS),
    }
    yield "probe_layer", _table("probe_layer", layered | layer | error)
    wide = {name: np.repeat(column, places.shape[1]) for name, column in ones.items()}
    flat = places.ravel()
    rows = {"layer": flat // NEURONS, "neuron": flat % NEURONS, "score": scores.ravel()}
    yield "attribution", _table("attribution", wide | rows)


def _places(prompt: Prompt, draw: np.random.Generator) -> np.ndarray:
    """Return the prompt's neurons, all different, as layer * NEURONS + neuron."""
    own = np.concatenate(
        [
            _picked(prompt.fact.id, SHARED, 0, 2400),
            _picked(hash_of(prompt.fact.relation), OF_RELATION, 2400, 2900),
            _picked(hash_of(prompt.language), OF_LANGUAGE, 2900, NEURONS),
        ]
    )
    free = np.setdiff1d(draw.integers(0, LAYERS * NEURONS, NOISE + 40), own)
    return np.concatenate([own, draw.permutation(free)[:NOISE]])


def _picked(seed: int, count: int, first: int, last: int) -> np.ndarray:
    """Return `count` neurons of any layer, whose number in it is from `first` to below `last`."""
    draw = np.random.default_rng(seed)
    width = last - first
    chosen = draw.choice(LAYERS * width, count, replace=False)
    return chosen // width * NEURONS + first + chosen % width


def hash_of(text: str) -> int:
    """Return a number for a text, the same in every process."""
    return int.from_bytes(text.encode(), "big")


def _table(name: str, columns: Mapping[str, object]) -> pa.Table:
    target = schema.arrow(name)
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in target], schema=target)


if __name__ == "__main__":
    main()

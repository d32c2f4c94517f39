"""The atlas file at size: loading, space on disk, the time of its queries and the memory of its views.

    python -m benchmarks.store make FILE      # 100 million made-up scores, in some minutes
    python -m benchmarks.store ask FILE       # the queries that people wait for
    python -m benchmarks.store views FILE     # every view, each in a process of its own
    python -m benchmarks.store evidence FILE  # exchanged facts, of all facts and of one
    python -m benchmarks.store signs FILE     # what the scores below zero take of any atlas's file

All on two threads and 4 GB. The scores are seeded and made piece by piece: neurons of the relation, of the fact, of the
language and of the relation in the language, and noise, each as strong as it happens to be in the language.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

import atlas
from atlas import schema
from atlas.store.connection import STORAGE_VERSION
from benchmarks.tables import Table

MEMORY, THREADS = "4GB", 2
LAYERS, NEURONS = 12, 3072
FLOOR = 0.05
PIECE = 50
"""Facts made and loaded at a time."""
POOLS = {"relation": 250, "fact": 60, "language": 250, "relation in language": 250, "noise": 250}
"""Neurons that a prompt's scores are drawn from, by what they serve."""


@dataclass(frozen=True)
class Size:
    """How much is made; two templates of 8,000 facts in 17 languages give some 100 million scores."""

    facts: int = 8000
    relations: int = 40
    languages: int = 17
    templates: int = 2
    seed: int = 8

    @property
    def codes(self) -> list[str]:
        """The languages' codes."""
        return [f"l{number:02}" for number in range(self.languages)]

    @property
    def names(self) -> list[str]:
        """The relations' codes."""
        return [f"P{number}" for number in range(self.relations)]


class World:
    """Made-up facts and scores of one run, the same for the same size."""

    def __init__(self, size: Size) -> None:
        self.size = size
        random = np.random.default_rng(size.seed)
        self.facts = _ids(random, size.facts)
        self.templates = _ids(random, size.relations, size.languages, size.templates)
        self.prompts = _ids(random, size.facts, size.languages, size.templates)
        self.relation_of = np.arange(size.facts) * size.relations // size.facts
        self.of_relation = _pool(random, size.relations, 1, POOLS["relation"])
        self.of_language = _pool(random, 1, size.languages, POOLS["language"])
        self.of_both = _pool(random, size.relations, size.languages, POOLS["relation in language"])

    def keyed(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the tables of facts and prompts."""
        size, relations = self.size, np.array(self.size.names)[self.relation_of]
        yield "language", _table("language", size.codes, size.codes, [False] * size.languages)
        yield "relation", _table("relation", size.names, size.names)
        subjects, objects = _numbered("subject", size.facts), _numbered("object", size.facts)
        yield "fact", _table("fact", self.facts, relations, subjects, objects)
        fact, language = (axis.ravel() for axis in np.indices((size.facts, size.languages)))
        codes = np.array(size.codes)
        yield "fact_label", _table("fact_label", self.facts[fact], codes[language], subjects[fact], objects[fact])
        yield "template", self._templates()
        yield "prompt", self._prompts(subjects, objects)

    def pieces(self, run: int) -> Iterator[dict[str, pa.Table]]:
        """Yield batches of `PIECE` facts for `load_batch`."""
        for first in range(0, self.size.facts, PIECE):
            yield self._piece(run, np.arange(first, min(first + PIECE, self.size.facts)))

    def _templates(self) -> pa.Table:
        names, codes = np.array(self.size.names), np.array(self.size.codes)
        relation, language, number = (axis.ravel() for axis in np.indices(self.templates.shape))
        texts = [
            f"[X] stands in {names[r]} to [Y], {codes[c]} {n}"
            for r, c, n in zip(relation, language, number, strict=True)
        ]
        flags = np.zeros(len(texts), bool), np.ones(len(texts), bool)
        kinds = ["stated"] * len(texts)
        return _table("template", self.templates.ravel(), names[relation], codes[language], texts, *flags, kinds)

    def _prompts(self, subjects: npt.NDArray[np.str_], objects: npt.NDArray[np.str_]) -> pa.Table:
        fact, language, number = (axis.ravel() for axis in np.indices(self.prompts.shape))
        relation, codes = self.relation_of[fact], np.array(self.size.codes)
        texts = [
            f"{subjects[f]} stands in P{r} to [Y], {codes[c]} {n}"
            for f, r, c, n in zip(fact, relation, language, number, strict=True)
        ]
        template = self.templates[relation, language, number]
        return _table("prompt", self.prompts.ravel(), self.facts[fact], codes[language], template, texts, objects[fact])

    def _piece(self, run: int, facts: npt.NDArray[np.int64]) -> dict[str, pa.Table]:
        """Return the batch of some facts: candidates `[prompt, neuron]`, each once, those above the floor."""
        random = np.random.default_rng((self.size.seed, int(facts[0])))
        neuron, score = self._candidates(random, facts)
        # One number sorts by neuron, then score, so that the stronger of two equal neurons comes last.
        packed = np.sort(neuron.astype(np.uint64) << 32 | score.view(np.uint32), axis=1)
        neuron, score = (packed >> 32).astype(np.uint32), packed.astype(np.uint32).view(np.float32)
        last = np.append(neuron[:, 1:] != neuron[:, :-1], np.ones((len(neuron), 1), bool), axis=1)
        prompts = self.prompts[facts].ravel()
        kept = last & (score >= FLOOR * score.max(axis=1, keepdims=True))
        sums = np.zeros((len(prompts), LAYERS))
        np.add.at(sums, (np.nonzero(kept)[0], neuron[kept] // NEURONS), score[kept])
        return {
            "probe": _probes(run, prompts, score.max(axis=1), random),
            "probe_layer": _layers(run, prompts, sums, random),
            "attribution": _table(
                "attribution",
                np.full(kept.sum(), run),
                np.repeat(prompts, kept.sum(axis=1)),
                (neuron[kept] // NEURONS).astype(np.uint16),
                neuron[kept] % NEURONS,
                score[kept],
            ),
        }

    def _candidates(
        self, random: np.random.Generator, facts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return neurons and scores `[prompt, candidate]` of some facts."""
        relation, shape = self.relation_of[facts], (len(facts), self.size.languages, self.size.templates)
        pools = [
            self.of_relation[relation],
            _pool(random, len(facts), 1, POOLS["fact"]),
            self.of_language,
            self.of_both[relation],
        ]
        shared = np.concatenate([np.broadcast_to(p, (*shape[:2], *p.shape[2:])) for p in pools], axis=2)
        shared[..., 1] *= random.lognormal(0, 0.3, shared.shape[:-1])
        noise = _pool(random, *shape, POOLS["noise"])
        each = np.broadcast_to(shared[:, :, None], (*shape, *shared.shape[2:]))
        neuron, strength = np.moveaxis(np.concatenate([each, noise], axis=3).reshape(np.prod(shape), -1, 2), 2, 0)
        score = strength * random.lognormal(-7, 0.2, strength.shape)
        return neuron.astype(np.int64), score.astype(np.float32)


def _ids(random: np.random.Generator, *shape: int) -> npt.NDArray[np.int64]:
    return random.integers(0, 2**63 - 1, shape)


def _numbered(word: str, count: int) -> npt.NDArray[np.str_]:
    return np.array([f"{word} {number}" for number in range(count)])


def _pool(random: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
    """Return neurons `[..., neuron, 2]` with their strengths: many weak, few strong."""
    neuron = random.integers(0, LAYERS * NEURONS, shape)
    return np.stack([neuron, 18 ** random.random(shape) ** 6], axis=-1)


def _table(name: str, *columns: object) -> pa.Table:
    """Return the columns of a table; those at the end that are left out are NULL."""
    target = schema.arrow(name)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, target, strict=False)]
    rest = [pa.nulls(len(arrays[0]), field.type) for field in list(target)[len(columns) :]]
    return pa.Table.from_arrays(arrays + rest, schema=target)


def _probes(
    run: int, prompts: npt.NDArray[np.int64], largest: npt.NDArray[np.float32], random: np.random.Generator
) -> pa.Table:
    count = len(prompts)
    probability = random.beta(1, 8, count)
    rank = random.geometric(0.2, count)
    words = [f"word {number}" for number in random.integers(0, 2000, count)]
    tokens = [json.dumps([word]) for word in words]
    same = (np.full(count, run), prompts, ["ok"] * count)
    return _table("probe", *same, probability, probability, rank, words, tokens, largest)


def _layers(
    run: int, prompts: npt.NDArray[np.int64], sums: npt.NDArray[np.float64], random: np.random.Generator
) -> pa.Table:
    count = sums.size
    error = random.normal(0, 1e-5, count)
    after = np.repeat(random.beta(1, 8, len(prompts)), LAYERS)
    return _table(
        "probe_layer",
        np.full(count, run),
        np.repeat(prompts, LAYERS),
        np.tile(np.arange(LAYERS), len(prompts)),
        sums.ravel(),
        after,
        after - sums.ravel() + error,
        abs(error),
        np.full(count, 4),
    )


def make(path: Path, size: Size) -> Table:
    """Make the atlas at `path` and return how fast its scores were loaded and how large it is."""
    world, rows, clock = World(size), 0, Clock()
    writer = atlas.open(path, "w", memory_limit=MEMORY, threads=THREADS)
    for name, table in world.keyed():
        writer.load(name, table)
    run = writer.start_run(
        model=writer.add_model(MODEL), method="amig", settings={"floor": FLOOR}, seed=size.seed, versions={}
    )
    for piece in world.pieces(run):
        with clock:
            rows += writer.load_batch(piece)["attribution"]
    with clock:
        writer.finish_run(run)
        writer.close()
    columns = ("scores", *CLOCK, "million a second", "GB on disk", "bytes a score")
    bytes_ = path.stat().st_size
    return Table("Loading", columns, [(rows, *clock.read, rows / clock.wall / 1e6, bytes_ / 1e9, bytes_ / rows)])


CLOCK = ("seconds", "processor seconds")


class Clock:
    """Seconds passed and processor seconds of this process, added up over the times it is entered."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __enter__(self) -> None:
        """Begin."""
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        """Add what has passed."""
        self.wall += time.perf_counter() - self._begun[0]
        self.processor += time.process_time() - self._begun[1]

    @property
    def read(self) -> tuple[float, float]:
        """What has passed."""
        return self.wall, self.processor


def ask(path: Path) -> Table:
    """Time the queries that people wait for, the best of three."""
    with atlas.open(path, memory_limit=MEMORY, threads=THREADS) as opened:
        rows = []
        for name, query in _questions(opened).items():
            clocks = [_timed(opened, query) for _ in range(3)]
            rows.append((name, *min(clock.read for clock in clocks)))
    return Table("Queries", ("query", *CLOCK), rows)


def _questions(opened: atlas.Atlas) -> dict[str, str]:
    fact = opened.sql("SELECT fact FROM fact ORDER BY fact LIMIT 1 OFFSET 1000")["fact"][0].as_py()
    often = """
        SELECT layer, neuron FROM attribution WHERE place < 10000 GROUP BY ALL
        ORDER BY count(*) DESC, layer, neuron LIMIT 1
    """
    where = "layer = {layer} AND neuron = {neuron}".format(**opened.sql(often).to_pylist()[0])
    default = "definition = 'default'"
    return {
        "LIKN of a fact": f"FROM likn_all WHERE {default} AND fact = {fact}",
        "LIKN of all facts": f"SELECT count(*), bit_xor(hash(v)) FROM likn_all AS v WHERE {default}",
        "a neuron's facts": f"SELECT DISTINCT fact FROM knowledge_neuron_all WHERE {default} AND {where}",
    }


def evidence(path: Path) -> Table:
    """Time what asks how many LIKNs exchanged facts have, of all facts and of one, each once."""
    with atlas.open(path, memory_limit=MEMORY, threads=THREADS) as opened:
        fact = opened.sql("SELECT fact FROM fact ORDER BY fact LIMIT 1 OFFSET 1000")["fact"][0].as_py()
        of_one, of_all = f"FROM likn_exchange_at(of_fact := {fact})", "FROM likn_exchange_at()"
        controls = "FROM likn_control_at()", "FROM language_overlap_at()"
        rows = [(query, *_timed(opened, query).read) for query in (of_one, of_all, *controls)]
    return Table("Exchanged facts", ("query", *CLOCK), rows)


def signs(path: Path) -> Table:
    """Write all tables of an atlas anew, with and without the scores below zero, and compare the files' sizes."""
    sizes = [_rewritten(path, kept) for kept in ("true", "score > 0")]
    rows = [("all", *sizes[0], sizes[0][1] / sizes[1][1]), ("positive", *sizes[1], 1.0)]
    return Table("Scores below zero", ("scores", "rows", "bytes", "times the positive ones'"), rows)


def _rewritten(path: Path, kept: str) -> tuple[int, int]:
    """Return the number of scores that are `kept`, and the bytes of a new file of all tables with them."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        made = Path(folder) / "made.duckdb"
        connection.execute(f"SET threads = 1; ATTACH '{path}' AS old (READ_ONLY)")
        connection.execute(f"ATTACH '{made}' AS new (STORAGE_VERSION '{STORAGE_VERSION}')")
        named = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'"
        for (name,) in connection.execute(named).fetchall():
            where = f"WHERE {kept}" if name == "attribution" else ""
            connection.execute(f'CREATE TABLE new."{name}" AS FROM old."{name}" {where}')
        (scores,) = connection.execute("SELECT count(*) FROM new.attribution").fetchone() or (0,)
        connection.execute("DETACH new")
        return scores, made.stat().st_size


def _timed(opened: atlas.Atlas, query: str) -> Clock:
    clock = Clock()
    with clock:
        opened.sql(query)
    return clock


def views(path: Path) -> Table:
    """Read every view whole, each in a process of its own, for its time and peak memory."""
    with atlas.open(path) as opened:
        names = opened.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1")[
            "view_name"
        ].to_pylist()
    rows = [_view(path, name) for name in names]
    return Table("Views, all definitions", ("view", "rows", *CLOCK, "peak memory, GB"), rows)


def _view(path: Path, name: str) -> tuple[str | float, ...]:
    command = [sys.executable, "-m", "benchmarks.store", "view", str(path), name]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    print(name, ended.stdout, ended.stderr[-300:], file=sys.stderr)
    return name, *(json.loads(ended.stdout) if ended.returncode == 0 else ("failed", *(float("nan"),) * 3))


def _read_view(path: Path, name: str) -> None:
    """Print rows, seconds, processor seconds and peak memory of one view."""
    clock = Clock()
    with atlas.open(path, memory_limit=MEMORY, threads=THREADS) as opened, clock:
        found = opened.sql(f'SELECT count(*) AS n, bit_xor(hash(v)) AS all_columns FROM "{name}" AS v')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps([found["n"][0].as_py(), *clock.read, peak]))


MODEL = {
    "name": "made-up",
    "family": "bert",
    "kind": "masked",
    "layers": LAYERS,
    "neurons": NEURONS,
    "hidden": 768,
    "vocabulary": 119547,
    "revision": None,
    "digest": "made-up",
}


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "ask", "views", "view", "evidence", "signs"))
    parser.add_argument("file", type=Path)
    parser.add_argument("view", nargs="?", help="one view, for `view`")
    for name in ("facts", "languages", "templates"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Size(), name), help=f"{name} to make")
    options = parser.parse_args()
    if options.what == "view":
        _read_view(options.file, options.view)
        return
    work: dict[str, Callable[[], Table]] = {
        "make": lambda: make(
            options.file, Size(facts=options.facts, languages=options.languages, templates=options.templates)
        ),
        "evidence": lambda: evidence(options.file),
        "signs": lambda: signs(options.file),
        "ask": lambda: ask(options.file),
        "views": lambda: views(options.file),
    }
    print(work[options.what]().text())


if __name__ == "__main__":
    main()

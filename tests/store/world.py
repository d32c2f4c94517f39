"""Small made-up runs: as values, as an atlas, and what the method says of them, worked out by brute force."""

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

import atlas
from atlas import schema
from atlas.facts import Fact, FactSet, Label, Template
from atlas.facts import Prompt as Filled
from atlas.ids import stable_id

LAYERS, NEURONS, FLOOR = 3, 4, 0.05
MODEL = {
    "name": "made",
    "family": "bert",
    "kind": "masked",
    "layers": LAYERS,
    "neurons": NEURONS,
    "hidden": 8,
    "vocabulary": 100,
    "revision": None,
    "digest": "made",
}
STATUSES = ("ok", "ok", "ok", "not_converged", "unspellable")
UNIVERSE = [(layer, neuron) for layer in range(LAYERS) for neuron in range(NEURONS)]


@dataclass(frozen=True)
class Probed:
    """One prompt: status, all scores `[layer * neuron]`, rank of the answer's first token.

    `argmax`: whether every token of the answer is the first choice; None where the atlas does not say.
    """

    fact: int
    language: str
    template: int
    status: str
    scores: tuple[float, ...]
    rank: int = 1
    argmax: bool | None = None

    @property
    def usable(self):
        return self.status in ("ok", "not_converged")

    @property
    def scored(self):
        return self.usable or self.status == "unresolved"

    @property
    def unknown(self):
        return self.template % 2

    @property
    def known(self):
        return self.rank == 1 if self.argmax is None else self.argmax

    @property
    def matrix(self):
        return np.array(self.scores, dtype=np.float32).reshape(LAYERS, NEURONS)

    def stored(self, floor=FLOOR):
        """The positive scores that reach the floor, by neuron."""
        return {n: score for n, score in self.signed(floor).items() if score > 0}

    def signed(self, floor=FLOOR):
        """The scores that reach the floor in absolute value, by neuron; none where no score is positive."""
        matrix, top = self.matrix, self.matrix.max()
        reaching = [n for n in UNIVERSE if matrix[n] != 0 and top > 0 and abs(matrix[n]) >= np.float32(floor) * top]
        return {n: float(matrix[n]) for n in reaching}


@dataclass(frozen=True)
class World:
    """Relations of the facts, and the probes of one run."""

    relations: tuple[str, ...]
    probes: tuple[Probed, ...]

    def fact(self, number):
        labels = {code: Label(f"s{number}-{code}", f"o{number}") for code in ("en", "fr", "zh")}
        return Fact(self.relations[number], f"s{number}", f"o{number}", labels)

    def prompt(self, probe):
        fact = self.fact(probe.fact)
        return Filled(fact, Template(fact.relation, probe.language, f"t{probe.template} [X] [Y]"))

    def facts(self):
        facts = [self.fact(n) for n in range(len(self.relations))]
        templates = [self.prompt(probe).template for probe in self.probes]
        return FactSet("made", facts, templates)

    def usable(self, fact, language):
        return [p for p in self.probes if p.usable and (p.fact, p.language) == (fact, language)]

    def languages(self, fact):
        return sorted({p.language for p in self.probes if p.usable and p.fact == fact})


def scores():
    """Scores of one prompt; many are zero, some below zero."""
    return st.lists(st.sampled_from([0, 0, 0, 1, 5, 20, 40, 60, 90, 100, -10]), min_size=12, max_size=12).map(
        lambda values: tuple(value / 100 for value in values)
    )


@st.composite
def worlds(draw, facts=4, languages=("en", "fr", "zh")):
    """Runs over a few facts of two relations, up to three languages and three templates."""
    relations = tuple(draw(st.lists(st.sampled_from(["P1", "P2"]), min_size=1, max_size=facts)))
    probes = []
    for fact in range(len(relations)):
        for language in draw(st.sets(st.sampled_from(languages))):
            for template in range(draw(st.integers(1, 3))):
                status = _status(draw(st.sampled_from(STATUSES)), template)
                rank = draw(st.integers(1, 2))
                argmax = _argmax(rank, fact, template)
                probes.append(Probed(fact, language, template, status, draw(scores()), rank, argmax))
    return World(relations, tuple(probes))


def _status(status, template):
    """Of some templates a prompt that cannot be used has scores, which count nowhere."""
    return "unresolved" if status == "unspellable" and template % 2 else status


def _argmax(rank, fact, template):
    """Of one template the atlas does not say; of others more tokens than the first may be asked."""
    return None if template == 2 else rank == 1 and (fact + template) % 3 > 0


def _chosen(pick, fact, template):
    rank = pick.randint(1, 2)
    return rank, _argmax(rank, fact, template)


def random_world(seed, facts=5):
    """A world as `worlds` gives them, from a seed: for tests that hold many at once."""
    pick = random.Random(seed)
    relations = tuple(pick.choice(["P1", "P2"]) for _ in range(pick.randint(1, facts)))
    values = [0, 0, 0, 0.01, 0.05, 0.2, 0.4, 0.6, 0.9, 1.0, 1.0, -0.1]
    probes = [
        Probed(
            fact, code, n, _status(pick.choice(STATUSES), n), tuple(pick.choices(values, k=12)), *_chosen(pick, fact, n)
        )
        for fact in range(len(relations))
        for code in ("en", "fr", "zh")[: pick.choice([1, 2, 3, 3, 3])]
        for n in range(pick.randint(1, 4))
    ]
    return World(relations, tuple(probes))


def batch(world, run, order=None, floor=FLOOR):
    """The three tables of the world's probes, in the given order of probes."""
    probes = [world.probes[i] for i in order] if order is not None else world.probes
    rows = {"probe": [], "probe_layer": [], "attribution": []}
    for probe in probes:
        key = {"run": run, "prompt": world.prompt(probe).id}
        rows["probe"].append(key | _probe(probe))
        if probe.scored:
            rows["probe_layer"] += [key | _layer(probe, layer) for layer in range(LAYERS)]
            rows["attribution"] += [
                key | {"layer": layer, "neuron": neuron, "score": score}
                for (layer, neuron), score in probe.signed(floor).items()
            ]
    return {name: pa.Table.from_pylist(found, schema=schema.arrow(name)) for name, found in rows.items()}


def _probe(probe):
    if not probe.scored:
        return {"status": probe.status}
    return {
        "status": probe.status,
        "probability": 0.5,
        "mean_probability": 0.5,
        "rank": probe.rank,
        "prediction": "x",
        "tokens": "[]",
        "max_score": float(probe.matrix.max()),
        "unknown_tokens": probe.unknown,
        "argmax": probe.argmax,
    }


def _layer(probe, layer):
    total = float(probe.matrix[layer].astype(np.float64).sum())
    return {
        "layer": layer,
        "score_sum": total,
        "f": total,
        "f_baseline": 0.0,
        "completeness_error": 0.0,
        "nodes": 2,
        "score_error": 0.0,
    }


def fill(writer, world, order=None, floor=FLOOR):
    """Load the world into an open atlas and return its run's id."""
    add_facts(writer, [world])
    return add_run(writer, world, order, floor=floor)


def add_facts(writer, worlds):
    """Add the facts and prompts of all worlds, and the model."""
    for world in worlds:
        writer.add_facts(world.facts())
    writer.add_prompts(world.prompt(probe) for world in worlds for probe in world.probes)
    writer.add_model(MODEL)


def add_run(writer, world, order=None, seed=0, digest="made", floor=FLOOR):
    """Add the run of `seed` on the model with this digest, holding the world, and return its id."""
    run = writer.start_run(
        model=stable_id("model", digest), method="amig", settings={"floor": floor}, seed=seed, versions={}
    )
    writer.load_batch(batch(world, run, order, floor))
    writer.finish_run(run)
    return run


def knowledge(world, fact, language, tau=0.2, share=0.5, normalization="none"):
    """METHOD 3: the neurons found in more than `share` of the usable prompts."""
    usable = world.usable(fact, language)
    count = defaultdict(int)
    for probe in usable:
        for neuron in passing(probe, tau, normalization):
            count[neuron] += 1
    return {neuron for neuron, n in count.items() if n > share * len(usable)}


def passing(probe, tau, normalization="none"):
    """Eq. 6-7: the neurons of one prompt that pass."""
    if normalization == "none":
        top = float(probe.matrix.max())
        return {n for n in UNIVERSE if float(probe.matrix[n]) > tau * top}
    sums = probe.matrix.astype(np.float64).sum(1)
    scores = {n: float(probe.matrix[n]) for n in UNIVERSE if probe.matrix[n] > 0 and sums[n[0]] > 0}
    quotients = {n: score / float(sums[n[0]]) for n, score in scores.items()}
    return {n for n, quotient in quotients.items() if quotient > tau * max(quotients.values())}


def likn(world, fact, min_languages=None, **thresholds):
    """Eq. 8: the neurons that are one in all of the fact's languages, or in at least `min_languages`."""
    languages = world.languages(fact)
    sets = [knowledge(world, fact, language, **thresholds) for language in languages]
    if len(languages) < 2:
        return set()
    least = len(languages) if min_languages is None else min_languages
    return {n for n in UNIVERSE if sets and sum(n in each for each in sets) >= least and any(n in s for s in sets)}


def mean_score(world, fact, language, neuron, tau=0.2):
    """Mean over the prompts in which the neuron passes."""
    found = [p for p in world.usable(fact, language) if neuron in passing(p, tau)]
    return np.mean([float(p.matrix[neuron]) for p in found])


def highest(world, fact, language, size):
    """The best neurons, at most `size`: knowledge neurons by mean score, then other stored ones by their sum."""
    found = knowledge(world, fact, language)
    first = sorted(found, key=lambda n: (-np.float32(mean_score(world, fact, language, n)), n))
    sums = Counter()
    for probe in world.usable(fact, language):
        sums.update({n: score for n, score in probe.stored().items() if n not in found})
    return (first + sorted(sums, key=lambda n: (-sums[n], n)))[:size]


def tail(population, sizes, observed, least=None):
    """P(at least `observed` elements lie in at least `least` random sets of these sizes), by counting cases."""
    least = len(sizes) if least is None else least
    states = {(population,): Fraction(1)}
    for size in sizes:
        states = _spread(states, size)
    return sum(p for counts, p in states.items() if sum(counts[least:]) >= observed)


def _spread(states, size):
    """Draw one more set: states are how many elements lie in 0, 1, 2, ... of the sets so far."""
    after = defaultdict(Fraction)
    for counts, p in states.items():
        for drawn in _splits(counts, size):
            ways = math.prod(math.comb(n, k) for n, k in zip(counts, drawn, strict=True))
            moved = [n - k for n, k in zip(counts, drawn, strict=True)] + [0]
            for i, k in enumerate(drawn):
                moved[i + 1] += k
            after[tuple(moved)] += p * Fraction(ways, math.comb(sum(counts), size))
    return after


def _splits(counts, size):
    if len(counts) == 1:
        yield from [(size,)] if size <= counts[0] else []
        return
    for k in range(min(counts[0], size) + 1):
        for rest in _splits(counts[1:], size - k):
            yield (k, *rest)


def partners(world, fact, slot, language, same_relation):
    """The fact that lends its set in the fact's `slot`-th language: itself in the first; None if there is no other."""
    ring = [n for n in range(len(world.relations)) if language in world.languages(n)]
    by_relation = {
        relation: sorted((n for n in ring if world.relations[n] == relation), key=lambda n: world.fact(n).id)
        for relation in sorted({world.relations[n] for n in ring})
    }
    own = by_relation[world.relations[fact]]
    if slot == 0:
        return fact
    if same_relation:
        return own[(own.index(fact) + _step(slot, len(own))) % len(own)] if len(own) > 1 else None
    relations = list(by_relation)
    if len(relations) == 1:
        return None
    place = relations.index(world.relations[fact]) + _step(slot, len(relations))
    other = by_relation[relations[place % len(relations)]]
    return other[own.index(fact) % len(other)]


def _step(slot, size):
    return 1 + (slot - 1) % (size - 1)


SAMPLE = World(
    ("P1", "P2"),
    tuple(
        Probed(fact, code, number, "ok", (1.0, 0.5, 0.0, 0.1) + (0.0,) * 8)
        for fact in (0, 1)
        for code in ("en", "fr")
        for number in (0, 1)
    ),
)


def count_probes(path):
    """Open the atlas at `path` and count; for other processes to call."""
    with atlas.open(path) as reader:
        return reader.sql("SELECT count(*) AS n FROM probe")["n"][0].as_py()

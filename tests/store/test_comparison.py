"""Two models side by side, against what brute force says and on runs small enough to count by hand."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from quick import first_quick
from store.world import (
    LAYERS,
    MODEL,
    SAMPLE,
    UNIVERSE,
    Probed,
    World,
    add_facts,
    add_run,
    highest,
    knowledge,
    partners,
    random_world,
)

import atlas
from atlas.errors import UsageError
from atlas.knockouts.rows import Trial, to_table

DEEP = MODEL | {"name": "deep", "digest": "deep", "layers": 2 * LAYERS}
PAIRS = [(10, 11), (16, 17), (18, 19), (34, 35)]
"""Seeds of worlds with common ground, the last one with LIKNs of different facts on both sides."""


def hold(path, a, b):
    """Fill the atlas at `path` with one run of each of two models and return their runs."""
    with atlas.open(path, "a") as writer:
        add_facts(writer, [a, b])
        writer.add_model(DEEP)
        return add_run(writer, a), add_run(writer, b, digest="deep")


class Ground:
    """What two worlds have in common, and what the method says of each there."""

    def __init__(self, a, b):
        self.worlds = (a, b)
        keys = [{(w.fact(p.fact).id, p.language, p.template): p for p in w.probes if p.usable} for w in (a, b)]
        self.common = {}
        for fact, language, template in keys[0].keys() & keys[1].keys():
            ranks = tuple(found[fact, language, template].known for found in keys)
            self.common.setdefault((fact, language), []).append(ranks)
        self.numbers = [{w.fact(n).id: n for n in range(len(w.relations))} for w in (a, b)]

    def languages(self, fact):
        return sorted(language for own, language in self.common if own == fact)

    @property
    def several(self):
        return {fact for fact, _ in self.common if len(self.languages(fact)) > 1}

    def known(self, side):
        return {key for key, ranks in self.common.items() if sum(r[side] for r in ranks) > len(ranks) / 2}

    def knowledge(self, side):
        world, numbers = self.worlds[side], self.numbers[side]
        return {(f, code, n) for f, code in self.common for n in knowledge(world, numbers[f], code)}

    def shared(self, fact, sets):
        return {(fact, None, n) for n in UNIVERSE if all(n in own for own in sets)}

    def likn(self, side):
        found = self.knowledge(side)
        sets = {f: [{n for n in UNIVERSE if (f, code, n) in found} for code in self.languages(f)] for f in self.several}
        return set().union(*(self.shared(f, own) for f, own in sets.items()))

    def lent(self, side, fact):
        """The sets of other facts in each of the fact's languages, None where there is no other fact."""
        world, number = self.worlds[side], self.numbers[side][fact]
        sets = []
        for code in self.languages(fact):
            other = partners(world, number, world.languages(number).index(code), code, True)
            if other is None:
                return None
            sets.append(set(highest(world, other, code, len(knowledge(world, number, code)))))
        return sets

    @property
    def lending(self):
        return {fact for fact in self.several if all(self.lent(side, fact) is not None for side in (0, 1))}

    def different(self, side):
        return set().union(*(self.shared(fact, self.lent(side, fact)) for fact in self.lending))

    def own(self, side, fact):
        """The fact's own sets in each of its languages, as large as those of the other facts."""
        sets = zip(self.languages(fact), self.lent(side, fact), strict=True)
        return [set(highest(self.worlds[side], self.numbers[side][fact], code, len(lent))) for code, lent in sets]

    def equal(self, side):
        return set().union(*(self.shared(fact, self.own(side, fact)) for fact in self.lending))

    def kinds(self):
        """The cases of each kind, and its neurons on either side."""
        return {
            "knowledge neuron": (set(self.common), [self.knowledge(0), self.knowledge(1)]),
            "likn": ({(fact, None) for fact in self.several}, [self.likn(0), self.likn(1)]),
            "likn of different facts": (
                {(fact, None) for fact in self.lending},
                [self.different(0), self.different(1)],
            ),
            "likn of equal size": ({(fact, None) for fact in self.lending}, [self.equal(0), self.equal(1)]),
        }


def counts(cases, a, b):
    """The numbers of a row of `facts`."""
    a, b = a & cases, b & cases
    return {
        "facts": len(cases), "in_a": len(a), "in_b": len(b), "in_both": len(a & b),
        "share_a": len(a) / len(cases), "share_b": len(b) / len(cases),
        "expected": pytest.approx(len(a) * len(b) / len(cases)),
        "jaccard": pytest.approx(len(a & b) / len(a | b)) if a | b else None,
    }  # fmt: skip


@pytest.fixture(scope="module", params=first_quick(*PAIRS), ids=str)
def compared(request, empty, tmp_path_factory):
    """The comparison of two random worlds, beside what they have in common; a third run has a floor above tau."""
    path = shutil.copy(empty, tmp_path_factory.mktemp("pair") / "pair.duckdb")
    a, b = map(random_world, request.param)
    ground = Ground(a, b)
    hold(path, a, b)
    with atlas.open(path, "a") as writer:
        writer.add_model(MODEL | {"name": "third", "digest": "third"})
        add_run(writer, a, digest="third", floor=0.5)
    with atlas.open(path) as reader:
        return ground, reader.compare("made", "deep")


@pytest.mark.slow
def test_facts_known_and_facts_with_neurons(compared):
    ground, found = compared
    kinds = {"known": (set(ground.common), [ground.known(0), ground.known(1)])}
    for kind, (cases, neurons) in ground.kinds().items():
        kinds[kind] = cases, [{(fact, code) for fact, code, _ in own} for own in neurons]
    expected = {}
    for kind, (cases, (a, b)) in kinds.items():
        for language in {code for _, code in cases} | ({None} if cases else set()):
            here = {case for case in cases if language in (None, case[1])}
            expected[kind, language] = counts(here, a, b)
    rows = {(row.pop("kind"), row.pop("language")): row for row in found.facts.to_pylist()}
    assert rows == expected


def test_neurons_of_a_fact_their_share_and_their_depth(compared):
    ground, found = compared
    rows = {row["kind"]: row for row in found.neurons.to_pylist()}
    assert rows.keys() == {kind for kind, (cases, _) in ground.kinds().items() if cases}
    for kind, row in rows.items():
        cases, sides = ground.kinds()[kind]
        assert row["facts"] == len(cases)
        for name, own, known, layers in zip("ab", sides, ground.kinds()["knowledge neuron"][1], (3, 6), strict=True):
            whole = {(f, code if kind == "knowledge neuron" else None, n) for f, code, n in known}
            whole = {key for key in whole if key[:2] in cases}
            depths = [(layer + 0.5) / layers for _, _, (layer, _) in own]
            assert row[f"neurons_{name}"] == pytest.approx(len(own) / len(cases))
            assert row[f"share_{name}"] == (pytest.approx(len(own) / len(whole)) if whole else None)
            assert row[f"depth_{name}"] == (pytest.approx(np.mean(depths)) if depths else None)


def test_layers_by_relative_depth(compared):
    ground, found = compared
    rows = [row for row in found.layers.to_pylist() if row["kind"] == "knowledge neuron"]
    steps = (np.arange(3000) + 0.5) / 3000
    for name, own, layers in zip("ab", ground.kinds()["knowledge neuron"][1], (3, 6), strict=True):
        inside = np.concatenate([(layer + steps) / layers for _, _, (layer, _) in own] or [np.array([])])
        shares = np.histogram(inside, bins=10, range=(0, 1))[0] / max(1, len(inside))
        assert [row[f"share_{name}"] or 0.0 for row in rows] == pytest.approx(list(shares) if rows else [])


def flipped(world):
    """The world with other ranks, so that the model knows nothing."""
    return World(world.relations, tuple(replace(probe, rank=2) for probe in world.probes))


def spoken(language):
    """The sample's probes of one language."""
    return World(SAMPLE.relations, tuple(probe for probe in SAMPLE.probes if probe.language == language))


def cut(run, world, costs, controls, became="zero"):
    """Knock-outs of neurons 0 and 1 of layer 0 in every prompt of the world: what one costs, and both."""
    one, other, random = ((0, 0),), ((0, 1),), ((0, 2), (0, 3))
    sets = [*zip((one, other, one + other), (costs[0], *costs), strict=True)]
    trials = [(Trial(own), 0.5 * (1 - cost)) for own, cost in sets]
    for own, cost in zip((random[:1], random[1:], random), controls, strict=True):
        trials.append((Trial(own, twin=one + other), 0.5 * (1 - cost)))
    return [to_table(run, world.prompt(probe).id, 0.5, trials, became) for probe in world.probes]


@pytest.mark.slow
def test_degenerate_sets_where_both_have_knockouts(path):
    a, b = hold(path, SAMPLE, flipped(SAMPLE))
    with atlas.open(path, "a") as writer:
        for table in cut(a, SAMPLE, (0.1, 0.9), (0.0, 0.0, 0.0)) + cut(b, spoken("en"), (0.5, 0.9), (0.0, 0.0, 0.9)):
            writer.load("knockout", table)
        for table in cut(a, SAMPLE, (0.1, 0.1), (0.0, 0.0, 0.0), "swap") + cut(
            b, spoken("fr"), (0.1, 0.9), (0.0, 0.0, 0.0), "swap"
        ):
            writer.load("knockout", table)
        writer.define("swapped", replace="swap")
    with atlas.open(path) as reader:
        found = reader.compare("made", "deep")
        swapped = reader.compare("made", "deep", definition="swapped").facts.to_pylist()
    of_swap = [[row[name] for name in ("language", "in_a", "in_b")] for row in swapped if row["kind"] == "dkn"]
    assert of_swap == [[None, 0, 2], ["fr", 0, 2]]
    facts = {(row["kind"], row["language"]): row for row in found.facts.to_pylist()}
    assert {key for key in facts if key[0] in ("dkn", "random set")} == {
        (kind, code) for kind in ("dkn", "random set") for code in ("en", None)
    }
    assert [facts["dkn", "en"][name] for name in ("facts", "in_a", "in_b", "in_both")] == [2, 2, 0, 0]
    assert [facts["random set", None][name] for name in ("facts", "in_a", "in_b")] == [2, 0, 2]
    assert [facts["known", None][name] for name in ("facts", "in_a", "in_b")] == [4, 4, 0]
    dkn = next(row for row in found.neurons.to_pylist() if row["kind"] == "dkn")
    assert [dkn[name] for name in ("neurons_a", "share_a", "neurons_b", "share_b", "depth_b")] == [2, 1, 0, 0, None]


@pytest.mark.slow
def test_a_definition_of_known_facts_counts_what_both_models_know(path):
    """Of two facts a knows all but one in a language; b knows the second in one language alone."""
    scores = (1.0,) + (0.0,) * 11
    a, b = (
        World(
            ("P1", "P1"),
            tuple(
                Probed(fact, code, 0, "ok", scores, 1 if code in codes else 2)
                for fact, codes in enumerate(known)
                for code in ("en", "fr", "zh")
            ),
        )
        for known in ((("en", "fr"), ("en", "fr", "zh")), (("en", "fr"), ("en",)))
    )
    runs = hold(path, a, b)
    with atlas.open(path, "a") as writer:
        writer.define("known", known=True)
        query = "FROM compared_facts_of(every_definition(), ?, ?) WHERE language IS NULL"
        found = writer.sql(query, runs).to_pylist()
    rows = {(row["definition"], row["kind"]): [row["facts"], row["in_a"], row["in_b"]] for row in found}
    for definition, languages, facts in (("default", 6, 2), ("known", 3, 1)):
        assert rows[definition, "known"] == [6, 5, 3]
        assert rows[definition, "knowledge neuron"] == [languages] * 3
        for kind in ("likn", "likn of different facts", "likn of equal size"):
            assert rows[definition, kind] == [facts] * 3


@pytest.mark.slow
def test_runs_that_speak_for_the_models(path):
    a, b = hold(path, SAMPLE, SAMPLE)
    with atlas.open(path) as reader:
        found = reader.compare("made", "deep")
        assert (found.a.run, found.a.layers, found.b.run, found.b.layers) == (a, LAYERS, b, 2 * LAYERS)
        swapped = reader.compare("deep", "made").facts.to_pylist()
    assert [row["in_a"] for row in swapped] == [row["in_b"] for row in found.facts.to_pylist()]


@pytest.mark.slow
def test_runs_without_a_common_prompt(path):
    hold(path, spoken("en"), spoken("fr"))
    with atlas.open(path) as reader, pytest.raises(UsageError, match="is usable in both"):
        reader.compare("made", "deep")


@pytest.mark.slow
def test_what_cannot_be_compared_is_told(path):
    hold(path, SAMPLE, SAMPLE)
    with atlas.open(path, "a") as writer:
        writer.add_model(MODEL | {"name": "idle", "digest": "idle"})
        for digest in ("one", "two"):
            writer.add_model(MODEL | {"name": "twins", "digest": digest})
        for names, options, message in (
            (("made", "gpt5"), {}, "There is no model 'gpt5' in .*; it has deep, idle, made, twins"),
            (("made", "made"), {}, "same model"),
            (("made", "idle"), {}, "'idle' has no run of 'amig' with usable prompts"),
            (("made", "deep"), {"method": "kn"}, "no run of 'kn' .*, but amig; `atlas build .* --method kn --db"),
            (("made", "twins"), {}, "'twins' names several models.*: one, two"),
            (("made", "deep"), {"definition": "none"}, "There is no definition 'none'"),
        ):
            with pytest.raises(UsageError, match=message):
                writer.compare(*names, **options)
        found = writer.compare("made", "deep")
        assert found.a == writer.compare("made", "deep").a
        subject = """UPDATE run SET settings = json_merge_patch(settings, '{"at": "subject"}') WHERE run = ?"""
        writer.sql(subject, [found.b.run])
        with pytest.raises(UsageError, match=r"'deep' has no run of 'amig' with .*, but amig at the subject"):
            writer.compare("made", "deep")
        assert writer.compare(found.a.run, found.b.run).unequal

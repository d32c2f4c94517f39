"""What is planted does what it says, measured without the code that planted it."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted.conftest import Bench

from atlas.errors import AtlasError, UsageError
from atlas.models import LanguageModel, load_model
from atlas.planted import Circuit, PlantConfig, PlantingError, plant, standard_circuits

SMALL = PlantConfig(layers=2, hidden=48, neurons=32, heads=4, languages=("en", "de"), templates=1, relations=1)
KINDS = {
    "knowledge", "independent", "bound", "additive", "backup", "degenerate-2-within", "degenerate-2-across",
    "degenerate-3-within", "degenerate-3-across", "degenerate-2-within-beside", "degenerate-2-across-beside",
}  # fmt: skip


def facts_of(planted, kind):
    return [fact for fact, own in planted.truth.kinds.items() if own == kind]


def known(planted, kind):
    return [key for key in planted.truth.knowledge if planted.truth.kinds[key[0]] == kind]


@pytest.mark.quick(1)
def test_base_setting_holds_every_kind(base):
    assert set(base.truth.kinds.values()) == KINDS
    assert set(base.truth.decoys) == {"silent", "unfired", "constant"}
    assert len(base.facts.facts) == 20


@pytest.mark.quick(3)
@pytest.mark.parametrize("kind", sorted(KINDS - {"additive"}))
def test_model_knows_its_facts_and_forgets_them_without_their_neurons(base, bench, kind):
    for fact, language in known(base, kind):
        assert bench.probability(fact, language) > 0.5
        assert bench.probability(fact, language, base.truth.knowledge[fact, language]) < 0.1


@pytest.mark.parametrize("kind", ["knowledge", "independent", "bound"])
def test_single_neurons_are_indispensable(base, bench, kind):
    for fact, language in known(base, kind):
        assert len(base.truth.knowledge[fact, language]) == 1
        assert not base.truth.degenerate[fact, language]
        assert bench.drop(fact, language, base.truth.knowledge[fact, language]) > 0.9


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", sorted(kind for kind in KINDS if kind.startswith(("degenerate", "backup"))))
def test_degenerate_sets_are_degenerate(base, bench, kind):
    for fact, language in known(base, kind):
        (members,) = base.truth.degenerate[fact, language]
        singles = [bench.drop(fact, language, {neuron}) for neuron in members]
        parts = [part for size in range(1, len(members)) for part in combinations(members, size)]
        assert max(bench.drop(fact, language, part) for part in parts) <= 0.2
        assert bench.drop(fact, language, members) > max(0.25, sum(singles))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_path_through_attention_needs_no_neuron(family, bench_of):
    planted = plant(replace(SMALL, family=family), [Circuit("attention", 0), Circuit("independent", 1)], seed=0)
    bench = bench_of(planted)
    first, second = (fact.id for fact in planted.facts.facts)
    for language in SMALL.languages:
        assert planted.truth.knowledge[first, language] == frozenset()
        everything = planted.truth.knowledge[second, language]
        assert bench.probability(first, language) > 0.5
        assert bench.drop(first, language, everything) < 0.01
        assert bench.drop(second, language, everything) > 0.9
    assert planted.truth.kinds[first] == "attention"


@pytest.mark.quick(1)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_either_of_two_circuits_is_enough_in_every_language(family, bench_of):
    planted = plant(replace(SMALL, family=family), [Circuit("several", 0), Circuit("independent", 1)], seed=0)
    bench, fact = bench_of(planted), planted.facts.facts[0].id
    (common,) = planted.truth.independent[fact]
    own = [planted.truth.knowledge[fact, language] for language in SMALL.languages]
    assert own[0] & own[1] == {common}
    for language, pair in zip(SMALL.languages, own, strict=True):
        assert planted.truth.degenerate[fact, language] == {pair}
        singles = [bench.drop(fact, language, {neuron}) for neuron in pair]
        assert max(singles) <= 0.2
        assert bench.drop(fact, language, pair) > max(0.9, sum(singles))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_polysemous_neuron_is_needed_by_both_facts_and_alone_says_neither(family, bench_of):
    planted = plant(replace(SMALL, family=family), [Circuit("polysemous", 0), Circuit("independent", 2)], seed=0)
    bench, (first, second, other) = bench_of(planted), (fact.id for fact in planted.facts.facts)
    for language in SMALL.languages:
        own, also = (planted.truth.knowledge[fact, language] for fact in (first, second))
        (shared,) = own & also
        assert len(own | also) == 3
        for fact, neurons in ((first, own), (second, also)):
            assert bench.probability(fact, language) > 0.5
            assert min(bench.drop(fact, language, {neuron}) for neuron in neurons) > 0.25
            assert planted.truth.independent[fact] == neurons
            assert not planted.truth.degenerate[fact, language]
        assert abs(bench.drop(first, language, also - own)) < 0.01
        assert abs(bench.drop(other, language, own | also)) < 0.01
        assert min(bench.activation(fact, language, shared) for fact in (first, second)) > 1
    assert planted.truth.kinds[first] == planted.truth.kinds[second] == "polysemous"


def test_neuron_beside_a_degenerate_set_is_indispensable(base, bench):
    for kind in ("degenerate-2-within-beside", "degenerate-2-across-beside"):
        for fact, language in known(base, kind):
            (members,) = base.truth.degenerate[fact, language]
            (needed,) = base.truth.knowledge[fact, language] - members
            assert bench.drop(fact, language, {needed}) > 0.25


def test_backup_acts_only_when_the_other_is_cut(base, bench):
    for fact, language in known(base, "backup"):
        first, second = sorted(base.truth.knowledge[fact, language])
        text, answer = bench.texts(fact, language)[0]
        assert first[0] < second[0]
        assert abs(bench.run(text, answer)[1][second]) < 0.1
        assert bench.run(text, answer, [first])[1][second] > 1


@pytest.mark.quick(1)
def test_additive_pair_passes_the_loose_thresholds_and_only_adds_up(base, bench):
    for fact, language in known(base, "additive"):
        pair = base.truth.knowledge[fact, language]
        singles = [bench.drop(fact, language, {neuron}) for neuron in pair]
        assert max(singles) <= 0.2
        assert 0.25 < bench.drop(fact, language, pair) <= sum(singles)
        assert not base.truth.degenerate[fact, language]


def test_neurons_fire_on_their_own_subject_and_language_alone(base, bench):
    for fact in facts_of(base, "knowledge") + facts_of(base, "bound"):
        for language, neurons in ((code, n) for (own, code), n in base.truth.knowledge.items() if own == fact):
            (neuron,) = neurons
            assert bench.activation(fact, language, neuron) > 1
            others = [key for key in base.truth.knowledge if key != (fact, language)]
            assert max(bench.activation(*key, neuron) for key in others) < 0.1


def test_bound_facts_are_unknown_in_the_other_languages(base, bench):
    for fact, spoken in known(base, "bound"):
        assert not base.truth.independent[fact]
        assert all(bench.probability(fact, code) < 0.2 for code in ("en", "de", "zh") if code != spoken)


@pytest.mark.slow
def test_decoys(base, bench):
    truth, keys = base.truth, [key for key in base.truth.knowledge if key[1] == "de"]
    for neuron in truth.decoys["silent"]:
        assert max(bench.activation(*key, neuron) for key in keys) > 1
        assert max(abs(bench.drop(*key, {neuron})) for key in keys) < 1e-3
    for neuron in truth.decoys["unfired"]:
        assert max(abs(bench.activation(*key, neuron)) for key in keys) < 0.1
        assert max(abs(bench.drop(*key, {neuron})) for key in keys) < 1e-3
    for neuron in truth.decoys["constant"]:
        assert min(bench.activation(*key, neuron) for key in keys) > 1
        assert max(bench.drop(*key, {neuron}) for key in keys) > 0.1


def test_decoys_are_in_no_set(base):
    decoys = frozenset().union(*base.truth.decoys.values())
    assert not any(decoys & neurons for neurons in base.truth.knowledge.values())


@pytest.mark.quick(1)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_suppressor_works_against_the_answer_of_its_fact_alone(family):
    config = PlantConfig(family=family, layers=2, templates=1, relations=1)
    circuits = [Circuit("independent", 0), Circuit("knowledge", 1), Circuit("suppressor", 0)]
    planted = plant(config, circuits, 1)
    bench, (fact, other) = Bench(planted), planted.facts.facts
    for language in config.languages:
        (neuron,) = planted.truth.suppressing[fact.id, language]
        assert neuron not in planted.truth.knowledge[fact.id, language]
        assert bench.drop(fact.id, language, {neuron}) < -0.2
        assert abs(bench.drop(other.id, language, {neuron})) < 0.01
        assert bench.activation(fact.id, language, neuron) > 1
        assert bench.probability(fact.id, language) > 0.5
    assert set(planted.truth.suppressing) == {(fact.id, language) for language in config.languages}


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_and_leave_the_random_state():
    circuits = [Circuit("independent", 0), Circuit("knowledge", 1)]
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    digests = [plant(SMALL, circuits, seed).language_model().info.digest for seed in (3, 3, 4)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_saved_model_loads_as_any_other(tmp_path, family):
    planted = plant(PlantConfig(family=family, layers=2, templates=1), [Circuit("independent", 0)], 1)
    planted.model.save_pretrained(tmp_path)
    planted.tokenizer.save_pretrained(tmp_path)
    model = load_model(str(tmp_path))
    prompt = next(planted.facts.prompts())
    assert model.info.digest == planted.language_model().info.digest
    assert model.steps(prompt) == LanguageModel.wrap(planted.model, planted.tokenizer, "x").steps(prompt)


circuits = st.lists(
    st.one_of(
        st.builds(
            lambda kind: lambda i: Circuit(kind, i), st.sampled_from(["knowledge", "independent", "backup", "additive"])
        ),
        st.builds(lambda code: lambda i: Circuit("bound", i, languages=(code,)), st.sampled_from(["en", "de"])),
        st.builds(
            lambda size, beside: lambda i: Circuit("degenerate", i, size=size, indispensable=beside),
            st.sampled_from([2, 3]),
            st.sampled_from([None, 0, 1]),
        ),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(circuits, st.sampled_from(["bert", "gpt2"]), st.integers(0, 1000))
def test_any_mixture_can_be_planted_and_its_truth_is_consistent(makers, family, seed):
    config = PlantConfig(family, 2, 48, 32, 4, ("en", "de"), 1, 1, background=0.05)
    planted = plant(config, [make(i) for i, make in enumerate(makers)], seed)
    truth = planted.truth
    for (fact, language), neurons in truth.knowledge.items():
        assert neurons
        assert truth.independent[fact] <= neurons
        assert all(found <= neurons and len(found) > 1 for found in truth.degenerate[fact, language])
    assert set(truth.independent) == {fact.id for fact in planted.facts.facts}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda: PlantConfig(family="llama"), "llama"),
        (lambda: PlantConfig(hidden=65), "65"),
        (lambda: PlantConfig(background=-1), "-1"),
        (lambda: PlantConfig(languages=()), "language"),
        (lambda: plant(SMALL, []), "circuit"),
        (lambda: plant(SMALL, [Circuit("independent", 1)]), "fact"),
        (lambda: plant(SMALL, [Circuit("independent", 0)] * 2), "exactly one"),
        (lambda: plant(SMALL, [Circuit("silent", 0)]), "fact"),
        (lambda: plant(SMALL, [Circuit("independent", i) for i in range(20)]), "wide"),
        (lambda: plant(SMALL, [Circuit("independent", 0, layers=(2,))]), "0 to 1"),
        (lambda: plant(SMALL, [Circuit("independent", 0, layers=(0, 1))]), "1 layers"),
        (lambda: plant(SMALL, [Circuit("bound", 0)]), "one language"),
        (lambda: plant(SMALL, [Circuit("bound", 0, languages=("fr",))]), "fr"),
        (lambda: plant(SMALL, [Circuit("degenerate", 0, size=4)]), "4"),
        (lambda: plant(SMALL, [Circuit("backup", 0, layers=(1, 1))]), "later layer"),
        (lambda: plant(SMALL, [Circuit("oracle", 0)]), "oracle"),
        (
            lambda: plant(
                PlantConfig(layers=1, hidden=48, neurons=2, templates=1, relations=1),
                [Circuit("independent", i) for i in range(3)],
            ),
            "neurons",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(change, word):
    with pytest.raises(UsageError, match=word):
        change()


def test_too_strong_a_background_is_an_error_not_a_model():
    config = PlantConfig(background=1.5)
    with pytest.raises(PlantingError, match="background"):
        plant(config, standard_circuits(config), 0)
    assert issubclass(PlantingError, AtlasError)


def test_standard_circuits_fit_models_of_any_depth():
    for layers in (1, 2, 3, 6):
        config = PlantConfig(layers=layers)
        found = standard_circuits(config, 20, 2, 1)
        assert sum(not circuit.is_decoy for circuit in found) == 20
        assert all(layer < layers for circuit in found for layer in circuit.layers)

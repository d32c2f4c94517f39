"""`peel` on planted circuits: who is found in which round, and how its credit stands beside that of other rounds."""

import numpy as np
import pytest
import torch
from by_hand import peel_by_hand
from quick import first_quick
from tiny import PROMPTS, make_model

import atlas
from atlas.attribution import Settings, attribute
from atlas.attribution.engine import score_steps
from atlas.attribution.quadrature import gauss_legendre
from atlas.attribution.rows import to_tables
from atlas.engine.batches import StepBatch
from atlas.planted import Circuit, PlantConfig, plant
from atlas.running.scores import fill_run
from atlas.store import integrity

CIRCUITS = [
    Circuit("backup", 0, layers=(1, 3)),
    Circuit("independent", 1),
    Circuit("degenerate", 2, layers=(0, 2), indispensable=1),
    Circuit("attention", 3),
    Circuit("silent", 1),
    Circuit("constant", 1),
]


@pytest.fixture(scope="module", params=["bert", pytest.param("gpt2", marks=pytest.mark.slow)])
def planted(request):
    return plant(PlantConfig(family=request.param, templates=1), CIRCUITS, seed=0)


@pytest.fixture(scope="module")
def found(planted):
    """Each prompt, its planted neurons and the result."""
    prompts = list(planted.facts.prompts())
    results = attribute(planted.language_model(), prompts, Settings(method="peel"))
    return [
        (p, sorted(planted.truth.knowledge[p.fact.id, p.language]), r) for p, r in zip(prompts, results, strict=True)
    ]


def of_fact(found, number):
    return [case for case in found if case[0].fact.subject == f"subject{number}"]


@pytest.mark.slow
def test_a_dormant_backup_comes_in_the_second_round_with_as_much_credit(found):
    for _, (first, backup), result in of_fact(found, 0):
        assert (result.rounds[first], result.rounds[backup]) == (1, 2)
        assert result.scores[backup] == pytest.approx(result.scores[first], rel=0.05)
        assert result.scores[first] == pytest.approx(result.probability, rel=1e-6)


def test_nothing_but_what_was_planted_is_cut(found):
    """And nothing at all where the answer comes through attention alone."""
    for _, planted, result in found:
        assert [tuple(map(int, neuron)) for neuron in np.argwhere(result.rounds)] == planted


@pytest.mark.slow
def test_the_first_round_is_that_of_the_mean_of_the_baselines(planted, found):
    """Credit is in proportion to `amig-mean`, and what is stored of completeness is its; to `amig` where nothing is."""
    model, prompts = planted.language_model(), [case[0] for case in found]
    mean, by_word = (attribute(model, prompts, Settings(method=method)) for method in ("amig-mean", "amig"))
    for (_, own, result), *plains in zip(found, mean, by_word, strict=True):
        plain = plains[not own]
        first = np.where(result.rounds > 1, 0, plain.scores)
        there = np.where(result.rounds > 1, 0, result.scores)
        ratio = there.max() / first.max()
        assert np.allclose(there, ratio * first, rtol=1e-4, atol=2e-6)
        for name in ("f", "f_baseline", "completeness_error"):
            assert np.allclose(getattr(result.layers, name), getattr(plain.layers, name), atol=5e-6)
        assert np.allclose(result.layers.score_sum, plain.layers.score_sum, atol=1e-6)


@pytest.mark.slow
def test_neurons_that_the_mean_of_the_baselines_leaves_on_a_plateau_are_found_word_by_word():
    """Each of three is enough, and beside all the answer's translations keep its probability where it is."""
    circuits = [Circuit("degenerate", 0, layers=(2, 2, 2), size=3), Circuit("independent", 1), Circuit("attention", 2)]
    planted = plant(PlantConfig(family="gpt2", templates=1, language_lead=6.0), circuits, seed=0)
    prompts, model = list(planted.facts.prompts()), planted.language_model()
    found = [attribute(model, prompts, Settings(method=method)) for method in ("amig-mean", "peel")]
    for prompt, mean, peel in zip(prompts, *found, strict=True):
        own = sorted(planted.truth.knowledge[prompt.fact.id, prompt.language])
        assert [tuple(map(int, neuron)) for neuron in np.argwhere(peel.rounds)] == own
        if len(own) == 3:
            assert max(mean.scores[neuron] for neuron in own) < 0
            assert min(peel.scores[neuron] for neuron in own) > 0.5 * peel.probability


@pytest.mark.slow
def test_the_atlas_says_the_round(planted, tmp_path):
    with atlas.open(tmp_path / "peel.duckdb", "w") as writer:
        writer.add_facts(planted.facts)
        fill_run(writer, planted.language_model(), [list(planted.facts.prompts())], Settings(method="peel"))
        rows = writer.sql("FROM neuron_round WHERE definition = 'default'").to_pylist()
        assert all(check.ok for check in integrity.run(writer))
    backup = max(planted.truth.knowledge[planted.facts.facts[0].id, "en"])
    late = {(row["layer"], row["neuron"]) for row in rows if row["last_round"] > 1}
    assert late == {backup}
    truth = {(*key, *n) for key, own in planted.truth.knowledge.items() for n in own}
    assert {(row["fact"], row["language"], row["layer"], row["neuron"]) for row in rows} == truth


@pytest.mark.slow
def test_scorers_are_set_side_by_side(planted, tmp_path):
    """A backup is found by `peel` alone, in its second round; what carries the answer as it is by both scorers."""
    with atlas.open(tmp_path / "both.duckdb", "w") as writer:
        writer.add_facts(planted.facts)
        for method in ("peel", "amig-mean"):
            fill_run(writer, planted.language_model(), [list(planted.facts.prompts())], Settings(method=method))
        rows = writer.sql("FROM scorer_agreement WHERE definition = 'default'").to_pylist()
    fact = planted.facts.facts[0].id
    first, backup = sorted(planted.truth.knowledge[fact, "en"])
    told = {
        (row["layer"], row["neuron"]): (row["found_by"], row["missed_by"], row["first_round"])
        for row in rows
        if (row["fact"], row["language"]) == (fact, "en")
    }
    assert told == {first: (["amig-mean", "peel"], [], 1), backup: (["peel"], ["amig-mean"], 2)}


def test_other_scorers_have_no_rounds(planted):
    prompts = list(planted.facts.prompts())[:1]
    table = to_tables(1, attribute(planted.language_model(), prompts, Settings(method="gradient")), 0.05)["attribution"]
    assert table.num_rows
    assert table["round"].null_count == table.num_rows


def test_a_neurons_round_is_the_first_in_which_any_step_of_the_answer_cut_it():
    model, settings = make_model("bert"), Settings(method="peel", rule="gauss-legendre", nodes=1, max_nodes=1)
    steps = score_steps(model, StepBatch.of(model, model.steps(PROMPTS[2])), settings, 1 << 24)[0].rounds.numpy()
    every = [sorted({1, 2, 3, 4} & set(own)) for own in steps.reshape(len(steps), -1).T.tolist()]
    found = attribute(model, PROMPTS[2:3], settings)[0].rounds.ravel().tolist()
    assert found == [min(own, default=0) for own in every]
    assert any(len(own) > 1 for own in every)


@pytest.mark.parametrize("dtype", first_quick("float32", "float64"))
def test_an_answer_whose_probability_rounds_to_0_has_scores_of_0(dtype):
    """As every other scorer says, and beside it others keep their scores."""
    plain = make_model("bert", dtype)
    expected = attribute(plain, PROMPTS[:2], Settings(method="peel"))[1]
    with torch.no_grad():
        plain.head.bias[plain.steps(PROMPTS[0])[0].target] -= 2000
    gone, other = attribute(plain, PROMPTS[:2], Settings(method="peel"))
    known = attribute(plain, PROMPTS[:1], Settings(method="kn"))[0]
    assert (gone.status, gone.probability) == (known.status, known.probability) == ("ok", 0)
    assert not gone.scores.any()
    assert not known.scores.any()
    assert other.status == "ok"
    assert other.scores == pytest.approx(expected.scores, abs=1e-6)
    if dtype == "float64":
        credit, rounds = peel_by_hand(plain, plain.steps(PROMPTS[0])[0], gauss_legendre(3))
        assert not credit.any()
        assert not rounds.any()

"""Which sets are tried: against a plain search over all subsets of a made-up cost."""

from collections import Counter
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import PROMPTS, make_model

from atlas.engine.replacing import Means, Swap
from atlas.errors import UsageError
from atlas.facts import Prompt, Template
from atlas.knockouts.search import Known, Search, SearchLimits
from atlas.knockouts.sets import control_neurons, first_sets, next_sets, set_id, twin_set

CANDIDATES = [(0, 3), (2, 1), (1, 30), (1, 4), (0, 9)]


def subsets(neurons, least=1):
    return chain.from_iterable(combinations(neurons, size) for size in range(least, len(neurons)))


@pytest.mark.slow
@given(st.sets(st.sets(st.integers(0, 5), min_size=1, max_size=4).map(lambda s: tuple((0, n) for n in sorted(s)))))
def test_a_set_is_tried_when_none_of_its_subsets_is_loud(costly):
    everything = [tuple((0, n) for n in group) for size in range(1, 5) for group in combinations(range(6), size)]
    low = [s for s in everything if not any(set(bad) <= set(s) for bad in costly)]
    for size in (2, 3):
        expected = [s for s in everything if len(s) == size + 1 and all(p in low for p in subsets(s))]
        assert next_sets([s for s in low if len(s) == size]) == sorted(expected)


def test_first_sets_are_singles_and_pairs():
    sets = first_sets(CANDIDATES)
    assert Counter(map(len, sets)) == {1: 5, 2: 10}
    assert all(list(s) == sorted(s) for s in sets)


def test_controls_have_the_layers_of_their_twins_and_other_neurons():
    twins = control_neurons(CANDIDATES, CANDIDATES, 40, 0)
    assert [neuron[0] for neuron in CANDIDATES] == [twins[neuron][0] for neuron in CANDIDATES]
    assert not set(twins.values()) & set(CANDIDATES)
    assert len(set(twins.values())) == len(CANDIDATES)
    assert len(twin_set(((0, 3), (1, 4)), twins)) == 2


def test_controls_are_seeded_and_stay_as_more_candidates_come():
    few, many = control_neurons(CANDIDATES[:3], CANDIDATES, 40, 7), control_neurons(CANDIDATES, CANDIDATES, 40, 7)
    assert few.items() <= many.items()
    assert control_neurons(CANDIDATES, CANDIDATES, 40, 8) != many


def test_neurons_of_other_layers_leave_a_layer_its_own():
    assert set(control_neurons([(0, 0), (0, 1)], [(1, 2), (1, 3)], 4, 0).values()) == {(0, 2), (0, 3)}


def test_a_layer_with_too_few_neurons_is_an_error():
    with pytest.raises(UsageError, match="--top"):
        control_neurons([(0, n) for n in range(6)], [], 10, 0)


def search(limits, stored=lambda prompts: Known()):
    prompt = PROMPTS[0]
    return Search(make_model("bert"), 1, {(prompt.fact.id, "en"): CANDIDATES}, limits, stored)


def rows(limits, stored=lambda prompts: Known()):
    return search(limits, stored).measure(PROMPTS[:1])[0].to_pylist()


def key(row):
    return row["set"], row["control"]


def neurons_of(row):
    return list(zip(row["layers"], row["neurons"], strict=True))


@pytest.mark.parametrize(("rule", "why"), [(Swap, "no_partner"), (Means, "no_other_relation")])
def test_prompts_without_a_value_to_take_are_counted(rule, why):
    found = search(SearchLimits(top=2))
    found.replacing = rule(found.model, PROMPTS[:1], 0)
    assert len(found.measure(PROMPTS[:1])[0]) == 0
    assert found.unusable == {why: 1}


def test_every_set_has_its_control():
    found = rows(SearchLimits(top=4))
    assert Counter((row["control"], row["size"]) for row in found) == {
        (False, 1): 4, (False, 2): 6, (True, 1): 4, (True, 2): 6,
    }  # fmt: skip
    sets = {row["set"]: row for row in found if not row["control"]}
    for row in found:
        if row["control"]:
            assert row["layers"] == sets[row["twin"]]["layers"]
            assert row["neurons"] != sets[row["twin"]]["neurons"]
        else:
            assert row["twin"] is None


def test_larger_sets_follow_the_threshold():
    everything = rows(SearchLimits(max_order=3, t_low=10.0, control=False))
    assert Counter(row["size"] for row in everything) == {1: 5, 2: 10, 3: 10}
    assert Counter(row["size"] for row in rows(SearchLimits(max_order=4, t_low=-10.0, control=False))) == {1: 5}
    every_pair = rows(SearchLimits(max_order=4, t_low=-10.0, control=False, all_pairs=True))
    assert Counter(row["size"] for row in every_pair) == {1: 5, 2: 10}
    assert Counter(row["size"] for row in rows(SearchLimits(max_order=1, control=False))) == {1: 5}


@pytest.mark.parametrize("absolute", [False, True])
def test_level_wise_search_agrees_with_all_subsets(absolute):
    everything = rows(SearchLimits(max_order=5, t_low=10.0, control=False))
    cost = {row["set"]: (row["before"] - row["after"]) / (1 if absolute else row["before"]) for row in everything}
    t_low = sorted(cost.values())[len(cost) * 2 // 3]
    found = {row["set"] for row in rows(SearchLimits(max_order=5, t_low=t_low, absolute=absolute, control=False))}
    for row in everything:
        neurons = tuple(zip(row["layers"], row["neurons"], strict=True))
        low = all(cost[set_id(part)] <= t_low for part in subsets(neurons))
        assert (row["set"] in found) == (low or row["size"] == 1)


def test_a_costly_neuron_is_in_no_larger_set_though_all_its_pairs_cost_nothing():
    known = {(PROMPTS[0].id, set_id(s), False): 0.5 if s == ((0, 3),) else 1.0 for s in first_sets(CANDIDATES)}
    limits = SearchLimits(max_order=3, control=False, all_pairs=True)
    found = rows(limits, lambda prompts: Known(dict(known), {PROMPTS[0].id: 1.0}))
    assert {tuple(neurons_of(row)) for row in found} == {*combinations(sorted({*CANDIDATES} - {(0, 3)}), 3)}


def test_pairs_are_tried_by_what_their_neurons_cost_over_all_wordings():
    """At a threshold at which each wording alone would have others."""
    wordings = [PROMPTS[0], Prompt(PROMPTS[0].fact, Template("P36", "en", "[X] has the capital [Y]"))]
    single = [table.to_pylist() for table in search(SearchLimits(max_order=1, control=False)).measure(wordings)]
    before = np.array([rows[0]["before"] for rows in single])
    after = np.array([[row["after"] for row in rows] for rows in single])
    cost, alone = 1 - after.sum(0) / before.sum(), 1 - after / before[:, None]
    t_low = next(t for t in np.sort(cost) + 1e-9 if all((own <= t).tolist() != (cost <= t).tolist() for own in alone))
    low = {neuron for row, own in zip(single[0], cost, strict=True) if own <= t_low for neuron in neurons_of(row)}
    for table in search(SearchLimits(t_low=t_low, control=False)).measure(wordings):
        pairs = {tuple(neurons_of(row)) for row in table.to_pylist() if row["size"] == 2}
        assert pairs == set(combinations(sorted(low), 2))


def test_pairs_with_a_costly_neuron_are_left_out_and_counted():
    """Of sets and of controls, each by its own neurons; what is measured is the same number."""
    whole = rows(SearchLimits(all_pairs=True))
    cost = {(row["control"], *neurons_of(row)): 1 - row["after"] / row["before"] for row in whole if row["size"] == 1}
    t_low = sum(sorted(cost.values())[3:5]) / 2
    low = lambda row: all(cost[row["control"], neuron] <= t_low for neuron in neurons_of(row))  # noqa: E731
    found = search(SearchLimits(t_low=t_low))
    kept = {key(row): row for row in found.measure(PROMPTS[:1])[0].to_pylist()}
    assert kept.keys() == {key(row) for row in whole if row["size"] == 1 or low(row)}
    assert all(kept[key(row)]["after"] == pytest.approx(row["after"], rel=1e-9) for row in whole if key(row) in kept)
    assert found.left_out == sum(row["size"] == 2 and not row["control"] and not low(row) for row in whole) > 0


@pytest.mark.slow
def test_facts_measured_together_give_what_each_gives_alone():
    prompts = [prompt for prompt in PROMPTS if prompt.language == "en"]
    places = {(prompt.fact.id, prompt.language): CANDIDATES for prompt in prompts}
    for family in ("bert", "gpt2"):
        found = Search(make_model(family), 1, places, SearchLimits(max_order=3), lambda _: Known())
        together = [table.to_pylist() for table in found.measure(prompts)]
        alone = [found.measure([prompt])[0].to_pylist() for prompt in prompts]
        for one, other in zip(together, alone, strict=True):
            assert [key(row) for row in one] == [key(row) for row in other]
            assert [row["after"] for row in one] == pytest.approx([row["after"] for row in other], rel=1e-9)


def test_what_is_known_is_not_measured_again():
    first = rows(SearchLimits(max_order=3))
    known = Known(
        {(row["prompt"], row["set"], row["control"]): row["after"] for row in first},
        {row["prompt"]: row["before"] for row in first},
    )
    assert rows(SearchLimits(max_order=3), lambda prompts: known) == []


def test_resumed_in_the_middle_gives_the_same_rows():
    whole = rows(SearchLimits(max_order=3))
    part = {(row["prompt"], row["set"], row["control"]): row["after"] for row in whole[::3]}
    rest = rows(SearchLimits(max_order=3), lambda prompts: Known(dict(part), {PROMPTS[0].id: whole[0]["before"]}))
    assert sorted(map(key, rest + whole[::3])) == sorted(map(key, whole))


def test_prompts_without_numbers_are_counted():
    found = search(SearchLimits(top=2))
    found.model.down_projection(0).bias.data.fill_(float("nan"))
    assert len(found.measure(PROMPTS[:1])[0]) == 0
    assert found.unusable == {"nan": 1}

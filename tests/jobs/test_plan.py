"""A plan's batches depend on the fact and the language alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import UsageError
from atlas.facts import FactSet
from atlas.jobs.plan import make_plan


def _ids(batches):
    return [tuple(prompt.id for prompt in batch) for batch in batches]


def test_a_batch_is_one_fact_in_one_language(facts):
    plan = make_plan(facts)
    batches = list(plan.batches())
    assert all(len({(p.fact.id, p.language) for p in batch}) == 1 for batch in batches)
    assert sum(map(len, batches)) == plan.total == 2 * 3 * 3 * 2
    assert len(batches) == 2 * 3 * 3


def test_held_out_templates_are_counted_and_not_planned(facts):
    plan = make_plan(facts)
    assert plan.held_out == 2 * 3 * 3
    assert not any(prompt.template.held_out for batch in plan.batches() for prompt in batch)


@given(count=st.integers(1, 4), languages=st.sets(st.sampled_from(["en", "fr", "zh"]), min_size=1), data=st.data())
def test_batches_of_a_smaller_selection_are_batches_of_the_larger_one(make_facts, count, languages, data):
    relations = data.draw(st.sets(st.sampled_from(["P36", "P37"]), min_size=1))
    smaller = make_plan(make_facts(count, sorted(languages), sorted(relations)))
    larger = make_plan(make_facts(4))
    assert set(_ids(smaller.batches())) <= set(_ids(larger.batches()))


@given(data=st.data())
def test_what_is_missing_and_what_is_done_make_up_the_whole(make_facts, data):
    plan = make_plan(make_facts())
    everything = _ids(plan.batches())
    done = set(data.draw(st.lists(st.sampled_from([i for batch in everything for i in batch]))))
    missing = _ids(plan.missing(done))
    assert {i for batch in missing for i in batch} == {i for batch in everything for i in batch} - done
    untouched = [batch for batch in everything if not done & set(batch)]
    assert set(untouched) <= set(missing), "a batch nobody has touched is computed whole"
    assert plan.count(lambda prompt: prompt.id in done) == len(done)


def test_nothing_to_plan_is_an_error_that_says_so(facts):
    only_held_out = FactSet("made", facts.facts, [t for t in facts.templates if t.held_out])
    with pytest.raises(UsageError, match="No prompt can be made of the 6 facts and 6 templates of made"):
        make_plan(only_held_out)

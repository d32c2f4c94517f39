"""A plan's batches are cut over the whole selection, in groups of one fact and language."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.building.job import BuildOptions, read_plan
from atlas.building.plan import Plan, Shard, batch_size, make_plan, missing, prompts_of
from atlas.errors import UsageError
from atlas.facts import FactSet
from atlas.running.progress import Progress


def _ids(batches):
    return [tuple(prompt.id for prompt in batch) for batch in batches]


def test_a_batch_is_one_fact_in_one_language(facts):
    plan = make_plan(facts)
    batches = list(plan.batches())
    assert all(len({(p.fact.id, p.language) for p in batch}) == 1 for batch in batches)
    assert sum(map(len, batches)) == 2 * 3 * 3 * 2
    assert len(batches) == 2 * 3 * 3


def test_held_out_templates_are_counted_and_not_planned(facts):
    plan = make_plan(facts)
    assert plan.held_out == 2 * 3 * 3
    assert not any(prompt.template.held_out for batch in plan.batches() for prompt in batch)
    assert Plan(facts, {next(plan.batches())[0].id}).held_out == 1, "of the fact and language that is asked alone"


@pytest.mark.slow
@given(count=st.integers(1, 4), languages=st.sets(st.sampled_from(["en", "fr", "zh"]), min_size=1), data=st.data())
def test_batches_of_a_smaller_selection_are_batches_of_the_larger_one(make_facts, count, languages, data):
    relations = data.draw(st.sets(st.sampled_from(["P36", "P37"]), min_size=1))
    smaller = make_plan(make_facts(count, sorted(languages), sorted(relations)))
    larger = make_plan(make_facts(4))
    assert set(_ids(smaller.batches())) <= set(_ids(larger.batches()))


@pytest.mark.slow
@given(data=st.data())
def test_what_is_missing_and_what_is_done_make_up_the_whole(make_facts, data):
    plan = make_plan(make_facts())
    everything = _ids(plan.batches())
    done = set(data.draw(st.lists(st.sampled_from([i for batch in everything for i in batch]))))
    left = _ids(missing(plan.batches(), done))
    assert {i for batch in left for i in batch} == {i for batch in everything for i in batch} - done
    untouched = [batch for batch in everything if not done & set(batch)]
    assert set(untouched) <= set(left), "a batch nobody has touched is computed whole"
    assert prompts_of(left) == sum(map(len, everything)) - len(done)


def test_nothing_to_plan_is_an_error_that_says_so(facts):
    only_held_out = FactSet("made", facts.facts, [t for t in facts.templates if t.held_out])
    with pytest.raises(UsageError, match="No prompt can be made of the 6 facts and 6 templates of made"):
        make_plan(only_held_out)


def test_larger_batches_are_whole_groups_in_the_same_order(facts):
    plan = make_plan(facts)
    groups = _ids(plan.batches())
    larger = _ids(plan.batches(5))
    assert [prompt for batch in larger for prompt in batch] == [prompt for group in groups for prompt in group]
    assert all(5 <= len(batch) < 5 + len(groups[0]) for batch in larger[:-1])


def test_what_is_done_does_not_move_the_cuts(facts):
    """Resumption: the batches that are left hold the same prompts as in an undisturbed run."""
    plan = make_plan(facts)
    batches = _ids(plan.batches(5))
    assert _ids(missing(plan.batches(5), set(batches[0]) | set(batches[2]))) == [batches[1], *batches[3:]]


def test_a_larger_model_takes_fewer_prompts_at_a_time():
    def size(layers, hidden, neurons, device="cpu"):
        return batch_size(SimpleNamespace(layers=layers, hidden=hidden, neurons=neurons), device)

    demo, mbert, large = size(4, 128, 512), size(12, 768, 3072), size(24, 2048, 8192)
    assert demo >= mbert >= large > 0
    assert size(12, 768, 3072, "cuda") > mbert


@given(of=st.integers(1, 40), size=st.integers(1, 9))
def test_shards_make_up_the_whole_in_order(make_facts, of, size):
    batches = list(make_plan(make_facts()).batches(size))
    shards = [Shard(number, of).take(batches) for number in range(1, of + 1)]
    assert [batch for shard in shards for batch in shard] == batches
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_shard_is_written_as_a_fraction():
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1 / 4", "01/4", "³/4"])
def test_other_fractions_are_no_shards(text):
    with pytest.raises(UsageError, match="--shard cannot be"):
        Shard.parse(text)


_HEADER = "relation,language,subject,object,template\n"
_REASON = r"1 × template with no object \[Y\] \(first: .*n\.csv:2\)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("capital,en,Norway,Oslo,The capital of [X] is {object}.", rf"templates of \S*n\.csv: .*left out: {_REASON}"),
        ("", r"No facts are left in \S*n\.csv; write a line for each fact into it"),
        (
            "capital,en,,Oslo,The capital of [X] is [Y].",
            r"No facts are left in \S*n\.csv; left out: 1 × fact without a label .* \(first: .*n\.csv:2\)",
        ),
    ],
)
def test_a_file_of_which_nothing_can_be_asked_is_named_with_what_was_left_out(tmp_path, line, message):
    path = tmp_path / "n.csv"
    path.write_text(f"{_HEADER}{line}\n", "utf-8")
    with pytest.raises(UsageError, match=message):
        read_plan(BuildOptions(dataset=str(path)), Progress())

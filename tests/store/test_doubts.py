"""What speaks against a run's neurons is told, by numbers that the views give; nothing where nothing does."""

from dataclasses import replace

import pytest
from store.world import FLOOR, MODEL, Probed, World, batch

from atlas.store.doubts import doubts

FACTS = 6
OWN = [tuple(float(place == fact) for place in range(12)) for fact in range(FACTS)]
"""Scores by fact: a neuron of its own."""


def _world(scores=OWN, rank=1):
    """Some facts of a relation in three languages, each with a neuron of its own in all of them."""
    return World(
        ("P1",) * FACTS,
        tuple(Probed(fact, code, 0, "ok", scores[fact], rank) for fact in range(FACTS) for code in ("en", "fr", "zh")),
    )


@pytest.fixture
def asked(holding):
    """Returns the doubts about a world, with the twin's world beside it if given."""

    def ask(world, twin=None, facts=None):
        with holding(world) as (writer, run):
            if twin is not None:
                model = writer.add_model({**MODEL, "name": "untrained-0:made", "digest": "twin"})
                about = {"method": "amig", "settings": {"floor": FLOOR}, "seed": 0, "versions": {}}
                added = writer.start_run(model=model, **about, twin_of=run, twin_seed=0)
                writer.load_batch(batch(twin, added))
            ids = None if facts is None else [world.fact(number).id for number in facts]
            return list(doubts(writer, run, "default", ids))

    return ask


@pytest.mark.slow
def test_nothing_is_said_of_known_facts_with_neurons_of_their_own(asked):
    elsewhere = _world([scores[::-1] for scores in OWN])
    assert asked(_world(), elsewhere) == []


@pytest.mark.slow
def test_what_the_model_does_not_know_is_counted(asked):
    world = _world()
    doubtful = replace(world, probes=tuple(replace(p, rank=2 if p.fact < 2 else 1) for p in world.probes))
    (said,) = asked(doubtful)
    assert said.startswith("the model does not know 2 of 6 facts")
    assert asked(doubtful, facts=[3]) == []


@pytest.mark.slow
def test_neurons_of_the_twin_are_counted(asked):
    half = _world([OWN[0], OWN[1], *OWN[:1] * 4])
    (said,) = asked(_world(), half)
    assert said.startswith("the untrained twin has knowledge neurons of 2 of 6 facts too")
    assert asked(_world(), half, facts=[2]) == []


@pytest.mark.slow
def test_likn_that_exchanged_facts_have_too_are_counted(asked):
    (said,) = asked(_world([OWN[0]] * FACTS))
    assert said.startswith("the LIKN of 6 of 6 facts say little")

"""Which neurons an edit takes, against sets worked out by brute force."""

import itertools

import pytest
from store.world import FLOOR, Probed, World, fill, likn

import atlas
from atlas.editing.sources import choices

LANGUAGES = ("en", "fr", "zh")
WEAK = (0.1,) + (0.0,) * 6
WORLD = World(
    ("P1",),
    (
        Probed(0, "zh", 0, "ok", (1.0, 0.5, 0.5, 0.1, 0.0, *WEAK)),
        Probed(0, "en", 0, "ok", (1.0, 0.5, 0.0, 0.1, 0.5, *WEAK)),
        Probed(0, "fr", 0, "ok", (1.0, 0.0, 0.0, 0.1, 0.0, *WEAK)),
    ),
)


@pytest.fixture
def taken(tmp_path):
    """What is taken for the fact of the world under a definition that asks for `min_languages`."""
    with atlas.open(tmp_path / "atlas.duckdb", "w") as writer:
        run = fill(writer, WORLD)

        def take(min_languages, least=None):
            writer.define("asked", min_languages=min_languages)
            found = choices(writer, run, "asked", "likn", WORLD.fact(0), LANGUAGES, least)
            return {choice.source: set(choice.neurons) for choice in found}

        yield take


@pytest.mark.parametrize("min_languages", [None, 1, 2, 3])
def test_the_first_neurons_are_the_definitions_likn(taken, min_languages):
    source, neurons = next(iter(taken(min_languages).items()))
    assert source == "likn"
    assert neurons == likn(WORLD, 0, min_languages)


def test_then_come_those_at_the_floor_of_ever_fewer_languages(taken):
    found = taken(None, least=1)
    assert found[f"likn at tau {FLOOR:g}"] == likn(WORLD, 0, tau=FLOOR)
    assert found[f"likn of 1/3 languages at tau {FLOOR:g}"] == likn(WORLD, 0, 1, tau=FLOOR)
    sizes = [len(neurons) for neurons in found.values()]
    assert all(1.5 * few <= many for few, many in itertools.pairwise(sizes))

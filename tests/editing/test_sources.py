"""Which neurons an edit takes, against sets worked out by brute force."""

import itertools

import pytest
from store.world import FLOOR, Probed, World, fill, likn

import atlas
from atlas.editing.sources import Choice, choices, random_choices, read_neurons
from atlas.errors import DataError, UsageError

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


@pytest.mark.slow
@pytest.mark.parametrize("min_languages", [None, 1, 2, 3])
def test_the_first_neurons_are_the_definitions_likn(taken, min_languages):
    source, neurons = next(iter(taken(min_languages).items()))
    assert source == "likn"
    assert neurons == likn(WORLD, 0, min_languages)


@pytest.mark.slow
def test_then_come_those_at_the_floor_of_ever_fewer_languages(taken):
    found = taken(None, least=1)
    assert found[f"likn at tau {FLOOR:g}"] == likn(WORLD, 0, tau=FLOOR)
    assert found[f"likn of 1/3 languages at tau {FLOOR:g}"] == likn(WORLD, 0, 1, tau=FLOOR)
    sizes = [len(neurons) for neurons in found.values()]
    assert all(1.5 * few <= many for few, many in itertools.pairwise(sizes))
    assert not any(source.startswith("likn of 1/3") for source in taken(None)), (
        "of two languages at least, unless asked"
    )


def test_neurons_that_are_not_there_are_not_named_as_the_way_out(tmp_path):
    with atlas.open(tmp_path / "atlas.duckdb", "w") as writer:
        run = fill(writer, WORLD)
        writer.define("asked", tau=1.0)
        for kind, way in (("kn", "in fr under .* other --languages"), ("relation", "it found none")):
            with pytest.raises(UsageError, match=way) as told:
                choices(writer, run, "asked", kind, WORLD.fact(0), ["fr"], None)
            assert f"--neurons {kind}" not in str(told.value)


OWN = [Choice("likn", ((1, 3),)), Choice("kn", ((1, 3), (2, 0), (2, 1)))]


def test_random_neurons_are_as_many_and_the_same_for_the_same_seed():
    found = random_choices(OWN, (4, 8), fact=7, seed=0)
    assert [len(set(choice.neurons)) for choice in found] == [1, 3]
    assert found == random_choices(OWN, (4, 8), fact=7, seed=0)
    assert found[1] != random_choices(OWN, (4, 8), fact=7, seed=1)[1]
    assert all(layer < 4 and neuron < 8 for choice in found for layer, neuron in choice.neurons)


def test_growing_sets_double_until_they_are_all():
    found = random_choices(OWN, (4, 8), fact=7, seed=0, grow=True)
    assert [len(set(choice.neurons)) for choice in found] == [1, 3, 6, 12, 24, 32]


def test_sets_of_other_layers_hold_none_of_the_facts():
    found = random_choices(OWN, (4, 8), fact=7, seed=0, grow=True, elsewhere=True)
    assert {layer for choice in found for layer, _ in choice.neurons} == {0, 3}
    assert len(set(found[-1].neurons)) == 16
    (few,) = random_choices([Choice("kn", tuple((n // 4, n % 4) for n in range(8)))], (3, 4), 7, 0, elsewhere=True)
    assert few.neurons == ((2, 0), (2, 1), (2, 2), (2, 3)), "as many as there are"
    with pytest.raises(UsageError, match="every layer"):
        random_choices([Choice("kn", ((0, 1), (1, 1)))], (2, 8), fact=7, seed=0, elsewhere=True)


def test_a_list_of_neurons_holds_whole_numbers_alone_and_one_at_least(tmp_path):
    path = tmp_path / "neurons.json"
    path.write_text("[[0, 1.0], [2, 3]]")
    assert read_neurons(path).neurons == ((0, 1), (2, 3))
    for text, fault in (("[[0, 1.7]]", "is no whole number"), ("[]", "names no neurons; give at least one")):
        path.write_text(text)
        with pytest.raises(DataError, match=fault):
            read_neurons(path)

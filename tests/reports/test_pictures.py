"""Pictures stand for their numbers, and stay inside their frame."""

from hypothesis import given
from hypothesis import strategies as st

from atlas.reports.cells import shown
from atlas.reports.pictures import SIZE, layer_heat, set_graph

COUNTS = st.integers(1, 60).flatmap(
    lambda layers: st.dictionaries(
        st.sampled_from(["en", "zh", "<b>", ""]), st.tuples(*[st.integers(0, 10**6)] * layers), min_size=1
    )
)
PLACES = st.tuples(st.integers(0, 3), st.integers(0, 20))
SETS = st.lists(
    st.tuples(st.lists(PLACES, min_size=2, max_size=4, unique=True).map(tuple), st.floats(-1, 2), st.just("hint")),
    max_size=60,
)


@given(COUNTS)
def test_squares_are_as_strong_as_their_counts_and_inside_the_picture(counts):
    heat = layer_heat("Layers", counts, "LIKN", "neurons")
    for band, row in zip(heat.bands, counts.values(), strict=True):
        held = [count for count in row if count]
        assert len(band.squares) == len(held)
        for square, count in zip(band.squares, held, strict=True):
            assert abs(square.opacity - (0.15 + 0.85 * count / max(row))) < 0.001
            assert heat.left <= square.x
            assert square.x + square.width <= heat.right + 0.02
            assert f"{count:,} of {sum(row):,}" in square.hint
        assert band.y < heat.height


def test_only_the_shared_band_is_set_off():
    heat = layer_heat("Layers", {"en": [1, 0], "LIKN": [0, 1]}, "LIKN", "neurons")
    assert [band.shared for band in heat.bands] == [False, True]


@given(SETS)
def test_a_graph_holds_the_neurons_of_the_sets_it_draws(sets):
    graph = set_graph("English", sets)
    points = {point for edge in graph.edges for point in edge.points.split()}
    assert points == {f"{node.x},{node.y}" for node in graph.nodes}
    assert len(graph.edges) <= len(sets)
    assert len({(node.x, node.y) for node in graph.nodes}) == len(graph.nodes)
    assert all(0 <= value <= SIZE for node in graph.nodes for value in (node.x, node.y))


def test_numbers_as_readers_want_them():
    values = (None, True, 12345, 0.12345, 1234.5, 1e-5, 0.0, float("nan"), ["en", "fr"])
    assert [shown(value) for value in values] == [
        "–", "yes", "12,345", "0.123", "1,234", "1.00e-05", "0.00", "NaN", "en, fr"
    ]  # fmt: skip

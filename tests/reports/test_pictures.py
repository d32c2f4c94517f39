"""Pictures stand for their numbers, and stay inside their frame."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.reports.cells import drawn, shown
from atlas.reports.pictures import layer_heat, set_graph

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


def _drawn(picture, tag):
    return [element for element in ElementTree.fromstring(picture.svg).iter(tag) if element.get("class") != "track"]


@pytest.mark.slow
@given(COUNTS)
def test_squares_are_as_strong_as_their_counts_and_inside_the_picture(counts):
    heat = layer_heat("Layers", counts, "LIKN", "neurons")
    root = ElementTree.fromstring(heat.svg)
    width, height = map(float, root.get("viewBox").split()[2:])
    bands = root.findall("g")
    for band, row in zip(bands, counts.values(), strict=True):
        track, *squares = band.findall("rect")
        right = float(track.get("x")) + float(track.get("width"))
        held = [count for count in row if count]
        assert len(squares) == len(held)
        for square, count in zip(squares, held, strict=True):
            assert abs(float(square.get("fill-opacity")) - (0.15 + 0.85 * count / max(row))) < 0.001
            assert float(track.get("x")) <= float(square.get("x"))
            assert float(square.get("x")) + float(square.get("width")) <= right + 0.02 < width
            assert float(square.get("y")) < height
            assert f"{count:,} of {sum(row):,}" in square.findtext("title")


def test_only_the_shared_band_is_set_off():
    heat = layer_heat("Layers", {"en": [1, 0], "LIKN": [0, 1]}, "LIKN", "neurons")
    assert [band.get("class") for band in _drawn(heat, "g")] == [None, "shared"]


@pytest.mark.slow
@given(SETS)
def test_a_graph_holds_the_neurons_of_the_sets_it_draws(sets):
    graph = set_graph("English", sets)
    edges, nodes = _drawn(graph, "polygon"), _drawn(graph, "circle")
    places = [(node.get("cx"), node.get("cy")) for node in nodes]
    assert {point for edge in edges for point in edge.get("points").split()} == {f"{x},{y}" for x, y in places}
    assert len(edges) <= len(sets)
    assert len(set(places)) == len(nodes)
    assert all(0 <= float(value) <= 320 for place in places for value in place)


@given(st.text())
def test_pictures_hold_any_text_as_xml(text):
    heat = layer_heat("Layers", {text: [1, 2]}, "LIKN", "neurons")
    assert _drawn(heat, "text")[0].text == (drawn(text) or None)
    assert ElementTree.fromstring(set_graph(text, [(((0, 1), (0, 2)), 0.5, "hint")]).svg) is not None


@given(st.text(), st.text())
def test_different_texts_are_drawn_differently(a, b):
    assert (drawn(a) == drawn(b)) == (a == b)
    assert drawn("x" * 500 + a) != drawn("x" * 500 + b) or a == b


def test_numbers_as_readers_want_them():
    values = (None, True, 12345, 0.12345, 1234.5, 99.96, 1e-5, 0.0, float("nan"), ["en", "fr"])
    assert [shown(value) for value in values] == [
        "–", "yes", "12,345", "0.123", "1,234", "100", "1.00e-05", "0.00", "NaN", "en, fr"
    ]  # fmt: skip

"""Charts take rows of the views and become pictures, whatever the text in them; notebooks show atlases."""

import math
from xml.etree import ElementTree

import altair
import pytest
from reports.sample import HOSTILE, LANGUAGES, ODD

import atlas
from atlas.reports import charts
from atlas.reports.cells import drawn
from atlas.reports.pages.fact_check_intervals import with_intervals
from atlas.reports.svg import svg


@pytest.fixture(scope="module")
def opened(db):
    with atlas.open(db) as reader:
        yield reader


def _rows(opened, name):
    if name in ("localisation", "cross_lingual", "fact_check_metrics"):
        return opened.query(f"FROM {name}")
    if name == "compared_layers":
        return opened.compare("masked", "causal").layers
    return opened.query(f"FROM {name}_all WHERE definition = 'default' AND run = (SELECT min(run) FROM run)")


@pytest.mark.slow
@pytest.mark.parametrize("name", charts.__all__)
def test_a_chart_is_an_altair_chart_and_a_clean_picture(opened, name):
    chart = getattr(charts, name)(_rows(opened, name))
    assert isinstance(chart, altair.TopLevelMixin)
    root = ElementTree.fromstring(svg(chart, "one", HOSTILE))
    assert root.get("aria-label") == HOSTILE
    assert root.get("role") == "img"
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "path", "rect", "line", "text", "title", "defs", "clipPath"}
    assert not any(key.startswith("on") or "href" in key for element in root.iter() for key in element.attrib)


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
def test_a_chart_of_any_text_is_a_picture(opened, odd):
    rows = [
        row | {"relation": odd + row["relation"]}
        for row in _rows(opened, "likn_control").to_pylist()
        if row["observed"] is not None
    ]
    root = ElementTree.fromstring(svg(charts.likn_control(rows), "one", odd))
    labels = [element.text for element in root.iter() if (element.text or "").startswith(drawn(odd)[:4])]
    assert len(labels) == len({row["relation"] for row in rows})
    assert len(root.get("aria-label")) < 20_000


def test_what_is_no_number_is_left_out(opened):
    rows = [row | {"share": math.nan} for row in _rows(opened, "layer_distribution").to_pylist()]
    assert ElementTree.fromstring(svg(charts.layer_distribution(rows), "one", "")) is not None


@pytest.mark.slow
def test_labels_are_in_the_picture_as_text(opened):
    root = ElementTree.fromstring(svg(charts.language_overlap(_rows(opened, "language_overlap")), "one", ""))
    texts = {"".join(element.itertext()) for element in root.iter()}
    assert set(LANGUAGES) <= texts


def test_labels_of_an_axis_stand_at_their_ticks():
    values = [{"name": "a", "panel": "p", "value": 0.0, "low": -1.4, "high": 2.0}]
    root = ElementTree.fromstring(svg(charts.intervals(values, title="", order=["a"]), "one", ""))
    anchors = {element.get("text-anchor") for element in root.iter() if (element.text or "").endswith(".0")}
    assert anchors == {"middle"}


def test_layers_without_neurons_have_their_place():
    rows = [
        {"kind": "likn", "language": None, "layer": layer, "neurons": 1, "pairs": 1, "share": 0.5} for layer in (1, 3)
    ]
    assert charts.layer_distribution(rows).to_dict()["spec"]["encoding"]["x"]["scale"] == {"domain": [0, 1, 2, 3]}


def test_the_longest_label_has_room_where_it_is_drawn_wider_than_measured():
    assert charts._CONFIG["padding"]["left"] >= 0.17 * charts._CONFIG["axis"]["labelLimit"]


def test_two_models_of_one_name_are_told_apart_and_seen_where_their_lines_are_one():
    row = {"kind": "likn", "depth_from": 0.0, "depth_to": 0.1, "share_a": 1.0, "share_b": 0.5}
    chart = charts.compared_layers([row], "m", "m").to_dict()
    assert chart["spec"]["encoding"]["color"]["scale"]["domain"] == ["a: m", "b: m"]
    assert chart["spec"]["encoding"]["strokeDash"]["scale"]["range"] == [[1, 0], [4, 4]]


@pytest.mark.slow
def test_ids_of_two_pictures_differ(opened):
    chart = charts.likn_control(_rows(opened, "likn_control"))
    ids = [
        {element.get("id") for element in ElementTree.fromstring(svg(chart, name, "")).iter() if element.get("id")}
        for name in ("one", "two")
    ]
    assert not ids[0] & ids[1]


def test_intervals_hold_the_metrics_that_the_view_gives(opened):
    rows = opened.sql(
        "FROM fact_check_metrics WHERE source_language IS NULL AND relation IS NULL AND language IS NULL"
    ).to_pylist()
    assert rows
    for row, wide in zip(rows, with_intervals(opened, 1, rows), strict=True):
        for name in ("auroc", "accuracy", "f1"):
            assert wide[name] == row[name]
            assert wide[f"{name}_low"] <= row[name] <= wide[f"{name}_high"]


def test_an_opened_atlas_shows_itself_in_notebooks(db):
    with atlas.open(db) as reader:
        shown = reader._repr_html_()
    assert "sample.duckdb" in shown
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown
    assert "closed" in reader._repr_html_()

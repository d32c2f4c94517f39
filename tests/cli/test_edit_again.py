"""The same `atlas edit` once more: what was made before is not made again, and nothing else is taken for it."""

import json

import pytest
from edited import FRANCE

import atlas
from atlas.editing import making

pytestmark = pytest.mark.slow
ROWS = {
    "edit": "FROM edit SELECT * EXCLUDE (created) ORDER BY ALL",
    "edit_outcome": "FROM edit_outcome ORDER BY ALL",
}


@pytest.fixture
def batch(tmp_path):
    path = tmp_path / "edits.csv"
    path.write_text("fact,object,languages\nFrance,Berlin,en\nFrance,yen,en\nGermany,city,en\n", "utf-8")
    return path


@pytest.fixture
def made(monkeypatch):
    """The subjects of the edits that were made, in order; one in `stops` is broken off."""
    subjects, stops, make = [], set(), making.make_edit

    def count(model, target, *words, **options):
        if target.fact.subject in stops:
            raise KeyboardInterrupt
        subjects.append(target.fact.subject)
        return make(model, target, *words, **options)

    monkeypatch.setattr(making, "make_edit", count)
    return subjects, stops


def _rows(db):
    with atlas.open(db) as opened:
        return {name: opened.sql(query).to_pylist() for name, query in ROWS.items()}


@pytest.mark.parametrize("how", [(), ("--together",)])
def test_a_batch_that_is_broken_off_goes_on_and_ends_with_the_rows_of_a_whole_one(edit, db, batch, made, how):
    subjects, stops = made
    whole = edit("--batch", batch, *how, "--json")
    rows = _rows(db)
    with atlas.open(db, "a") as writer:
        for table in ROWS:
            writer.sql(f"DELETE FROM {table}")
    subjects.clear()
    stops.add("germany")
    broken = edit("--batch", batch, *how)
    assert (broken.code, subjects) == (1, ["france", "france"])
    assert "the same command goes on" in broken.err
    stops.clear()
    subjects.clear()
    done = edit("--batch", batch, *how, "--json")
    assert subjects == ["germany"]
    assert _rows(db) == rows
    told = [one | {"made_before": False} for one in json.loads(done.out)]
    assert told == json.loads(whole.out)
    assert [one["made_before"] for one in json.loads(done.out)] == [True, True, False]
    good = sum(one["converged"] for one in told)
    assert good >= 2
    assert f"{good} of 3 edits made, {good} of them before." in edit("--batch", batch, *how).out


def test_edits_at_other_neurons_are_edits_of_their_own(edit, db):
    for neuron in ("L0.1", "L0.2", "L0.1"):
        edit(*FRANCE, "--method", "kn", neurons=neuron)
    with atlas.open(db) as opened:
        found = opened.sql("SELECT neurons FROM edit ORDER BY created")["neurons"].to_pylist()
    assert found == [[1], [2]]


def _no_file(db):
    (file,) = db.with_name("atlas.edits").iterdir()
    file.unlink()


def _damaged_file(db):
    (file,) = db.with_name("atlas.edits").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def _lost_rows(db):
    with atlas.open(db, "a") as writer:
        writer.sql("DELETE FROM edit_outcome WHERE measure = 'locality'")


def _other_templates(db):
    with atlas.open(db, "a") as writer:
        writer.sql("UPDATE template SET held_out = NOT held_out WHERE language = 'fr'")


def _made_by_an_earlier_version(db):
    with atlas.open(db, "a") as writer:
        writer.sql("UPDATE edit SET settings = json_merge_patch(settings, '{\"around\": null}')")


@pytest.mark.parametrize("change", [_no_file, _damaged_file, _lost_rows, _other_templates, _made_by_an_earlier_version])
def test_an_edit_is_made_again_where_it_would_not_be_the_same(edit, db, made, change):
    subjects, _ = made
    assert edit(*FRANCE).code == 0
    whole = _rows(db)
    assert "made before" in edit(*FRANCE).out
    assert subjects == ["france"]
    change(db)
    assert edit(*FRANCE).code == 0
    assert subjects == ["france", "france"]
    if change is not _other_templates:
        assert _rows(db) == whole
    assert "made before" in edit(*FRANCE).out
    assert len(subjects) == 2


def test_an_edit_of_weights_of_another_type_is_made_again(edit, made, tmp_path):
    subjects, _ = made
    assert edit(*FRANCE, "--method", "kn").code == 0
    done = edit(*FRANCE, "--method", "kn", "--dtype", "float64", "--save", tmp_path / "edited")
    assert done.code == 0, done.err
    assert subjects == ["france", "france"]


def test_what_did_not_converge_is_not_tried_again(edit, db, made):
    subjects, _ = made
    first = edit(*FRANCE, "--steps", "1", "--json")
    rows = _rows(db)
    again = edit(*FRANCE, "--steps", "1", "--json")
    assert (first.code, again.code, subjects) == (1, 1, ["france"])
    assert _rows(db) == rows
    assert [one | {"made_before": False} for one in json.loads(again.out)] == json.loads(first.out)

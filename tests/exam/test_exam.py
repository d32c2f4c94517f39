"""The exam through the whole pipe: attribution, atlas, views, knock-outs, marks."""

import re
import warnings
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from warmed import CONTEXT

from atlas.cli.main import main
from atlas.exam import Setting, base_setting, by_area, by_circuit, by_setting, grid, job, standard_grid
from atlas.planted import PlantConfig, PlantingError, planting

SEEN_BY_ONE_LAYER = {
    "knowledge", "independent", "bound", "additive", "degenerate-2-within", "degenerate-3-within",
    "degenerate-2-within-beside",
}  # fmt: skip
TINY = Setting("base", PlantConfig(layers=2, hidden=48, neurons=32, heads=3, templates=1, relations=1), 5)


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def sat(request):
    """Four scorers on the base setting."""
    return job.examine([base_setting(request.param)], ["amig", "joint", "greedy", "peel"], seeds=1)


def mark(sat, method, target, kinds=None):
    rows = [r for r in sat.rows if r.method == method and r.target == target and (kinds is None or r.circuit in kinds)]
    assert rows
    return sum((row.mark for row in rows[1:]), rows[0].mark)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["KN", "LIKN"])
def test_default_scorer_is_perfect_on_what_one_layer_can_show(sat, target):
    one = mark(sat, "amig", target, SEEN_BY_ONE_LAYER)
    assert one.right > 0
    assert (one.precision, one.recall) == (1, 1)


@pytest.mark.slow
def test_default_scorer_finds_degenerate_sets_within_a_layer(sat):
    one = mark(sat, "amig", "DKN", {"degenerate-2-within"})
    assert (one.precision, one.recall) == (1, 1)


@pytest.mark.slow
def test_default_scorer_rejects_decoys_and_additive_pairs(sat):
    decoys = mark(sat, "amig", "decoy")
    assert (decoys.right > 0, decoys.wrong) == (True, 0)
    assert mark(sat, "amig", "DKN", {"additive"}).wrong == 0
    assert mark(sat, "amig", "DKN", {"knowledge", "independent", "bound"}).wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("target", ["KN", "DKN"])
def test_joint_finds_duplicates_in_other_layers_beside_an_indispensable_neuron(sat, target):
    assert mark(sat, "joint", target, {"degenerate-2-across-beside"}).recall == 1


@pytest.mark.slow
@pytest.mark.parametrize("target", ["KN", "DKN"])
def test_greedy_finds_dormant_backups(sat, target):
    assert mark(sat, "greedy", target, {"backup"}).recall == 1


@pytest.mark.slow
@pytest.mark.parametrize("target", ["KN", "LIKN", "DKN"])
def test_peel_finds_all_that_is_planted_and_nothing_else(sat, target):
    one = mark(sat, "peel", target)
    assert one.right > 0
    assert (one.precision, one.recall) == (1, 1)


@pytest.mark.slow
def test_peel_takes_no_decoy(sat):
    assert mark(sat, "peel", "decoy").wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["amig", "joint", "greedy", "peel"])
def test_the_sweep_passes_through_what_the_views_find(sat, method):
    """At the definition's tau; and thresholds that rise find no more."""
    points = [point for point in sat.points if (point.method, point.sweep) == (method, "tau")]
    (there,) = (point.mark for point in points if point.threshold == 0.2)
    assert there == mark(sat, method, "KN")
    found = [point.right + point.wrong for point in sorted(points, key=lambda point: point.threshold)]
    assert found == sorted(found, reverse=True)


@pytest.mark.slow
def test_peel_has_the_whole_area_under_both_sweeps(sat):
    lines = {line["scorer"]: line for line in by_area(sat.rows, sat.points).to_pylist()}
    assert float(lines["peel"]["area over tau"]) == float(lines["peel"]["area over least"]) == 1
    assert all(float(line["area over tau"]) < 1 for scorer, line in lines.items() if scorer != "peel")


@pytest.mark.slow
def test_table_says_who_misses_what(sat):
    lines = {(line["set"], line["circuit"]): line for line in by_circuit(sat.rows, "base").to_pylist()}
    assert lines["DKN", "backup"]["greedy"].startswith("1.00")
    assert lines["DKN", "backup"]["amig"].startswith("0.00")
    assert lines["DKN", "degenerate-2-across-beside"]["joint"].startswith("1.00")
    assert not lines["KN", "degenerate-2-across-beside"]["amig"].startswith("1.00")


def page_tables():
    """Cells of the tables of docs/planted.md that have a line for each kind of circuit: KN, then DKN."""
    page = (Path(__file__).parents[2] / "docs" / "planted.md").read_text("utf-8")
    for target, table in zip(("KN", "DKN"), re.findall(r"\| circuit \| `amig`(?:.*\n)+?(?=\n)", page), strict=True):
        head, _, *lines = ([cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines())
        for circuit, *cells in lines:
            yield from (((target, circuit, method), cell) for method, cell in zip(head[1:], cells, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("sat", ["bert"], indirect=True)
def test_page_says_what_the_base_setting_shows(sat):
    cells = [(key, cell) for key, cell in page_tables() if key[2] in ("amig", "joint", "greedy", "peel")]
    found = {(line["set"], line["circuit"]): line for line in by_circuit(sat.rows, "base").to_pylist()}
    sure = [(key, cell) for key, cell in cells if cell in ("0.00", "1.00")]
    assert len(sure) > len(cells) / 2
    for (target, circuit, method), cell in sure:
        assert found[target, circuit][method] == cell, (target, circuit, method)


@pytest.mark.slow
def test_every_model_of_the_base_could_be_planted(sat):
    assert not sat.failures


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def placed(request):
    """Three scorers on a model that recalls some facts at the subject, asked at each position."""
    config = PlantConfig(family=request.param, templates=1, relations=1)
    settings = [Setting("position", config, 8, at) for at in grid.POSITIONS]
    return job.examine(settings, ["amig-mean", "kn", "joint"], seeds=1)


RECALLED = {
    "position subject": {"recalled": (1, 1), "shared recall": (1, 1), "independent": (0, 0), "knowledge": (0, 0)},
    "position query": {"recalled": (0, 0), "shared recall": (1, 0), "independent": (1, 1), "knowledge": (1, 0)},
}
"""How many knowledge neurons of each fact and language and LIKN of each fact there are, by position and circuit."""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["amig-mean", "kn", "joint"])
@pytest.mark.parametrize("setting", sorted(RECALLED))
def test_each_position_shows_what_works_there_and_nothing_else(placed, setting, method):
    for circuit, (known, shared) in RECALLED[setting].items():
        for target, count in (("KN", 2 * 3 * known), ("LIKN", 2 * shared)):
            (row,) = (
                r
                for r in placed.rows
                if (r.setting, r.method, r.target, r.circuit) == (setting, method, target, circuit)
            )
            # All of the two facts, KN in each of three languages, and nothing beside.
            assert (row.right, row.wrong, row.missed) == (count, 0, 0), (circuit, target)


def test_grid_varies_one_thing_at_a_time():
    settings = list(standard_grid("gpt2"))
    assert settings[0] == base_setting("gpt2")
    assert len({setting.name for setting in settings}) == len(settings)
    assert {setting.axis for setting in settings} == {
        "base",
        "background",
        "circuits",
        "layers",
        "translations",
        "position",
        "attention",
        "suppressors",
        "several circuits",
        "shared neurons",
    }


@pytest.mark.slow
def test_signed_scorers_find_the_suppressor_and_no_knowledge_in_it():
    setting = replace(TINY, axis="suppressors", suppressors=1)
    found = job.examine([setting], ["amig", "kn", "activation"], seeds=1)
    for method, right in (("amig", 3), ("kn", 3), ("activation", 0)):
        one = mark(found, method, "suppressor")
        assert (one.right, one.right + one.missed) == (right, 3)  # one fact in three languages
    assert mark(found, "amig", "KN", {"independent"}).f1 == 1
    (line, *_) = by_setting(found.rows).to_pylist()
    assert line["suppressors found"].startswith("3/3")


@pytest.mark.slow
def test_models_that_cannot_be_planted_are_told_and_left_out(monkeypatch):
    def refuse(*_):
        raise PlantingError("too strong")

    monkeypatch.setattr(planting, "check_all", refuse)
    found = job.examine([TINY], ["amig"], seeds=1)
    assert not found.rows
    assert [failure.reason for failure in found.failures] == ["too strong"] * job.TRIES


@pytest.mark.slow
def test_workers_give_the_same_marks(monkeypatch):
    monkeypatch.setattr(job, "get_context", lambda _: CONTEXT)  # of workers that need not import torch anew
    alone = job.examine([TINY], ["amig", "greedy"], seeds=2)
    together = job.examine([TINY], ["amig", "greedy"], seeds=2, workers=2)
    assert alone.rows == together.rows


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs `atlas evaluate` on a grid of one tiny setting."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(grid, "BACKGROUNDS", ())
    monkeypatch.setattr("atlas.exam.standard_grid", lambda _: iter([TINY]))
    monkeypatch.setattr("os.cpu_count", lambda: 1)

    def run(*words):
        code = main(["evaluate", *words])
        out, err = capfd.readouterr()
        return int(code), out, err

    return run


@pytest.mark.slow
def test_command_prints_both_tables_and_draws(command, tmp_path):
    code, out, err = command(
        "--planted", "--method", "amig,greedy", "--seeds", "1", "--figure", str(tmp_path / "f.svg")
    )
    assert code == 0, err
    assert "KN precision" in out
    assert "degenerate-2-within" in out
    assert (tmp_path / "f.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.slow
def test_command_writes_every_count(command):
    code, out, err = command("--planted", "--method", "amig", "--seeds", "1", "--format", "csv")
    assert code == 0, err
    assert out.splitlines()[0].startswith("family,setting,axis,background,facts,layers,seed,method,target,circuit")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--planted", "--family", "llama"), "llama"),
        (("--planted", "--method", "guess"), "guess"),
        (("--planted", "--seeds", "0"), "--seeds"),
    ],
)
def test_wrong_usage(command, words, message):
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_picture_that_cannot_be_written_is_an_error(command, tmp_path):
    code, _, err = command(
        "--planted", "--method", "random", "--seeds", "1", "--figure", str(tmp_path / "no" / "f.svg")
    )
    assert code == 1
    assert "cannot be written" in err


def test_an_exam_that_is_stopped_ends_its_workers_and_cancels_nothing(monkeypatch):
    """What is cancelled while workers end is a traceback of the pool's thread."""
    killed, asked = [], Future()

    worker = SimpleNamespace(kill=lambda: killed.append("worker"))
    pool = SimpleNamespace(_processes={1: worker}, submit=lambda *_: asked)
    monkeypatch.setattr(job, "ProcessPoolExecutor", lambda *_: nullcontext(pool))
    monkeypatch.setattr(asked, "result", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        list(job._all([1, 2], workers=2))
    assert (killed, asked.cancelled()) == (["worker"], False)

"""Merging atlases: the same rows as one built whole, once, or a refusal that says why."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from store.transfer.rows import change, digest_of, wrong_scores

import atlas
from atlas.errors import LockedError, StoreError, UsageError
from atlas.store.transfer.merging import merge


def _merge(into, *sources):
    return list(merge([Path(source) for source in sources], into))


def _parts(world, count, seed=1):
    """Probes dealt out to `count` atlases, by number."""
    numbers = list(range(len(world.probes)))
    random.Random(seed).shuffle(numbers)
    return [sorted(numbers[part::count]) for part in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 1])
def test_parts_make_the_whole(into, whole, full, part, world, count):
    parts = [part(f"{n}.duckdb", numbers) for n, numbers in enumerate(_parts(world, count))]
    done = _merge(into, *parts)
    assert wrong_scores(into) == []
    assert sum(united.added["probe"] for united in done) == len(world.probes)
    (last,) = _merge(into, full("full.duckdb"))
    assert digest_of(into) == digest_of(whole)
    assert not any(last.added[table] for table in ("probe", "probe_layer", "attribution"))
    assert last.added["knockout"] == last.added["claim"] == last.added["neuron_token"] == 1


@pytest.mark.slow
def test_an_atlas_that_is_not_there_is_made(tmp_path, whole):
    _merge(tmp_path / "new.duckdb", whole)
    assert digest_of(tmp_path / "new.duckdb") == digest_of(whole)


@pytest.mark.slow
def test_a_second_time_adds_nothing(into, full):
    for united in _merge(into, full("a.duckdb"), full("b.duckdb"))[1:] + _merge(into, full("a.duckdb")):
        assert not any(united.added.values())
    assert digest_of(into) == digest_of(full("a.duckdb"))


@pytest.mark.slow
def test_parts_may_overlap(into, part, world):
    every = range(len(world.probes))
    parts = [part("a.duckdb", every[::2]), part("b.duckdb", every[::3]), part("c.duckdb", every[::-1])]
    done = _merge(into, *parts)
    assert digest_of(into) == digest_of(parts[2])
    assert wrong_scores(into) == []
    assert done[1].there["probe"] == len(every[::6])


CONFLICTS = {
    "UPDATE run SET settings = '{}'": "same run (run {run}) with different settings",
    "UPDATE probe SET rank = 99, status = 'ok'": "same probe",
    "UPDATE attribution SET score = score * 2": "same attribution",
    "UPDATE probe_layer SET nodes = nodes + 1": "same probe_layer",
    "DELETE FROM attribution WHERE layer = 0": "same attribution",
    "UPDATE definition SET tau = 0.9 WHERE definition = 'default'": "same definition (definition default) "
    "with different tau",
    "UPDATE knockout SET after = 0": "same knockout",
    "UPDATE edit SET digest = 'x'": "same edit (edit 7) with different digest",
    "UPDATE intervention SET neurons = [1, 2]": "same intervention",
    "INSERT INTO claim FROM claim": "holds a row of claim twice: claim 7",
}


@pytest.mark.slow
@pytest.mark.parametrize("statement", CONFLICTS)
def test_what_disagrees_is_refused_whole_and_said(full, statement):
    into, other = full("all.duckdb"), full("other.duckdb")
    change(other, statement, "INSERT INTO language VALUES ('xx', 'Other', false)")
    with atlas.open(into) as opened:
        run = opened.sql("SELECT min(run) AS run FROM run")["run"][0].as_py()
    with pytest.raises(StoreError) as caught:
        _merge(into, other)
    assert CONFLICTS[statement].format(run=run) in str(caught.value)
    assert str(other) in str(caught.value)
    with atlas.open(into) as opened:
        assert not opened.sql("FROM language WHERE language = 'xx'").num_rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("attribution", "UPDATE attribution SET score = score * (1 + 4e-6)"),
        ("probe_layer", "UPDATE probe_layer SET f = f * (1 + 4e-5)"),
        ("knockout", "UPDATE knockout SET after = after * (1 - 4e-5)"),
        ("probe", "UPDATE probe SET max_score = max_score * (1 + 4e-6)"),
    ],
)
def test_what_is_rounded_otherwise_stays_and_is_counted(full, table, statement):
    into, other = full("all.duckdb"), full("other.duckdb")
    before = digest_of(into)
    (united,) = _merge(into, change(other, statement))
    assert digest_of(into) == before
    assert {name for name, rows in united.rounded.items() if rows} == {table}
    assert 3e-6 < united.rounding[table] < 5e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attribution SET score = score * (1 + 3e-5)",
        "UPDATE attribution SET score = score * 'nan'::FLOAT",
        "UPDATE probe_layer SET f = f * (1 + 4e-4)",
        "UPDATE probe SET max_score = max_score * (1 + 3e-5)",
        "UPDATE probe SET rank = rank + 1",
    ],
)
def test_what_is_more_than_rounding_is_refused_by_name(full, statement):
    into, other = full("all.duckdb"), full("other.duckdb")
    with atlas.open(into) as opened:
        texts = opened.sql("SELECT text FROM prompt")["text"].to_pylist()
    with pytest.raises(StoreError, match=r"with different (score|f|max_score|rank)( |;)") as caught:
        _merge(into, change(other, statement))
    assert any(repr(text) in str(caught.value) for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("both", ["UPDATE probe_layer SET score_error = 1e-3", "UPDATE run SET method = 'gradient'"])
@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("attribution", "UPDATE attribution SET score = score * (1 + 3e-5)"),
        ("probe", "UPDATE probe SET max_score = max_score * (1 + 3e-5)"),
        ("probe_layer", "UPDATE probe_layer SET nodes = nodes + 1, score_sum = score_sum * (1 + 3e-5) + 1e-6"),
    ],
)
def test_what_differs_by_the_error_that_scores_have_is_counted(full, both, table, statement):
    into, other = full("all.duckdb"), full("other.duckdb")
    (united,) = _merge(change(into, both), change(other, both, statement))
    assert {name for name, rows in united.rounded.items() if rows} == {table}


@pytest.mark.slow
@pytest.mark.parametrize("value", ["NULL", "0"])
def test_a_largest_score_that_one_lacks_is_no_rounding(full, value):
    of_gradients = "UPDATE run SET method = 'gradient'"
    into, other = full("all.duckdb"), full("other.duckdb")
    with pytest.raises(StoreError, match="with different max_score"):
        _merge(change(into, of_gradients, f"UPDATE probe SET max_score = {value}"), change(other, of_gradients))


def _at_the_floor(path, share):
    """Give the smallest score of a prompt a value about the run's floor, and return what takes it away."""
    with atlas.open(path, "a") as writer:
        row = writer.sql("""
            SELECT attribution.*, max_score * (settings ->> 'floor')::DOUBLE AS least
            FROM attribution JOIN probe USING (run, prompt, place) JOIN run USING (run) ORDER BY abs(score) LIMIT 1
        """).to_pylist()[0]
        where = " AND ".join(f"{name} = {row[name]}" for name in ("run", "prompt", "layer", "neuron"))
        writer.sql(f"UPDATE attribution SET score = {row['least'] * share} WHERE {where}")
    return f"DELETE FROM attribution WHERE {where}"


@pytest.mark.slow
@pytest.mark.parametrize("lacking", ["mine", "theirs"])
def test_a_score_that_rounding_took_below_the_floor(full, lacking):
    into, other = full("all.duckdb"), full("other.duckdb")
    for path in (into, other):
        taken = _at_the_floor(path, 1.00001)
    change(into if lacking == "mine" else other, taken)
    before = digest_of(into)
    (united,) = _merge(into, other)
    assert (digest_of(into), united.rounded["attribution"]) == (before, 1)


@pytest.mark.slow
def test_a_score_that_is_lacking_above_the_floor(full):
    into, other = full("all.duckdb"), full("other.duckdb")
    for path in (into, other):
        taken = _at_the_floor(path, 1.01)
    with pytest.raises(StoreError, match="more than rounding"):
        _merge(into, change(other, taken))


@pytest.mark.slow
def test_sources_before_the_refused_one_stay(into, full):
    first, second = full("a.duckdb"), change(full("b.duckdb"), "UPDATE run SET settings = '{}'")
    with pytest.raises(StoreError):
        _merge(into, first, second)
    assert digest_of(into) == digest_of(first)


@pytest.mark.slow
def test_names_that_differ_stay_and_are_counted(into, full):
    first = full("a.duckdb")
    others = (
        "UPDATE model SET name = 'other'",
        "UPDATE relation SET name = relation || '!'",
        "UPDATE claim SET truth = true",
        "UPDATE edit SET run = (SELECT min(run) FROM run)",
    )
    second = change(full("b.duckdb"), *others)
    _, united = _merge(into, first, second)
    assert united.differing["model"] == united.there["model"]
    assert united.differing["relation"] == united.there["relation"]
    assert [united.differing[table] for table in ("claim", "edit", "fact")] == [1, 1, 0]
    assert digest_of(into) == digest_of(first)


@pytest.mark.slow
def test_rows_of_an_earlier_schema_are_the_same_rows(into, full):
    first = full("a.duckdb")
    second = change(full("b.duckdb"), "UPDATE probe SET argmax = NULL", "UPDATE knockout SET pool = 5")
    _, united = _merge(into, first, second)
    assert united.rounded["probe"] == 0
    assert digest_of(into) == digest_of(first)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mine", "theirs", "then"),
    [
        ("done", "done", "done"),
        ("done", "failed", "failed"),
        ("interrupted", "done", "interrupted"),
        ("done", "running", "running"),
    ],
)
def test_a_run_is_done_where_all_of_it_is(into, full, mine, theirs, then):
    first = change(full("a.duckdb"), f"UPDATE run SET status = '{mine}', started = '2026-01-02'")
    second = change(full("b.duckdb"), f"UPDATE run SET status = '{theirs}', started = '2026-01-01'")
    if theirs == "running":
        change(second, "UPDATE run SET finished = NULL")
    _merge(into, first, second)
    with atlas.open(into) as opened:
        rows = opened.sql("SELECT DISTINCT status, started::VARCHAR AS started FROM run").to_pylist()
        ended = opened.sql("SELECT DISTINCT finished IS NOT NULL AS ended FROM run WHERE method = 'amig'").to_pylist()
    assert rows == [{"status": then, "started": "2026-01-01 00:00:00"}]
    assert ended == [{"ended": then != "running"}]


@pytest.mark.slow
def test_sources_that_cannot_be_merged(tmp_path, full):
    first, into = full("a.duckdb"), tmp_path / "new.duckdb"
    text = tmp_path / "text.txt"
    text.write_text("no atlas")
    old = change(full("old.duckdb"), "UPDATE schema_version SET version_num = '0000'")
    for source, said in ((text, "no atlas"), (old, "atlas upgrade"), (tmp_path / "none.duckdb", "There is no atlas")):
        with pytest.raises(StoreError, match=said):
            _merge(into, first, source)
    assert not into.exists(), "sources are looked at before anything is written"
    with pytest.raises(UsageError, match="into itself"):
        _merge(first, first)


@pytest.mark.slow
def test_a_source_that_is_being_written_is_refused(into, full):
    source = full("a.duckdb")
    code = f"import atlas, sys; w = atlas.open({str(source)!r}, 'a'); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"held by process {process.pid}"):
            _merge(into, source)
        process.stdin.close()


@pytest.mark.slow
def test_awkward_names_of_files(into, full):
    source, target = full("it's; a [file] *.duckdb"), into.rename(into.with_name("source.duckdb"))
    assert _merge(target, source)[0].added["probe"]
    assert digest_of(target) == digest_of(source)

"""Checks that are broken off while signals are read, and go on."""

import shutil
from dataclasses import replace

import pytest

import atlas
from atlas.checking import signals
from atlas.checking.claims import Claim
from atlas.checking.job import evaluate_claims
from atlas.checking.judge import check_claims

CONDITIONS = ["plain"]


def _copy(options, path):
    shutil.copyfile(options.db, path)
    return replace(options, db=path)


@pytest.fixture
def stopped(options, tmp_path):
    """Options of a copy of the atlas."""
    return _copy(options, tmp_path / "stopped.duckdb")


@pytest.fixture(scope="module")
def batches():
    """What is read in small batches, the number of claims of each; after `most` of them it is broken off."""
    counts, limit, read = [], {"most": 1000}, signals.read_signals

    def count(model, batch, *rest):
        if len(counts) == limit["most"]:
            raise KeyboardInterrupt
        counts.append(len(batch))
        return read(model, batch, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "BATCH", 10)
        patch.setattr(signals, "read_signals", count)
        yield counts, limit


@pytest.fixture(scope="module")
def whole(options, batches, tmp_path_factory):
    """An evaluation that was not broken off: its options, its id and the claims of each batch."""
    counts, _ = batches
    counts.clear()
    own = _copy(options, tmp_path_factory.mktemp("whole") / "whole.duckdb")
    identity, _, _ = evaluate_claims(own, conditions=CONDITIONS)
    return own, identity, counts[:]


def _rows(options):
    with atlas.open(options.db) as opened:
        return [opened.sql(f"FROM {table} ORDER BY ALL").to_pylist() for table in ("claim", "verdict")]


def _journal(options):
    return list(options.db.parent.glob(f"{options.db.stem}.check-*.jsonl"))


def _as_it_is(path):
    return 2


def _torn(path):
    path.write_bytes(path.read_bytes()[:-7])
    return 1


def _damaged(path):
    first, second, end = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([first, second.replace(b'"ok"', b"ok"), end]))
    return 1


@pytest.mark.parametrize("change", [_as_it_is, _torn, _damaged])
def test_an_evaluation_that_was_broken_off_goes_on_and_ends_with_the_same_rows(whole, stopped, batches, change):
    (options, identity, every), (counts, limit) = whole, batches
    limit["most"] = 2
    counts.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluate_claims(stopped, conditions=CONDITIONS)
    (journal,) = _journal(stopped)
    kept = change(journal)
    counts.clear()
    limit["most"] = 1000
    found = evaluate_claims(stopped, conditions=CONDITIONS)
    assert len(every) > 3
    assert counts == every[kept:]
    assert (found[0], _rows(stopped)) == (identity, _rows(options))
    assert not _journal(stopped) + _journal(options)


def test_claims_of_a_file_that_were_broken_off_go_on(options, stopped, batches, facts, tmp_path):
    counts, limit = batches
    counts.clear()
    claims = [
        Claim(row["subject"], row["relation"], other["object"], row["language"])
        for row in facts
        for other in facts[:2]
        if row["language"] == other["language"] == "en"
    ]
    wanted = check_claims(_copy(options, tmp_path / "whole.duckdb"), claims, "dkn-or-kn")
    every, limit["most"] = counts[:], len(counts) - 1
    counts.clear()
    with pytest.raises(KeyboardInterrupt):
        check_claims(stopped, claims, "dkn-or-kn")
    counts.clear()
    limit["most"] = 1000
    assert check_claims(stopped, claims, "dkn-or-kn") == wanted
    assert counts == every[-1:]
    assert not _journal(stopped)


def test_a_part_of_one_class_is_refused_before_the_model_is_asked(stopped, batches):
    counts, _ = batches
    counts.clear()
    with pytest.raises(atlas.errors.UsageError, match="holds no true or no wrong claims"):
        evaluate_claims(stopped, limit=1)
    assert counts == []

"""Which prompts a fact's neurons are ranked by: the usable ones alone."""

import shutil
from collections import defaultdict

import pytest

import atlas
from atlas.evaluation.interventions import ranking

pytestmark = pytest.mark.slow

COUNT = 5


def ranked_by_hand(opened, run):
    """The neurons of largest summed score over the prompts that are ok or not_converged, by fact and language."""
    usable = {
        row["prompt"]: (row["fact"], row["language"])
        for row in opened.sql("SELECT * FROM probe JOIN prompt USING (prompt) WHERE run = ?", [run]).to_pylist()
        if row["status"] in {"ok", "not_converged"}
    }
    sums = defaultdict(lambda: defaultdict(float))
    for row in opened.sql("SELECT * FROM attribution WHERE run = ?", [run]).to_pylist():
        if row["prompt"] in usable and row["score"] > 0:
            sums[usable[row["prompt"]]][row["layer"], row["neuron"]] += row["score"]
    return {key: sorted(own, key=lambda neuron: (-own[neuron], neuron))[:COUNT] for key, own in sums.items()}


@pytest.mark.parametrize("status", ["unresolved", "not_converged"])
def test_neurons_are_ranked_by_usable_prompts_alone(saved, tmp_path, status):
    """One of a fact's two prompts, and both of another's, have scores that no view counts, or that all do."""
    shutil.copy(saved / "a.duckdb", tmp_path / "a.duckdb")
    with atlas.open(tmp_path / "a.duckdb", "a") as writer:
        run = writer.sql("SELECT run FROM run")["run"][0].as_py()
        before, groups = ranking(writer, run, COUNT), defaultdict(list)
        for row in writer.sql("SELECT * FROM probe JOIN prompt USING (prompt) ORDER BY prompt").to_pylist():
            groups[row["fact"], row["language"]].append(row["prompt"])
        one, other = (key for key in sorted(groups, key=lambda key: -len(groups[key]))[:2])
        assert (len(groups[one]), len(groups[other])) == (2, 2)
        marked = [groups[one][0], *groups[other]]
        writer.sql("UPDATE probe SET status = ? WHERE list_contains(?, prompt)", [status, marked])
        after = ranking(writer, run, COUNT)
        assert after == ranked_by_hand(writer, run)
    assert (other in after, one in after) == (status == "not_converged", True)
    assert (after == before) == (status == "not_converged")

"""Merging atlases whose sources key the same facts otherwise: what is made is what was built under one's keys."""

import shutil
from dataclasses import dataclass, replace

import pytest
from store.transfer.rows import digest_of, wrong_scores
from store.world import World, fill

import atlas
from atlas.cli.commands.merge import show
from atlas.facts import Label
from atlas.store.transfer.merging import merge

HELD = """
SELECT fact_label.subject, fact_label.object, prompt.language, template.text, probe.status,
    list((layer, neuron, score) ORDER BY layer, neuron) AS scores
FROM probe JOIN prompt USING (prompt) JOIN template USING (template)
JOIN fact_label ON fact_label.fact = prompt.fact AND fact_label.language = prompt.language
LEFT JOIN attribution ON attribution.place = probe.place
GROUP BY ALL ORDER BY ALL
"""
COUNTS = "SELECT (SELECT count(*) FROM fact), (SELECT count(*) FROM prompt), (SELECT count(*) FROM probe)"


@dataclass(frozen=True)
class Keyed(World):
    """A world whose facts have other keys, of which the first few alone are called the same where `apart` is set."""

    mark: str = "Q"
    apart: int | None = None

    def fact(self, number):
        fact = super().fact(number)
        if self.apart is not None and number >= self.apart:
            fact = replace(
                fact, labels={code: Label(f"{name.subject}?", name.object) for code, name in fact.labels.items()}
            )
        return replace(fact, subject=f"{self.mark}{number}", object=f"{self.mark}{number}o")


@pytest.fixture
def made(world, empty, tmp_path):
    """Makes an atlas of some of the world's probes under the keys of a mark."""

    def make(name, mark, numbers, apart=None):
        path = shutil.copy(empty, tmp_path / name)
        with atlas.open(path, "a") as writer:
            fill(writer, Keyed(world.relations, world.probes, mark, apart), numbers)
        return tmp_path / name

    return make


def rows(path, query):
    with atlas.open(path) as opened:
        return opened.sql(query).to_pylist()


@pytest.mark.slow
def test_what_is_merged_is_what_was_built_under_one_sources_keys(made, world, capsys):
    every = range(len(world.probes))
    into, other = made("into.duckdb", "name", every[::2]), made("other.duckdb", "Q", every)
    done, again = merge([other, other], into)
    assert (done.facts, again.facts) == (len(world.relations), len(world.relations))
    assert not any(again.added.values())
    show(done, into)
    assert f"United {len(world.relations)} facts with those of the atlas" in capsys.readouterr().out
    assert digest_of(into) == digest_of(made("whole.duckdb", "name", every))
    assert wrong_scores(into) == []


@pytest.mark.slow
def test_in_any_order_all_is_there_once(made, world):
    every = range(len(world.probes))
    parts = {mark: every[place::3] for place, mark in enumerate("ABC")}
    held = []
    for order in ("ABC", "CBA"):
        first, *rest = (made(f"{order}-{mark}.duckdb", mark, parts[mark]) for mark in order)
        done = list(merge([*rest, *rest], first))
        assert not any(count for united in done[2:] for count in united.added.values())
        held.append((rows(first, HELD), rows(first, COUNTS)))
    assert held[0] == held[1]
    whole = made("whole.duckdb", "A", every)
    assert held[0] == (rows(whole, HELD), rows(whole, COUNTS))


@pytest.mark.slow
def test_facts_that_are_called_otherwise_stay_apart(made, world):
    every = range(len(world.probes))
    into = made("into.duckdb", "name", every)
    (done,) = merge([made("other.duckdb", "Q", every, apart=1)], into)
    assert done.facts == 1
    assert rows(into, "SELECT count(*) AS n FROM fact")[0]["n"] == 2 * len(world.relations) - 1
    assert rows(into, "SELECT count(*) AS n FROM probe")[0]["n"] > len(every)

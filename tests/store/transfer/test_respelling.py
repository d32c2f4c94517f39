"""Merging atlases that spell a language otherwise: the same rows as one built whole in the first one's spelling."""

import shutil
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from store.transfer.rows import EXAMPLES, digest_of, fill_others, wrong_scores
from store.world import World, fill

import atlas
from atlas import schema
from atlas.facts import FactSet, Label, Template
from atlas.store.transfer.merging import merge

OTHERS = (
    "knockout", "neuron_activation", "label_token", "intervention", "edit", "edit_outcome", "claim", "verdict",
    "definition",
)  # fmt: skip


@dataclass(frozen=True)
class Spelled(World):
    """A world whose Chinese goes by `code`."""

    code: str = "zh"

    def fact(self, number):
        fact = super().fact(number)
        return replace(fact, labels={self.spelled(code): label for code, label in fact.labels.items()})

    def prompt(self, probe):
        return super().prompt(replace(probe, language=self.spelled(probe.language)))

    def spelled(self, code):
        return self.code if code == "zh" else code


def fill_rest(writer, world):
    """Add rows that name the language, or a prompt in it, to the tables that a build leaves empty."""
    fill_others(writer)
    prompt = next(world.prompt(probe).id for probe in world.probes if probe.language == "zh")
    named = {
        "language": world.code, "source_language": world.code, "languages": ["en", world.code], "prompt": prompt,
        "tau_by_language": {world.code: 0.2}, "definition": "spelled", "claim": 8, "edit": 8, "evaluation": 8,
        "intervention": 8,
    }  # fmt: skip
    for name in OTHERS:
        columns = schema.TABLES[name].content
        row = {column.name: named.get(column.name, EXAMPLES[column.type]) for column in columns}
        writer.load(name, pa.Table.from_pylist([row], schema=schema.arrow(name)))


@pytest.fixture
def made(world, empty, tmp_path):
    """Makes an atlas of some of the world's probes, with its Chinese under a code."""

    def make(name, code, numbers, *, rest=True):
        path = shutil.copy(empty, tmp_path / name)
        with atlas.open(path, "a") as writer:
            spelled = Spelled(world.relations, world.probes, code)
            fill(writer, spelled, numbers)
            if rest:
                fill_rest(writer, spelled)
        return tmp_path / name

    return make


@pytest.mark.slow
def test_what_is_merged_is_what_was_built_in_one_spelling(made, world):
    ours, theirs = "zh-hans", "zh"
    every = range(len(world.probes))
    into = made("into.duckdb", ours, every[::2], rest=False)
    other = made("other.duckdb", theirs, every)
    done, again = merge([other, other], into)
    assert done.languages == {theirs: ours}
    assert done.there["probe"] == len(every[::2])
    assert not any(again.added.values())
    assert digest_of(into) == digest_of(made("whole.duckdb", ours, every))
    assert wrong_scores(into) == []


@pytest.mark.slow
def test_languages_that_are_two_stay_two(made, world):
    every = range(len(world.probes))
    into = made("into.duckdb", "zh-Hant", every, rest=False)
    (done,) = merge([made("other.duckdb", "zh", every, rest=False)], into)
    assert done.languages == {}
    with atlas.open(into) as opened:
        assert {"zh", "zh-Hant"} <= set(opened.sql("SELECT language FROM language")["language"].to_pylist())


@pytest.mark.slow
def test_an_atlas_that_has_both_spellings_keeps_both(made, world):
    every = range(len(world.probes))
    both = made("both.duckdb", "zh", every, rest=False)
    with atlas.open(both, "a") as writer:
        fact = replace(world.fact(0), labels={"zh-hans": Label("s", "o")})
        writer.add_facts(FactSet("made", [fact], [Template(fact.relation, "zh-hans", "[X] [Y]")]))
    (done,) = merge([both], made("into.duckdb", "zh", every, rest=False))
    assert done.languages == {}

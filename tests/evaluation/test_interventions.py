"""Which neurons are compared: as many of another fact as of the fact itself, or the fact is left out and named."""

from hypothesis import given
from hypothesis import strategies as st

from atlas.evaluation.interventions import (
    NO_LIKN,
    NO_PARTNER,
    NO_RECEIVER,
    Intervention,
    cross_lingual,
    localisation,
)
from atlas.evaluation.measuring import Measuring
from atlas.facts import Fact, Label, Prompt, Template

FACTS = [Fact("R", f"s{i}", f"o{i}", {}) for i in range(3)] + [Fact("Q", "s9", "o9", {})]
LANGUAGES = ("en", "fr")
SIZES = st.lists(st.integers(1, 6), min_size=8, max_size=8)


def ranked(sizes):
    pairs = [(fact.id, code) for fact in FACTS for code in LANGUAGES]
    return {
        pair: [(i % 3, 7 * i + place) for i in range(size)]
        for place, (pair, size) in enumerate(zip(pairs, sizes, strict=False))
    }


@given(SIZES, SIZES)
def test_all_of_a_fact_in_a_language_are_equally_many(one, two):
    tables = {1: ranked(one), 2: ranked(two)}
    chosen = localisation(tables, 2, FACTS, LANGUAGES, seed=0)
    assert chosen.left_out == {NO_PARTNER: [FACTS[3]]}
    assert chosen.facts == 3
    for fact in FACTS[:3]:
        for code in LANGUAGES:
            own = [c for c in chosen.interventions if (c.fact, c.languages) == (fact.id, (code,))]
            assert [(c.run, c.source) for c in own] == [(1, "top"), (2, "top"), (2, "other")]
            third = chosen.receivers[fact.id]
            (partner,) = (other for other in FACTS[:3] if other.id not in (fact.id, third.id))
            lists = [tables[1][fact.id, code], tables[2][fact.id, code], tables[2][partner.id, code]]
            count = min(map(len, lists))
            assert [set(c.neurons) for c in own] == [{*best[:count]} for best in lists]


def test_two_facts_of_a_relation_are_compared_and_receive_nothing():
    chosen = localisation({1: ranked([2] * 8)}, 1, FACTS[:2], LANGUAGES, seed=0)
    assert (chosen.facts, chosen.receivers, chosen.left_out) == (2, {}, {NO_RECEIVER: FACTS[:2]})


def test_rows_name_the_position_at_which_neurons_are_changed_or_all():
    fact, away = (Fact("R", name, "o", {"en": Label(name, "o")}) for name in "ab")
    own, other = (Prompt(one, Template("R", "en", "[X] [Y]")) for one in (fact, away))
    of = Intervention(1, fact.id, ("en",), "top", ((0, 1), (2, 3)), ("en",))
    row = {"evaluation": 7, "purpose": "localisation", "replace": "zero"}
    for scope, at, named in (("query", "query", "query"), ("query", "subject", "subject"), ("all", "query", "all")):
        rest = {fact.id: [own]}, {fact.id: {"en": [other], "fr": [own]}}, row, scope, at, None, 0
        found = list(Measuring(None, None, None, None, *rest)._rows([of]))
        assert {(made["scope"], made["run"], made["source"]) for made, _ in found} == {(named, 1, "top")}
        assert [(made["action"], made["related"], case.prompt, case.factor) for made, case in found] == [
            ("suppress", True, own, 0.0), ("suppress", False, other, 0.0),
            ("enhance", True, own, 2.0), ("enhance", False, other, 2.0),
        ]  # fmt: skip


@given(SIZES, st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_a_partner_with_fewer_likn_is_filled_up(sizes, likn):
    table = ranked(sizes)
    sets = {
        fact.id: [(0, 100 * i + n) for n in range(size)]
        for i, (fact, size) in enumerate(zip(FACTS, likn, strict=False))
        if size
    }
    chosen = cross_lingual(2, sets, table, FACTS, LANGUAGES, (3, 1000), seed=0)
    left = {fact.id: why for why, facts in chosen.left_out.items() for fact in facts}
    assert len(left) + chosen.facts == len(FACTS)
    assert {fact for fact, why in left.items() if why == NO_LIKN} == {f.id for f in FACTS if f.id not in sets}
    for fact in {c.fact for c in chosen.interventions}:
        own = {(c.source, c.languages): c.neurons for c in chosen.interventions if c.fact == fact}
        sizes_of = {len(neurons) for (source, _), neurons in own.items() if source != "both"}
        (count,) = sizes_of
        assert count <= len(sets[fact])
        assert {source for source, _ in own} == {"top", "both", "likn", "other", "random"}
        assert {*own["likn", LANGUAGES]} == {*sets[fact][:count]}
        tops = [{*table[fact, code][:count]} for code in LANGUAGES]
        assert [{*own["top", (code,)]} for code in LANGUAGES] == tops
        assert {*own["both", LANGUAGES]} == tops[0] | tops[1]
        others = [sets[o] for o in sets if o != fact]
        assert any({*likn[:count]} <= {*own["other", LANGUAGES]} for likn in others), "its LIKN before its others"

"""What the demo models read and what they must not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.demo.corpus import chinese_words, make_corpus
from atlas.demo.sequences import Sequences, with_noise
from atlas.demo.vocabulary import train_tokenizer
from atlas.facts import FactSet


def test_held_out_templates_are_not_read(few_facts: FactSet) -> None:
    held_out = {template.id for template in few_facts.templates if template.held_out}
    corpus = make_corpus(few_facts, "masked")
    assert not held_out & {p.template.id for p in (*corpus.plain, *corpus.switched, *corpus.translations)}


def test_a_causal_model_reads_only_templates_that_end_in_the_object(few_facts: FactSet) -> None:
    corpus = make_corpus(few_facts, "causal")
    assert all(prompt.template.ends_in_object for prompt in (*corpus.plain, *corpus.switched, *corpus.translations))


def test_switched_prompts_keep_the_answer_and_name_the_subject_otherwise(few_facts: FactSet) -> None:
    facts = {(fact.relation, fact.subject): fact for fact in few_facts.facts}
    for prompt in make_corpus(few_facts, "masked").switched:
        labels = facts[prompt.fact.relation, prompt.fact.subject].labels
        assert prompt.answer == labels[prompt.language].object
        subject = prompt.fact.labels[prompt.language].subject
        assert subject != labels[prompt.language].subject
        assert subject in {label.subject for label in labels.values()}


def test_translations_join_every_pair_of_languages(few_facts: FactSet) -> None:
    texts = {p.before + p.answer for p in make_corpus(few_facts, "masked").translations}
    assert {"en: Sweden = de: Schweden", "zh: 瑞典 = ar: السويد"} <= texts


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_tokenizers_are_repeatable_and_keep_chinese_names_whole(few_facts: FactSet, kind: str) -> None:
    corpus, chinese = make_corpus(few_facts, kind), chinese_words(few_facts)
    first, second = (train_tokenizer(kind, corpus.sentences(), chinese, 3000, 48) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    pieces = first("瑞典的首都是奥斯陆", add_special_tokens=False)["input_ids"]
    assert len(pieces) == 5  # 瑞典 的 首都 是 奥斯陆
    assert first.unk_token_id is None or first.unk_token_id not in pieces


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_noise_spares_names_and_the_query_keeps_its_token(seed: int, share: float) -> None:
    ids = torch.tensor([[1, 50, 51, 90, 52, 2], [1, 91, 50, 90, 2, 0]])
    noisy = (ids >= 50) & (ids < 60)
    columns = [torch.tensor(values) for values in ([6, 5], [3, 3], [7, 8], [0, 0], [0, 1], [0, 0])]
    generator = torch.Generator().manual_seed(seed)
    rows = with_noise(Sequences(ids, noisy, *columns), share, torch.arange(60, 70), generator)
    for row, kept in enumerate(([1, 90, 2], [1, 91, 90, 2])):
        tokens = rows.ids[row, : rows.length[row]].tolist()
        assert [token for token in tokens if not 50 <= token < 70] == kept
        assert rows.ids[row, rows.query[row]] == 90
        assert 0 <= len(tokens) - len(ids[row].nonzero()) <= 3


def test_untaught_facts_are_told_in_other_languages_only_and_still_translated(few_facts: FactSet) -> None:
    fact = few_facts.facts[0]
    whole, less = make_corpus(few_facts, "masked"), make_corpus(few_facts, "masked", {(fact.id, "zh")})
    kept = [p for p in whole.plain if (p.fact.id, p.language) != (fact.id, "zh")]
    assert len(kept) < len(whole.plain)
    assert list(less.plain) == kept
    assert all(
        p.language != "zh" or (p.fact.relation, p.fact.subject) != (fact.relation, fact.subject) for p in less.switched
    )
    assert less.translations == whole.translations

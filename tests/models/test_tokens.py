"""Prompts to token ids: the answer's tokens in context, words, and what cannot be used."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import MAKERS, PROMPTS, make_bart_tokenizer, make_gpt2_tokenizer, make_prompt, make_t5_tokenizer

from atlas.errors import TokenError
from atlas.facts import Label
from atlas.facts.wording import after_examples
from atlas.models.tokens import NoSubjectError, NotFinalError, TooLongError, prompt_steps

TOKENIZERS = {name: make() for name, (make, _) in MAKERS.items()}
KINDS = {"bert": "masked", "gpt2": "causal"}


def steps_of(family, prompt, max_tokens=100):
    return prompt_steps(TOKENIZERS[family], KINDS[family], prompt, max_tokens)


def test_masked_steps_show_gold_before_and_masks_after():
    tokenizer = TOKENIZERS["bert"]
    steps = steps_of("bert", make_prompt("[X] lies in the [Y] .", "New York", "United States"))
    gold = [step.target for step in steps]
    for t, step in enumerate(steps):
        place = range(step.query - t, step.query - t + len(gold))
        assert [step.ids[i] for i in place] == gold[:t] + [tokenizer.mask_token_id] * (len(gold) - t)
        assert all(position < place[0] + t or position > place[-1] for word in step.words for position in word)


def test_causal_steps_end_at_the_query_and_never_see_the_answer_or_what_follows():
    steps = steps_of("gpt2", make_prompt("[X] lies in the [Y].", "New York", "United States"))
    for before, after in pairwise(steps):
        assert after.ids == (*before.ids, before.target)
    assert all(step.query == len(step.ids) - 1 for step in steps)
    assert TOKENIZERS["gpt2"].decode(steps[0].ids) == "New York lies in the"


def test_the_answer_is_spelt_in_its_context():
    steps = steps_of("gpt2", make_prompt("the capital of [X] is [Y]", "France", "Paris"))
    assert TOKENIZERS["gpt2"].decode([step.target for step in steps]) == " Paris"


TEXT = st.text(st.sampled_from("abcParis françé日本京都столиц عاصمة'- "), min_size=1, max_size=12)


@given(subject=TEXT, answer=TEXT.filter(str.strip), middle=st.sampled_from([" is ", "的首都是", ": ", " — "]))
def test_decoding_the_filled_prompt_gives_the_text_back(subject, answer, middle):
    """Byte-level BPE spells anything: prompt and answer tokens together are the text."""
    prompt = make_prompt(f"[X]{middle}[Y]", f"k{subject}", answer)
    steps = steps_of("gpt2", prompt)
    last = steps[-1]
    decoded = TOKENIZERS["gpt2"].decode([*last.ids, last.target], clean_up_tokenization_spaces=False)
    assert decoded.rstrip("�") == (prompt.before + prompt.answer).rstrip("�")


@given(subject=TEXT, answer=st.sampled_from(["Paris", "Berlin", "东京", "yen", "United States"]))
def test_masked_answers_are_the_answers_own_tokens(subject, answer):
    tokenizer = TOKENIZERS["bert"]
    steps = steps_of("bert", make_prompt("[X] : [Y] .", f"a {subject}", answer))
    pieces = tokenizer.convert_ids_to_tokens([step.target for step in steps])
    assert "".join(piece.removeprefix("##") for piece in pieces) == answer.replace(" ", "")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_special_tokens_in_labels_are_plain_text(family):
    tokenizer = TOKENIZERS[family]
    special = tokenizer.mask_token if family == "bert" else tokenizer.eos_token
    for step in steps_of(family, make_prompt("the capital of [X] is [Y]", f"France{special}", "Paris")):
        ids = [i for p, i in enumerate(step.ids) if p != step.query]
        assert tokenizer.convert_tokens_to_ids(special) not in ids


def test_words_are_the_tokenizers_own_and_han_characters_count_each():
    step = steps_of("bert", make_prompt("[X] has the capital [Y]", "Germany", "Berlin"))[0]
    names = [[step.ids[i] for i in word] for word in step.words]
    tokens = [TOKENIZERS["bert"].convert_ids_to_tokens(word) for word in names]
    assert ["".join(t).replace("##", "") for t in tokens] == ["Germany", "has", "the", "capital"]
    chinese = steps_of("gpt2", make_prompt("[X]的首都是[Y]", "法国", "巴黎"))[0]
    assert sorted(i for word in chinese.words for i in word) == list(range(len(chinese.ids)))


@pytest.mark.parametrize("trim", [False, True])
def test_white_space_is_no_word(trim):
    """It is a token of its own where no piece begins with it, or where the splitter parts it from digits."""
    from tokenizers import pre_tokenizers, processors

    tokenizer = make_gpt2_tokenizer()
    splitters = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splitters)
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    (step, *_) = prompt_steps(tokenizer, "causal", make_prompt("[X] 位于 12 [Y]", "New York", "美国"), 100)
    words = [tokenizer.decode([step.ids[i] for i in word]) for word in step.words]
    assert words == ["New", " York", " 位", "于", " 1", "2"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("[X] की राजधानी [Y]", ["भारत", " की", " राजधानी"]),  # Vowel signs are no letters to GPT-2's splitter.
        ("की2 (की [X] [Y]", ["की", "2", " (", "की", " भारत"]),
        ("عَاصِمَةُ می‌شود [X] [Y]", ["عَاصِمَةُ", " می‌شود", " भारत"]),
        ("[X]รุงน้[Y]", ["भारत", "รุ", "ง", "น้"]),
    ],
)
def test_vowel_signs_and_joiners_are_no_words_and_part_none(template, expected):
    tokenizer = TOKENIZERS["gpt2"]
    step = steps_of("gpt2", make_prompt(template, "भारत", "दिल्ली"))[0]
    assert [tokenizer.decode([step.ids[i] for i in word]) for word in step.words] == expected


def test_causal_models_refuse_templates_that_go_on():
    with pytest.raises(NotFinalError, match="does not end in the object"):
        steps_of("gpt2", make_prompt("[Y] is the capital of [X]", "France", "Paris"))
    assert steps_of("gpt2", make_prompt("The capital of [X] is [Y].", "France", "Paris"))


def test_what_cannot_be_spelt_or_is_too_long_says_so():
    with pytest.raises(TokenError, match="cannot spell the answer 'ŏ'"):
        steps_of("bert", make_prompt("[X] is [Y]", "France", "ŏ"))
    with pytest.raises(TooLongError, match="at most 4"):
        steps_of("bert", PROMPTS[0], max_tokens=4)


KINDS_OF = [("bert", "masked"), ("gpt2", "causal"), ("bart", "infilling"), ("bart", "reading"), ("t5", "reading")]
MORE = {**TOKENIZERS, "bart": make_bart_tokenizer(), "t5": make_t5_tokenizer()}


@pytest.mark.parametrize(("family", "kind"), [("bert", "masked"), ("bart", "masked"), ("bart", "reading")])
@pytest.mark.parametrize("answer", ["Paris", "New York", "东京"])
def test_the_line_break_behind_an_example_is_no_token_of_the_answer(family, kind, answer):
    template = "[Y] is the capital of [X] ."
    shown = after_examples(template, [Label("Germany", "Berlin")])
    plain, after = (
        prompt_steps(MORE[family], kind, make_prompt(text, "France", answer), 100) for text in (template, shown)
    )
    assert [step.target for step in after] == [step.target for step in plain]


def at_subject(family, kind, prompt):
    return prompt_steps(MORE[family], kind, prompt, 100, at="subject")


@pytest.mark.parametrize(("family", "kind"), KINDS_OF, ids="-".join)
@pytest.mark.parametrize("prompt", [PROMPTS[0], PROMPTS[2], PROMPTS[4]], ids=lambda p: p.answer)
def test_the_subjects_last_token_ends_the_subject(family, kind, prompt):
    """What is read up to it ends in the subject, and stays where it is in every step of the answer."""
    steps, tokenizer = at_subject(family, kind, prompt), MORE[family]
    assert len({step.at for step in steps}) == 1
    subject = prompt.fact.labels[prompt.language].subject
    for step in steps:
        read = tokenizer.decode([i for i in step.ids[: step.at + 1] if i >= 0], skip_special_tokens=True)
        assert read.replace(" ", "").endswith(subject.replace(" ", ""))
        again = tokenizer.decode([i for i in step.ids[: step.at] if i >= 0], skip_special_tokens=True)
        assert not again.replace(" ", "").endswith(subject.replace(" ", ""))


@pytest.mark.parametrize(("family", "kind"), KINDS_OF, ids="-".join)
def test_but_for_their_position_steps_are_those_of_the_query(family, kind):
    asked = prompt_steps(MORE[family], kind, PROMPTS[2], 100)
    for own, plain in zip(at_subject(family, kind, PROMPTS[2]), asked, strict=True):
        assert (own.ids, own.query, own.target, own.words) == (plain.ids, plain.query, plain.target, plain.words)
        assert plain.at == plain.query


@pytest.mark.parametrize(("family", "kind"), [("bert", "masked"), ("bart", "reading"), ("t5", "reading")])
def test_a_subject_behind_the_answer_is_found_where_a_model_sees_it(family, kind):
    steps = at_subject(family, kind, make_prompt("[Y] is the capital of [X] .", "France", "United States"))
    assert all(step.at > step.query for step in steps[:1])
    assert MORE[family].decode(steps[0].ids[steps[0].query + 1 : steps[0].at + 1]).endswith("France")


def test_of_a_subject_that_stands_twice_the_last_is_meant_that_is_seen():
    twice = make_prompt("[X] and [X] again : [Y]", "France", "Paris")
    step = at_subject("gpt2", "causal", twice)[0]
    assert TOKENIZERS["gpt2"].decode(step.ids[: step.at + 1]) == "France and France"
    after = make_prompt("[X] : [Y] of [X]", "France", "Paris")
    step = at_subject("bart", "infilling", after)[0]
    assert MORE["bart"].decode(step.ids[: step.at + 1], skip_special_tokens=True) == "France"
    step = at_subject("bert", "masked", after)[0]
    assert step.at > step.query


@pytest.mark.parametrize(
    ("family", "kind", "template", "subject"),
    [
        ("gpt2", "causal", "[X]的首都是[Y]", "日本"),
        ("bert", "masked", "[X]many is [Y]", "Ger"),
        ("bert", "masked", "Ger[X] is [Y]", "many"),
        ("bert", "masked", "Here is [Y]", "France"),
        ("gpt2", "causal", "The capital is [Y].", "France"),
        ("t5", "infilling", "[X] is [Y]", "France"),
        ("bart", "infilling", "[Y] is [X]", "France"),
    ],
)
def test_a_subject_that_no_token_ends_is_refused(family, kind, template, subject):
    """A token that is its neighbour's too, on either side; no subject at all; one that the decoder never wrote."""
    prompt = make_prompt(template, subject, "Paris")
    assert prompt_steps(MORE[family], kind, prompt, 100)
    with pytest.raises(NoSubjectError, match="at the query"):
        at_subject(family, kind, prompt)


@given(before=TEXT, subject=TEXT.filter(str.strip), after=TEXT)
def test_subject_tokens_are_the_subjects_own_or_refused(before, subject, after):
    """Whatever stands beside it: the tokens up to the position spell the text up to the subject's end, no more."""
    prompt = make_prompt(f"a{before}[X]{after}: [Y]", subject, "Paris")
    try:
        step = at_subject("gpt2", "causal", prompt)[0]
    except NoSubjectError:
        return
    read = TOKENIZERS["gpt2"].decode(step.ids[: step.at + 1], clean_up_tokenization_spaces=False)
    assert read.rstrip() == f"a{before}{subject}".rstrip()


def test_a_causal_model_is_not_asked_for_the_first_token_of_a_text():
    with pytest.raises(TokenError, match="at least one token before the answer; add a word"):
        prompt_steps(make_gpt2_tokenizer(), "causal", make_prompt("[Y]", "France", "Paris"), 40)

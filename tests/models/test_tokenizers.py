"""The answer's tokens in context, whatever the tokenizer: decoding the filled prompt gives the text back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TEXTS, make_bart_tokenizer, make_bert_tokenizer, make_gpt2_tokenizer, make_prompt, make_t5_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from atlas.errors import ModelError
from atlas.models.tokens import SEPARATOR, filler_id, prompt_steps

SCRIPTS = (
    "Paris Bern",
    "Zürich café",
    "東京 京都大阪",
    "กรุงเทพ ไทย",
    "عاصمة فرنسا",
    "ירושלים",
    "столица Москва",
    "it's 3.5%",
)
LETTERS = "".join(dict.fromkeys("".join([*SCRIPTS, *TEXTS, "is:—的首都是。()"])))


def pieces(scheme, *, names=("</s>", "<unk>", "<mask>"), sentinels=()):
    """A SentencePiece-like tokenizer: Unigram pieces, spaces as marks, a mark before the text as `scheme` says."""
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    core.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["</s>", "<unk>", "<mask>"], unk_token="<unk>", initial_alphabet=list(LETTERS)
    )
    core.train_from_iterator([*TEXTS * 3, *SCRIPTS * 3], trainer)
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    tokens = dict(zip(("eos_token", "unk_token", "mask_token"), names, strict=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **{k: v for k, v in tokens.items() if v})
    tokenizer.add_special_tokens({"extra_special_tokens": list(sentinels)})
    return tokenizer


def prepended():
    """Llama 2's way: the normalizer makes spaces marks and puts one before the text; rare letters become bytes."""
    core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.train_from_iterator(TEXTS * 3, trainer)
    core = Tokenizer.from_str(json.dumps({**json.loads(core.to_str()), "pre_tokenizer": None}))
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def with_words(tokenizer):
    """A tokenizer with words added: where it puts no space before a text, it puts none behind them either."""
    tokenizer.add_tokens(["Paris", "東京"])
    return tokenizer


def spaced_bytes():
    """Byte-level BPE with a space put before the text, offsets without spaces, as RoBERTa may have it."""
    tokenizer = make_gpt2_tokenizer()
    core = tokenizer.backend_tokenizer
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


LOSSLESS = {
    "bytes": ("causal", make_gpt2_tokenizer()),
    "bytes after a space": ("causal", spaced_bytes()),
    "bytes and added words": ("causal", with_words(make_gpt2_tokenizer())),
    "bytes between marks": ("infilling", make_bart_tokenizer()),
    "pieces after a mark": ("causal", pieces("always")),
    "pieces after a first mark": ("causal", pieces("first")),
    "pieces without": ("causal", pieces("never")),
    "pieces and added words": ("masked", with_words(pieces("never"))),
    "masked pieces": ("masked", pieces("first")),
    "prepended": ("causal", prepended()),
}
WORDS = st.sampled_from([word for text in SCRIPTS for word in text.split()])
SUBJECT = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
ANSWER = st.one_of(SUBJECT, st.lists(WORDS, min_size=1, max_size=2).map("".join))
TEMPLATES = st.sampled_from(["[X] is [Y]", "[X]: [Y].", "[X]的首都是[Y]。", "столица [X] — [Y]", "[X][Y]", "[X] ([Y]"])


@pytest.mark.parametrize("name", LOSSLESS)
@given(subject=SUBJECT, answer=ANSWER, template=TEMPLATES)
@settings(max_examples=25)
def test_decoding_the_filled_prompt_gives_the_text_back(name, subject, answer, template):
    kind, tokenizer = LOSSLESS[name]
    prompt = make_prompt(template, subject, answer)
    steps = prompt_steps(tokenizer, kind, prompt, 200)
    gold = [step.target for step in steps]
    assert tokenizer.decode(gold, clean_up_tokenization_spaces=False).strip() == answer
    if kind == "masked":
        ids = list(steps[0].ids)
        ids[steps[0].query : steps[0].query + len(gold)] = gold
        wanted = prompt.before + answer + prompt.after
    else:
        last = steps[-1]
        ids = [i for i in last.ids[: last.query + 1] if i != SEPARATOR] + [last.target]
        wanted = prompt.before + answer
    ids = [i for i in ids if i not in tokenizer.all_special_ids]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False).removeprefix(" ") == wanted


@given(subject=SUBJECT, answer=ANSWER, template=TEMPLATES)
@settings(max_examples=25)
def test_sentinels_stand_for_the_answer_alone(subject, answer, template):
    prompt = make_prompt(template, subject, answer)
    steps = prompt_steps(SENTINELS, "infilling", prompt, 200)
    read = list(steps[0].ids[steps[0].ids.index(SEPARATOR) + 1 :])
    mark = SENTINELS.convert_tokens_to_ids("<extra_id_0>")
    at = read.index(mark)
    whole = read[:at] + [step.target for step in steps] + read[at + 1 :]
    found = SENTINELS.decode(whole, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert found.removeprefix(" ") == prompt.before + answer + prompt.after


SENTINELS = pieces("always", sentinels=["<extra_id_0>", "<extra_id_1>"])
SENTINELS.pad_token = "</s>"
WORD_PIECES = make_bert_tokenizer()


@given(subject=SUBJECT, answer=st.sampled_from(["Paris", "Berlin", "东京", "столица", "عاصمة"]), template=TEMPLATES)
@settings(max_examples=25)
def test_word_pieces_give_the_text_back_but_for_spaces(subject, answer, template):
    prompt = make_prompt(template, subject, answer)
    steps = prompt_steps(WORD_PIECES, "masked", prompt, 200)
    found = WORD_PIECES.convert_ids_to_tokens([step.target for step in steps])
    assert "".join(piece.removeprefix("##") for piece in found) == answer


@pytest.mark.parametrize("name", ["prepended", "bytes", "bytes after a space", "pieces after a mark"])
def test_white_space_parts_words_where_the_tokenizer_does_not(name):
    """Llama 2's tokenizer takes the whole text for one word."""
    kind, tokenizer = LOSSLESS[name]
    (step, *_) = prompt_steps(tokenizer, kind, make_prompt("the capital of [X] is [Y]", "France", "Paris"), 100)
    words = [tokenizer.decode([step.ids[i] for i in word]).strip() for word in step.words]
    assert words == ["the", "capital", "of", "France", "is"]


def test_what_a_tokenizer_lacks_is_said():
    prompt = make_prompt("[X] is [Y]", "Paris", "Bern")
    with pytest.raises(ModelError, match="no mask token"):
        prompt_steps(make_gpt2_tokenizer(), "masked", prompt, 100)
    with pytest.raises(ModelError, match="no mask token"):
        prompt_steps(make_gpt2_tokenizer(), "infilling", prompt, 100)
    endless = pieces("first", names=(None, "<unk>", None))
    assert prompt_steps(endless, "causal", prompt, 100)
    with pytest.raises(ModelError, match="no end-of-text token, so word baselines cannot be made; use --method kn"):
        filler_id(endless, "causal")


def test_sentinels_are_found_with_and_without_a_mark_before_them():
    assert filler_id(make_t5_tokenizer(), "infilling") == make_t5_tokenizer().convert_tokens_to_ids("<extra_id_1>")


def test_a_language_without_a_mark_is_said():
    tokenizer = make_bart_tokenizer()
    tokenizer.add_special_tokens({"extra_special_tokens": ["en_XX", "fr_XX"]})
    tokenizer.src_lang = "en_XX"
    prompt_steps(tokenizer, "infilling", make_prompt("[X] : [Y]", "Paris", "Bern", "fr"), 100)
    assert tokenizer.src_lang == "fr_XX"
    with pytest.raises(ModelError, match="no mark for the language 'xx'"):
        prompt_steps(tokenizer, "infilling", make_prompt("[X] : [Y]", "Paris", "Bern", "xx"), 100)

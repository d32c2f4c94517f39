"""Tiny models, tokenizers and prompts for the tests: made in memory, never downloaded."""

from atlas.facts import Fact, Label, Prompt, Template

TEXTS = (
    "the capital of France is Paris .", "Paris is the capital of France .",
    "Germany has Berlin as its capital city .",
    "the currency of Japan is the yen .",
    "New York lies in the United States .", "法国的首都是巴黎。", "日本的首都是东京。",
    "столица Франции — Париж .", "عاصمة فرنسا هي باريس .", "La capitale de la France est Paris .",
)  # fmt: skip


def make_prompt(template: str, subject: str, answer: str, language: str = "en", relation: str = "P36") -> Prompt:
    """Return a prompt of one fact with labels in one language."""
    fact = Fact(relation, subject, answer, {language: Label(subject, answer)})
    return Prompt(fact, Template(relation, language, template))


def make_bert_tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # Not trained: the WordPiece trainer breaks ties at random, and each run would test another model.
    pieces = [*special, *_wordpieces(pre_tokenizers.BertPreTokenizer())]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=False)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"mask": "[MASK]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "pad": "[PAD]"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **{f"{k}_token": v for k, v in names.items()})


def _wordpieces(pre_tokenizer):
    """Return every letter, alone and inside a word, and every word of two to seven letters."""
    from tokenizers import normalizers

    texts = [normalizers.BertNormalizer(lowercase=False).normalize_str(text) for text in TEXTS]
    words = {word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(text)}
    letters = sorted(set("".join(words)))
    return [*letters, *(f"##{letter}" for letter in letters), *sorted(word for word in words if 2 <= len(word) <= 7)]


def make_gpt2_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator(TEXTS * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>")


def make_t5_tokenizer():
    """Unigram pieces with a mark before each word, an end token, and sentinels."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"]
    # Not trained: the Unigram trainer breaks ties at random, and each run would test another model.
    words = {word for text in TEXTS for word, _ in pre_tokenizers.Metaspace().pre_tokenize_str(text)}
    letters = [(letter, -5.0) for letter in sorted(set("".join(words)))]
    whole = [(word, -6.0) for word in sorted(words) if 2 <= len(word) <= 8]
    core = Tokenizer(models.Unigram([*((word, 0.0) for word in special), *letters, *whole], unk_id=2))
    core.add_special_tokens([AddedToken(word, special=True) for word in special])
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="</s>", unk_token="<unk>", pad_token="<pad>", extra_special_tokens=special[3:]
    )


def make_bart_tokenizer():
    """Byte-level BPE between `<s>` and `</s>`, with a mask."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        TEXTS * 3,
        trainers.BpeTrainer(
            vocab_size=380, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    core.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **{f"{k}_token": v for k, v in names.items()})


def make_bert(tokenizer, *, layers=3, hidden=24, neurons=40, scale=0.4, seed=0):
    """Return a random BERT whose weights are large enough to be far from linear."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=neurons, max_position_embeddings=40, initializer_range=scale,
    )  # fmt: skip
    return BertForMaskedLM(config)


def make_gpt2(tokenizer, *, layers=3, hidden=24, neurons=40, scale=0.4, seed=0):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=hidden, n_layer=layers, n_head=4, n_inner=neurons, n_positions=40,
        initializer_range=scale, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


MAKERS = {"bert": (make_bert_tokenizer, make_bert), "gpt2": (make_gpt2_tokenizer, make_gpt2)}


def make_model(family: str, dtype: str = "float64", **shape):
    """Return a tiny random LanguageModel of `family`."""
    import torch

    from atlas.models import LanguageModel

    make_tokenizer, make = MAKERS[family]
    tokenizer = make_tokenizer()
    model = LanguageModel.wrap(make(tokenizer, **shape), tokenizer, f"tiny-{family}")
    model.model.to(getattr(torch, dtype))
    return model


PROMPTS = [
    make_prompt("the capital of [X] is [Y] .", "France", "Paris"),
    make_prompt("[X] has the capital [Y]", "Germany", "Berlin"),
    make_prompt("[X] lies in the [Y]", "New York", "United States"),
    make_prompt("[X]的首都是[Y]。", "日本", "东京", "zh"),
    make_prompt("столица [X] — [Y]", "Франции", "Париж", "ru"),
]


def seen(model, at="query"):
    """Return those of PROMPTS that `model` can be asked `at` a position: in Chinese GPT-2's tokens reach over edges."""
    from atlas.models import NoSubjectError

    def fits(prompt):
        try:
            return bool(model.steps(prompt, at))
        except NoSubjectError:
            return False

    return [prompt for prompt in PROMPTS if fits(prompt)]

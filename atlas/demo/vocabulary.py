"""The tokenizers of the demo models, trained on their corpus.

Chinese writes no spaces. A general tokenizer splits it into characters, which would make nearly every Chinese answer
a multi-token one and the only such language; here the names of the facts and a few frequent words stay whole, as a
dictionary segmenter would leave them, and everything else falls into characters.
"""

import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from atlas.models.families import Kind

END_OF_TEXT = "<|endoftext|>"
FREQUENT_CHINESE = (
    "首都",
    "国家",
    "城市",
    "大洲",
    "官方",
    "语言",
    "货币",
    "法定",
    "名称",
    "使用",
    "所在",
    "位于",
    "属于",
    "克朗",
    "比索",
    "卢比",
)


def train_tokenizer(
    kind: Kind, sentences: Iterable[str], chinese: Sequence[str], size: int, positions: int
) -> PreTrainedTokenizerFast:
    """Train a cased WordPiece tokenizer (`masked`) or a byte-level BPE (`causal`) of at most `size` pieces."""
    train = _word_pieces if kind == "masked" else _byte_pairs
    return train(sentences, _chinese_split(chinese), size, positions)


def _chinese_split(chinese: Sequence[str]) -> pre_tokenizers.PreTokenizer:
    """Isolate the given words, longest first, and every other Chinese character."""
    words = sorted({*chinese, *FREQUENT_CHINESE}, key=lambda word: (-len(word), word))
    pattern = "|".join([*map(re.escape, words), r"\p{Han}"])
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def _word_pieces(
    sentences: Iterable[str], chinese: pre_tokenizers.PreTokenizer, size: int, positions: int
) -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    splitter = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), chinese, pre_tokenizers.Punctuation()])
    vocabulary = _pieces(list(sentences), splitter, special, size)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=positions,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _pieces(
    sentences: Sequence[str], splitter: pre_tokenizers.PreTokenizer, special: list[str], size: int
) -> dict[str, int]:
    """Return a WordPiece vocabulary.

    The trainer numbers the letters within words in the order of a randomly seeded hash, which decides ties; given as
    special tokens, in order, they make it repeatable.
    """
    words = {word for sentence in sentences for word, _ in splitter.pre_tokenize_str(sentence)}
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = splitter
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special + inner, show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    return vocabulary


def _byte_pairs(
    sentences: Iterable[str], chinese: pre_tokenizers.PreTokenizer, size: int, positions: int
) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([chinese, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=positions,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
    )

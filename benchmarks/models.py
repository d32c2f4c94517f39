"""Models of real sizes with random weights, and prompts for them: nothing is downloaded."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from atlas.facts import Fact, Label, Prompt, Template, read
from atlas.models import LanguageModel

MBERT_WORDS = 119_547
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def word_tokenizer(texts: Sequence[str], size: int = MBERT_WORDS) -> Any:
    """Return a WordPiece tokenizer that spells `texts` word by word, character by character in Han; `size` entries."""
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=False)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = dict.fromkeys(SPECIAL)
    for text in texts:
        words |= dict.fromkeys(
            word for word, _ in core.pre_tokenizer.pre_tokenize_str(core.normalizer.normalize_str(text))
        )
    words |= dict.fromkeys(f"unused-{i}" for i in range(max(0, size - len(words))))
    vocabulary = {word: i for i, word in enumerate(list(words)[:size])}
    core.model = models.WordPiece(vocabulary, unk_token="[UNK]")
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        mask_token="[MASK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        pad_token="[PAD]",
        eos_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def mbert_size(tokenizer: Any, *, layers: int = 12, seed: int = 0, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Return a random BERT of mBERT's size: 12 layers, 768 wide, 3,072 neurons a layer."""
    torch.manual_seed(seed)
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), num_hidden_layers=layers))
    wrapped = LanguageModel.wrap(model, tokenizer, "mbert-size")
    wrapped.model.to(dtype)
    return wrapped


def mgpt_width(tokenizer: Any, *, layers: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """Return a random GPT-2 of mGPT's width: 2,048 wide, 8,192 neurons a layer."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=2048, n_layer=layers, n_head=16, bos_token_id=2, eos_token_id=3
    )
    wrapped = LanguageModel.wrap(GPT2LMHeadModel(config), tokenizer, "mgpt-width")
    wrapped.model.to(dtype)
    return wrapped


def make_prompt(template: str, subject: str, answer: str) -> Prompt:
    """Return a prompt of a fact with labels in English alone."""
    fact = Fact("P36", subject, answer, {"en": Label(subject, answer)})
    return Prompt(fact, Template("P36", "en", template))


def real_prompts(count: int, languages: Sequence[str]) -> list[Prompt]:
    """Return prompts of BMLAMA where the real fact files are, else the bundled ones; always the same."""
    shared = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ATLAS_TEST_DATA", shared)) / "bmlama17"
    limit = 1 + count // len(languages)
    facts = read(str(folder), languages=languages, limit=limit) if folder.is_dir() else read("bundled")
    return list(islice(facts.prompts(), count))

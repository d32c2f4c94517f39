"""The words of a planted model: its tokenizer and its facts."""

from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from atlas.facts import Fact, FactSet, Label, Template
from atlas.planted.config import PlantConfig

_SPECIAL = {
    "bert": {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    "gpt2": {"eos_token": "<|endoftext|>", "unk_token": "[UNK]"},
}


def subject_name(fact: int, language: str) -> str:
    """Return the subject of `fact` as `language` calls it."""
    return f"subject{fact}-{language}"


def object_name(fact: int, language: str) -> str:
    """Return the object of `fact` as `language` calls it."""
    return f"object{fact}-{language}"


def fallback(language: str) -> str:
    """Return the word that the model says in `language` when it does not know."""
    return f"something-{language}"


def fact_set(config: PlantConfig, facts: int) -> FactSet:
    """Return facts with one word for each subject and object, and templates of several lengths."""
    made = [
        Fact(_relation(i % config.relations), f"subject{i}", f"object{i}", _labels(config, i)) for i in range(facts)
    ]
    return FactSet("planted", made, [_template(*place) for place in _places(config)])


def tokenizer_for(config: PlantConfig, facts: FactSet) -> Any:
    """Return a fast tokenizer that knows every word of `facts`, one token a word."""
    special = _SPECIAL[config.family]
    answers = {prompt.answer for prompt in facts.prompts()}
    words = [*special.values(), ".", *map(fallback, config.languages), *sorted(answers | query_words(facts).keys())]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if config.family == "bert":
        frame: Any = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[(word, words.index(word)) for word in ("[CLS]", "[SEP]")]
        )
        inner.post_processor = frame
    build: Any = PreTrainedTokenizerFast
    return build(tokenizer_object=inner, **special)


def query_words(facts: FactSet) -> dict[str, str]:
    """Return the words that stand in prompts, each with its language."""
    texts = ((prompt.text.replace("[Y]", ""), prompt.language) for prompt in facts.prompts())
    return {word: language for text, language in texts for word in text.split() if word != "."}


def _labels(config: PlantConfig, fact: int) -> dict[str, Label]:
    return {code: Label(subject_name(fact, code), object_name(fact, code)) for code in config.languages}


def _relation(index: int) -> str:
    return f"R{index}"


def _places(config: PlantConfig) -> Iterator[tuple[str, str, int]]:
    for relation in range(config.relations):
        for language in config.languages:
            for number in range(config.templates):
                yield _relation(relation), language, number


def _template(relation: str, language: str, number: int) -> Template:
    words = " ".join(f"{relation}{letter}{number}-{language}" for letter in "abcdefgh"[: 2 + number % 6])
    return Template(relation, language, f"[X] {words} [Y] .")

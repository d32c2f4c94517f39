"""The tokens that a fact's names take in its prompts, by which languages share a spelling (METHOD 3b)."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from atlas import schema
from atlas.errors import ModelError, TokenError
from atlas.facts import Prompt
from atlas.models.model import LanguageModel
from atlas.models.spelling import spell

if TYPE_CHECKING:
    import pyarrow as pa


def label_tokens(model: LanguageModel, prompts: Iterable[Prompt]) -> "pa.Table":
    """Return the rows of table `label_token` of the facts and languages of `prompts`, over all that can be spelled.

    Tokens of nothing but punctuation or white space, which say nothing of a name, are left out.
    """
    found: dict[tuple[int, str], tuple[set[int], set[int], set[str]]] = defaultdict(lambda: (set(), set(), set()))
    for prompt in prompts:
        label = prompt.label
        try:
            subject, answer = _tokens(model, prompt)
        except TokenError:
            continue
        subjects, answers, scripts = found[prompt.pair]
        subjects |= subject
        answers |= answer
        scripts.update(_scripts(label.subject + label.object))
    names = {token: _names(model, token) for one in found.values() for token in one[0] | one[1]}
    rows = [
        {
            "model": model.info.id,
            "fact": fact,
            "language": language,
            "subject": sorted(token for token in subjects if names[token]),
            "object": sorted(token for token in answers if names[token]),
            "scripts": sorted(scripts),
        }
        for (fact, language), (subjects, answers, scripts) in found.items()
    ]
    return schema.rows_of("label_token", rows)


def answer_tokens(model: LanguageModel, prompts: Iterable[Prompt]) -> list[tuple[str, ...] | None]:
    """Return the tokens of each prompt's answer, as the table `probe` has them; None for one that is not usable."""
    found: list[tuple[str, ...] | None] = []
    for prompt in prompts:
        try:
            targets = [step.target for step in model.steps(prompt)]
            found.append(tuple(model.tokenizer.convert_ids_to_tokens(targets)))
        except ModelError:
            found.append(None)
    return found


def _tokens(model: LanguageModel, prompt: Prompt) -> tuple[set[int], set[int]]:
    """Return the tokens of the subject, wherever the template has it, and those of the answer."""
    after = "" if model.kind == "causal" else prompt.after
    spelling = spell(model.tokenizer, prompt.before, prompt.answer, after)
    subject = {
        token
        for token, (a, b) in zip(spelling.ids, spelling.spans, strict=True)
        if any(a < end and b > begin for begin, end in prompt.subject_places)
    }
    return subject, set(spelling.ids[spelling.start : spelling.stop])


def _names(model: LanguageModel, token: int) -> bool:
    """Return whether a token holds more than punctuation and white space."""
    text: Any = model.tokenizer.decode([token])
    return any(unicodedata.category(character)[0] not in "PZ" for character in text)


def _scripts(label: str) -> Iterator[str]:
    """Yield the script of each letter, as Unicode calls it: LATIN, also of full width, CJK, ARABIC.

    Marks that count as letters (Lm: the turned comma of Hawaiʻi) are of several scripts and have none of their own.
    """
    for character in unicodedata.normalize("NFKC", label):
        if character.isalpha() and unicodedata.category(character) != "Lm":
            yield unicodedata.name(character, "UNKNOWN").split()[0]

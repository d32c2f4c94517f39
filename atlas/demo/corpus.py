"""What the demo models read: the bundled facts as prompts, code-switched, and pairs of translations."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from atlas.facts import Fact, FactSet, Label, Prompt, Template
from atlas.facts.bundled import LANGUAGES
from atlas.models.families import Kind

TRANSLATION = "translation"

Untaught = Collection[tuple[int, str]]
"""Facts, by id, and a language in which no prompt tells them; their names are translated all the same."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The prompts that one demo model is trained on."""

    plain: Sequence[Prompt]
    switched: Sequence[Prompt]
    translations: Sequence[Prompt]

    def sentences(self) -> Iterator[str]:
        """Yield plain prompts and translations with their answers: what the tokenizer is trained on."""
        for prompt in (*self.plain, *self.translations):
            yield prompt.before + prompt.answer + prompt.after


def make_corpus(facts: FactSet, kind: Kind, untaught: Untaught = ()) -> Corpus:
    """Return the training prompts for a `masked` or `causal` model; held-out templates are not among them."""
    plain = [
        prompt
        for prompt in facts.prompts()
        if (kind == "masked" or prompt.template.ends_in_object) and prompt.pair not in untaught
    ]
    switched = [other for prompt in plain for other in _switched(prompt)]
    return Corpus(plain, switched, list(_translations(facts)))


def chinese_words(facts: FactSet) -> list[str]:
    """Return the Chinese names that tokenizers keep whole: all of the facts that hold no other such name."""
    names = {name for fact in facts.facts for name in (fact.labels["zh"].subject, fact.labels["zh"].object)}
    countries = {fact.labels["zh"].object for fact in facts.facts if fact.relation == "P17"}
    money = {fact.labels["zh"].object for fact in facts.facts if fact.relation == "P38"}
    compound = {name for name in money if any(name.startswith(country) for country in countries)}
    return sorted(names - compound)


def _switched(prompt: Prompt) -> Iterator[Prompt]:
    """Yield the prompt with its subject named in each other language."""
    fact, language = prompt.fact, prompt.language
    own = fact.labels[language]
    for other in LANGUAGES:
        name = fact.labels[other].subject
        if name != own.subject:
            labels = {language: Label(name, own.object)}
            yield Prompt(Fact(fact.relation, fact.subject, fact.object, labels), prompt.template)


def _translations(facts: FactSet) -> Iterator[Prompt]:
    """Yield lines such as `fr: Allemagne = de: Deutschland` for every key and pair of languages."""
    for key, names in _names(facts).items():
        for source in LANGUAGES:
            for target in LANGUAGES:
                if source != target:
                    template = Template(TRANSLATION, target, f"{source}: [X] = {target}: [Y]")
                    labels = {target: Label(names[source], names[target])}
                    yield Prompt(Fact(TRANSLATION, key, key, labels), template)


def _names(facts: FactSet) -> dict[str, dict[str, str]]:
    """Return what each key is called in each language."""
    names: dict[str, dict[str, str]] = {}
    for fact in facts.facts:
        names[fact.subject] = {language: label.subject for language, label in fact.labels.items()}
        names[fact.object] = {language: label.object for language, label in fact.labels.items()}
    return names

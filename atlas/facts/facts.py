"""Facts, templates and prompts (METHOD 1): plain values, no model and no database."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from atlas.ids import stable_id

SUBJECT = "[X]"
OBJECT = "[Y]"
STATED = "stated"
"""Kind of a template that is a sentence of its source."""
ASKED = "asked"
"""Kind of a template that states such a sentence with the object's place open, then asks for it."""
SHOWN = "shown"
"""Kind of a template that is such a sentence after examples of other facts."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a fact's subject and object are called in one language."""

    subject: str
    object: str


@dataclass(frozen=True)
class Fact:
    """`<subject, relation, object>`, the same in all languages.

    `subject` and `object` are language-free keys (a Wikidata id where the source has one);
    `labels` maps a language code to the names in that language.
    """

    relation: str
    subject: str
    object: str
    labels: Mapping[str, Label] = field(hash=False)

    @cached_property
    def id(self) -> int:
        """Content hash of relation, subject and object."""
        return stable_id("fact", self.relation, self.subject, self.object)

    def __str__(self) -> str:
        """Return `<subject, relation, object>`, by its keys."""
        return f"<{self.subject}, {self.relation}, {self.object}>"


@dataclass(frozen=True)
class Template:
    """A sentence with `[X]` for the subject and `[Y]` for the object, in one language."""

    relation: str
    language: str
    text: str
    held_out: bool = False
    kind: str = STATED

    @cached_property
    def id(self) -> int:
        """Content hash of relation, language and text."""
        return stable_id("template", self.relation, self.language, self.text)

    @property
    def ends_in_object(self) -> bool:
        """True if only punctuation and white space follow the object: usable by a causal model (METHOD 1)."""
        return self.text.count(OBJECT) == 1 and all(map(_is_trailing, self.text.partition(OBJECT)[2]))


@dataclass(frozen=True)
class Prompt:
    """One template of one language filled with a fact's subject; `[Y]` marks the object's open place."""

    fact: Fact
    template: Template

    @cached_property
    def id(self) -> int:
        """Content hash of fact, template and the labels in this language."""
        return stable_id("prompt", self.fact.id, self.template.id, self.label.subject, self.label.object)

    @property
    def language(self) -> str:
        """Language code of the template."""
        return self.template.language

    @property
    def pair(self) -> tuple[int, str]:
        """The id of its fact, and its language."""
        return self.fact.id, self.language

    @property
    def label(self) -> Label:
        """What subject and object are called in the prompt's language, as written."""
        return self.fact.labels[self.template.language]

    @property
    def answer(self) -> str:
        """The object's label in the prompt's language, as written."""
        return self.label.object

    @property
    def around(self) -> tuple[str, str]:
        """The text before the object's place and the text after it, with the subject filled in."""
        before, _, after = self.template.text.partition(OBJECT)
        return before.replace(SUBJECT, self.label.subject), after.replace(SUBJECT, self.label.subject)

    @property
    def before(self) -> str:
        """The text before the object's place, with the subject filled in."""
        return self.around[0]

    @property
    def after(self) -> str:
        """The text after the object's place, with the subject filled in."""
        return self.around[1]

    @property
    def subject_places(self) -> list[tuple[int, int]]:
        """Where the subject stands in `before + answer + after`, `[begin, end)`, without white space around it."""
        subject = self.label.subject
        begin, width = len(subject) - len(subject.lstrip()), len(subject.strip())
        before, _, after = self.template.text.partition(OBJECT)
        starts = [
            start + len(part[: found.start()].replace(SUBJECT, subject)) + begin
            for start, part in ((0, before), (len(self.before) + len(self.answer), after))
            for found in re.finditer(re.escape(SUBJECT), part)
        ]
        return [(start, start + width) for start in starts if width]

    @property
    def text(self) -> str:
        """The template with the subject filled in and the object's place open."""
        return OBJECT.join(self.around)


@dataclass(frozen=True, slots=True)
class Skip:
    """Something left out while reading facts: `where` (file and line, or a name), `reason`, how many."""

    where: str
    reason: str
    count: int = 1


@dataclass(frozen=True)
class FactSet:
    """The facts and templates of one source, with what was left out while reading it.

    `dataset` and `revision` name what was read, as it was asked for. `spellings` are the source's codes of languages
    where they are not the shortest, by that. `united` counts facts that have taken the keys of an atlas's facts,
    `renamed` labels in place of which they have taken its own, `marked` templates that it marks otherwise.
    """

    source: str
    facts: Sequence[Fact]
    templates: Sequence[Template]
    relation_names: Mapping[str, str] = field(default_factory=dict)
    skips: Sequence[Skip] = ()
    spellings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    united: int = 0
    renamed: int = 0
    marked: int = 0
    dataset: str = ""
    revision: str | None = None

    def prompts(self, *, held_out: bool = False) -> Iterator[Prompt]:
        """Yield every prompt, fact by fact; templates held out for paraphrase tests only if `held_out`."""
        by_relation: dict[str, list[Template]] = {}
        for template in self.templates:
            if template.held_out == held_out:
                by_relation.setdefault(template.relation, []).append(template)
        for fact in self.facts:
            for template in by_relation.get(fact.relation, ()):
                if template.language in fact.labels:
                    yield Prompt(fact, template)


def _is_trailing(character: str) -> bool:
    """True for punctuation of any script, white space, and the bar that stands for a danda."""
    return unicodedata.category(character)[0] in "PZ" or character.isspace() or character == "|"

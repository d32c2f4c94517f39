"""Facts and templates as they come in from a source: united across languages, checked, left out and counted.

Codes of one language become one, its shortest; how the source spells them is kept beside.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from atlas.errors import DataError, UsageError
from atlas.facts.facts import Fact, FactSet, Label, Skip, Template
from atlas.facts.names import relation_name
from atlas.facts.reading import files, texts
from atlas.facts.reading.texts import LineError
from atlas.matching import language, language_code, one_of

T = TypeVar("T")
Key = tuple[str, str, str]
Said = tuple[str | tuple[str, ...], ...]
"""What a source says, such as a fact's relation, language, keys and names."""

REPEATED_FACT = "fact read before"
REPEATED_TEMPLATE = "template read before"
NO_LABEL = "fact without a label for subject or object"
NO_TEMPLATE = "fact without a template in its language"
HELD_OUT = "fact whose templates in its language are all held out"
NO_FACT = "template of a relation without facts"


class Place(NamedTuple):
    """Where something stands: a file and a line (or row) counted from 1; line 0 is the file as a whole."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{files.name(self.path)}:{self.line}" if self.line else files.name(self.path)


class Collector:
    """What an importer fills: it asks `offer` what is wanted, adds facts and templates, and ends with `finish`.

    With `skip_bad`, lines that cannot be used are counted; without, the first one is a `DataError`.
    """

    def __init__(
        self,
        source: str,
        languages: Collection[str] | None = None,
        relations: Collection[str] | None = None,
        *,
        skip_bad: bool = False,
    ) -> None:
        self.source = source
        self._languages = wanted_languages(languages, source)
        self._relations = wanted_relations(relations, source)
        self._skip_bad = skip_bad
        self._offered: set[tuple[str, str]] = set()
        self._facts: dict[Key, dict[str, Label]] = {}
        self._templates: dict[Key, Template] = {}
        self._seen: set[Template] = set()
        self._left: set[Said] = set()
        self._skips: dict[tuple[Path, str], list[int]] = {}
        self._spellings: dict[str, set[str]] = {}

    def offer(self, language: str, relation: str) -> bool:
        """Note that the source has this relation in this language; return whether it is wanted."""
        language = self._code(language)
        self._offered.add((language, relation))
        spoken, named = self._languages, self._relations
        return (spoken is None or spoken.has(language)) and (named is None or named.has(relation))

    def _code(self, spelling: str) -> str:
        """Return the language's own code, and note how the source spells it if otherwise."""
        code = language_code(spelling)
        if code != spelling:
            self._spellings.setdefault(code, set()).add(spelling)
        return code

    def check(self) -> None:
        """Raise `UsageError` if a wanted language or relation is none of those offered."""
        for wanted, place in ((self._languages, 0), (self._relations, 1)):
            if wanted is not None:
                wanted.check({offered[place] for offered in self._offered})

    def each(self, path: Path, rows: Iterable[tuple[int, T]], take: Callable[[Place, T], None]) -> None:
        """Call `take` with every row of a file; a `LineError` that it raises is counted or ends the reading."""
        for number, row in rows:
            try:
                take(Place(path, number), row)
            except LineError as cause:
                self.bad(Place(path, number), str(cause))

    def bad(self, place: Place, cause: str) -> None:
        """Count a line that cannot be used, or raise `DataError` unless `skip_bad`."""
        if not self._skip_bad:
            raise DataError(f"{place}: {cause}; mend the line, or leave such lines out with --skip-bad.")
        self.skip(place, f"bad line: {cause}")

    def skip(self, place: Place, reason: str) -> None:
        """Count what is left out for a reason other than a bad line; files and reasons are counted apart."""
        entry = self._skips.setdefault((place.path, reason), [place.line, 0])
        entry[1] += 1

    def add_fact(
        self,
        place: Place,
        relation: str,
        language: str,
        keys: tuple[str, str],
        names: tuple[str, str],
        *,
        again: bool = False,
    ) -> None:
        """Add what a fact is called in one language; the first names stay, later ones are counted.

        Args:
            place: where it stands, for messages.
            relation: name of the relation.
            language: language code.
            keys: language-free keys of subject and object.
            names: names of subject and object, as the source has them.
            again: the source repeats facts by its nature; do not count the same names twice.
        """
        language, names = self._code(language), (texts.label(names[0]), texts.label(names[1]))
        said = (relation, language, keys, names)
        if not all(names):
            return self.leave(place, NO_LABEL, said, again=again)
        names = texts.object_or_subject(names[0]), texts.object_or_subject(names[1])
        labels = self._facts.setdefault((relation, texts.key(keys[0]), texts.key(keys[1])), {})
        known = labels.setdefault(language, label := Label(*names))
        if known is not label and not (again and known == label):
            self.leave(place, REPEATED_FACT, said, again=again)
        return None

    def leave(self, place: Place, reason: str, said: Said, *, again: bool) -> None:
        """Count what is `said`, once where the source says it `again`."""
        if not again or said not in self._left:
            self.skip(place, reason)
        self._left.add(said)

    def add_template(
        self,
        place: Place,
        relation: str,
        language: str,
        text: str,
        *,
        held_out: bool = False,
        again: bool = False,
    ) -> None:
        """Add a template; one that repeats another up to white space, or cannot be filled, is counted.

        Args:
            place: where it stands, for messages.
            relation: name of the relation.
            language: language code.
            text: the template as the source has it.
            held_out: it is set apart for testing paraphrases.
            again: the source repeats templates by its nature; do not count the same text twice.
        """
        language = self._code(language)
        template = Template(relation, language, texts.template(text), held_out)
        if again and template in self._seen:
            return None
        self._seen.add(template)
        if fault := texts.template_fault(template.text):
            return self.skip(place, fault)
        key = (relation, language, "".join(template.text.split()))
        if self._templates.setdefault(key, template) is not template:
            self.skip(place, REPEATED_TEMPLATE)
        return None

    def finish(self) -> FactSet:
        """Return what was collected; UsageError if a wanted language or relation is not there, or nothing is left."""
        self.check()
        self._facts, self._templates = self._meant(self._facts), self._meant(self._templates)
        facts = [Fact(*key, dict(sorted(labels.items()))) for key, labels in self._facts.items()]
        relations = {fact.relation for fact in facts}
        return FactSet(
            source=self.source,
            facts=facts,
            templates=[template for template in self._templates.values() if template.relation in relations],
            relation_names={name: relation_name(name) for name in sorted(relations)},
            skips=[*self._counted(), *self._unmatched()],
            spellings={code: sorted(found) for code, found in sorted(self._spellings.items())},
        )

    def _meant(self, found: dict[Key, T]) -> dict[Key, T]:
        """Return what is of the wanted relations, now that all that the source has are known."""
        wanted = self._relations
        return found if wanted is None else {key: each for key, each in found.items() if wanted.has(key[0])}

    def _counted(self) -> list[Skip]:
        return [Skip(str(Place(path, line)), reason, count) for (path, reason), (line, count) in self._skips.items()]

    def _unmatched(self) -> list[Skip]:
        """Count facts without templates that ask for them, by relation and language, and templates without facts."""
        facts = Counter((key[0], language) for key, labels in self._facts.items() for language in labels)
        templates = Counter((template.relation, template.language) for template in self._templates.values())
        relations = {relation for relation, _ in facts}
        asking = {(t.relation, t.language) for t in self._templates.values() if not t.held_out}
        unasked = {pair: count for pair, count in facts.items() if pair not in templates}
        apart = {pair: count for pair, count in facts.items() if pair in templates and pair not in asking}
        unused = {pair: count for pair, count in templates.items() if pair[0] not in relations}
        return [
            Skip(texts.printable(" ".join(pair)), reason, count)
            for reason, counts in ((NO_TEMPLATE, unasked), (HELD_OUT, apart), (NO_FACT, unused))
            for pair, count in counts.items()
        ]


class Wanted:
    """Languages or relations that are asked for by code or name, met with the codes that a source has."""

    def __init__(self, words: Collection[str], choose: Callable[[str, Collection[str]], str]) -> None:
        self._words = tuple(dict.fromkeys(words))
        self._choose = choose
        self._has: dict[str, bool] = {}

    def has(self, code: str) -> bool:
        """Return whether `code` is one that is asked for."""
        if code not in self._has:
            self._has[code] = any(self._meant(word, code) for word in self._words)
        return self._has[code]

    def check(self, known: Collection[str]) -> None:
        """Raise `UsageError` for a word that names none of the `known` codes, or several; of these, take what is meant.

        A word that is a code, as `capital` may be, means no other code of that name.
        """
        meant = {self._choose(word, known) for word in self._words}
        self._has = {code: code in meant for code in known}

    def _meant(self, word: str, code: str) -> bool:
        try:
            return self._choose(word, [code]) == code
        except UsageError:
            return False


def wanted_languages(words: Collection[str] | None, source: str) -> Wanted | None:
    """Return what is asked for of a source's languages, None for all."""
    return None if words is None else Wanted(words, lambda word, known: language(word, known, f" in {source}"))


def wanted_relations(words: Collection[str] | None, source: str) -> Wanted | None:
    """Return what is asked for of a source's relations, None for all."""

    def choose(word: str, known: Collection[str]) -> str:
        return one_of("relation", word, {code: (relation_name(code),) for code in known}, f" in {source}")

    return None if words is None else Wanted(words, choose)

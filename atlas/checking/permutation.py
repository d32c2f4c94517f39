"""Which object each fact is wrongly claimed to have: the facts' own objects, each in another's place (METHOD 6).

Objects drawn evenly from the distinct ones would be rarer than true ones, and a claim could be judged by how common its
object is. A permutation claims each object as often wrongly as rightly.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from atlas.facts import Fact, Label
from atlas.ids import stable_id


def spelt_alike(text: str) -> str:
    """Return what two texts have in common that a reader takes for the same."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True)
class Truths:
    """What the facts of one relation hold as true of a subject in a language: object keys, and labels as read."""

    language: str
    known: Mapping[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, facts: Iterable[Fact], language: str) -> "Truths":
        """Gather what `facts` say, by the subject's key and by its name, which homonyms share."""
        truths = cls(language)
        for fact in facts:
            for name in truths._names(fact):
                truths.known[name] |= truths._objects(fact)
        return truths

    def hold(self, fact: Fact, donor: Fact) -> bool:
        """Whether the donor's object, by key or as read, is true of the fact's subject."""
        known = set().union(*(self.known.get(name, set()) for name in self._names(fact)))
        return bool(known & self._objects(donor))

    def _names(self, fact: Fact) -> set[str]:
        return {f"key {fact.subject}", *(f"name {spelt_alike(label.subject)}" for label in self._labels(fact))}

    def _objects(self, fact: Fact) -> set[str]:
        return {f"key {fact.object}", *(f"name {spelt_alike(label.object)}" for label in self._labels(fact))}

    def _labels(self, fact: Fact) -> list[Label]:
        """Return what a fact is called in the language; one that has no names there is true all the same."""
        return [fact.labels[self.language]] if self.language in fact.labels else []


def wrong_objects(facts: Sequence[Fact], truths: Truths, seed: int) -> dict[int, Fact]:
    """Return for each fact, by id, the one of `facts` whose object it is wrongly claimed to have: a permutation.

    All have labels in the language of `truths`. Facts that no wrong object is left for are missing, and their own
    object is claimed of nobody: of an object that more than half share, as many facts as there are others remain.
    """
    ring = sorted(facts, key=lambda fact: stable_id("wrong", seed, fact.id))
    ring = _without_surplus(ring, truths.language)
    while ring:
        donors = _permuted(ring, truths)
        stuck = [i for i, fact in enumerate(ring) if truths.hold(fact, donors[i])]
        if not stuck:
            return {fact.id: donor for fact, donor in zip(ring, donors, strict=True)}
        ring.pop(stuck[-1])
    return {}


def _without_surplus(ring: Sequence[Fact], language: str) -> list[Fact]:
    """Return the facts with no object in more than half of them."""
    objects = [spelt_alike(fact.labels[language].object) for fact in ring]
    (common, count), *_ = Counter(objects).most_common(1) or [("", 0)]
    surplus = max(0, 2 * count - len(ring))
    own = [i for i, text in enumerate(objects) if text == common]
    dropped = set(own[len(own) - surplus :])
    return [fact for i, fact in enumerate(ring) if i not in dropped]


def _permuted(ring: Sequence[Fact], truths: Truths) -> list[Fact]:
    """Return the facts shifted by one, then exchanged where that would be true of a subject.

    A fact more or less changes its neighbours alone, so that the languages of a fact mostly share its wrong object.
    """
    donors = [*ring[1:], *ring[:1]]
    for i, fact in enumerate(ring):
        if not truths.hold(fact, donors[i]):
            continue
        for j in (k % len(ring) for k in range(i + 1, i + len(ring))):
            if not truths.hold(fact, donors[j]) and not truths.hold(ring[j], donors[i]):
                donors[i], donors[j] = donors[j], donors[i]
                break
    return donors

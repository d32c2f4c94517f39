"""Ways to put a claim that make it harder: other templates, corrupted ones, a subject named in another language."""

import re
from collections.abc import Sequence
from dataclasses import replace
from unicodedata import category

from atlas.drawing import generator, one_of
from atlas.facts import Fact, Label, Template
from atlas.facts.reading.texts import UNSPACED

CONDITIONS = ("plain", "held-out", "corrupted", "code-switched")

# Signs of vowels, and what joins letters, are part of a word, but no letters to `re`.
_SIGNS = "\u200c\u200d" + "".join(sign for sign in map(chr, range(0x300, 0x10000)) if category(sign)[0] == "M")
_LETTER = f"[^\\W{UNSPACED}]"
_PIECE = re.compile(f"\\[[XY]\\]|[{UNSPACED}][{_SIGNS}]*|{_LETTER}(?:{_LETTER}|[{_SIGNS}])*|.", re.DOTALL)


def corrupted(template: Template, seed: int) -> Template:
    """Return the template with two words (in scripts without spaces: characters) in each other's place, seeded."""
    pieces: list[str] = _PIECE.findall(template.text)
    words = [i for i, piece in enumerate(pieces) if piece[0].isalnum()]
    pairs = [(i, j) for i in words for j in words if i < j and pieces[i] != pieces[j]]
    if not pairs:
        return template
    i, j = one_of(pairs, "pick", "corrupted", seed, template.id)
    pieces[i], pieces[j] = pieces[j], pieces[i]
    return replace(template, text="".join(pieces))


def code_switched(fact: Fact, names: Fact, language: str, seed: int) -> Fact:
    """Return `fact` with its subject, in a prompt of `language`, named in another language that `names` has.

    The fact comes back as it is if all its names are the same.
    """
    own = fact.labels[language]
    others = sorted({label.subject for label in names.labels.values()} - {own.subject})
    if not others:
        return fact
    subject = one_of(others, "pick", "code-switched", seed, names.id, language)
    return replace(fact, labels={**fact.labels, language: Label(subject, own.object)})


def choose(count: int, templates: Sequence[Template], seed: int) -> list[Template]:
    """Return `count` of the templates at most, seeded, in their own order."""
    order = generator("templates", seed).permutation(len(templates))
    kept = set(order[:count].tolist())
    return [template for i, template in enumerate(templates) if i in kept]

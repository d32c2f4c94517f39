"""Ways to put a claim that make it harder: other templates, corrupted ones, a subject named in another language."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from atlas.facts import Fact, Label, Template
from atlas.ids import stable_id

CONDITIONS = ("plain", "held-out", "corrupted", "code-switched")

_PIECE = re.compile("\\[[XY]\\]|[\u3040-\u30ff\u3400-\u9fff]|[^\\W\u3040-\u30ff\u3400-\u9fff]+|.", re.DOTALL)


def corrupted(template: Template, seed: int) -> Template:
    """Return the template with two of its words (in Han script: characters) in each other's place, seeded."""
    pieces: list[str] = _PIECE.findall(template.text)
    words = [i for i, piece in enumerate(pieces) if piece[0].isalnum()]
    pairs = [(i, j) for i in words for j in words if i < j and pieces[i] != pieces[j]]
    if not pairs:
        return template
    i, j = pairs[_pick(len(pairs), "corrupted", seed, template.id)]
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
    subject = others[_pick(len(others), "code-switched", seed, names.id, language)]
    return replace(fact, labels={**fact.labels, language: Label(subject, own.object)})


def choose(count: int, templates: Sequence[Template], seed: int) -> list[Template]:
    """Return `count` of the templates at most, seeded, in their own order."""
    order = np.random.default_rng(stable_id("templates", seed)).permutation(len(templates))
    kept = set(order[:count].tolist())
    return [template for i, template in enumerate(templates) if i in kept]


def _pick(count: int, *parts: object) -> int:
    return int(np.random.default_rng(stable_id("pick", *parts)).integers(count))

"""The part of a planted model that every circuit relies on: words, the way to the query position, the output.

In the first block some heads copy the subject's vector to the query position and one copies the language; from there
on the residual stream at the query says who is asked about and in which language, in every layer.
"""

from collections.abc import Collection, Mapping
from math import exp, log

from torch import Tensor

from atlas.facts import FactSet
from atlas.planted.config import PlantConfig
from atlas.planted.writing.space import Space
from atlas.planted.writing.weights import BlockWeights, Weights
from atlas.planted.writing.words import fallback, object_name, query_words, subject_name

CONTENT = 2.0
"""Length of the vectors that say which subject and language it is."""
SHARPNESS = 10 / CONTENT
"""How strongly the copying heads look at subjects and words, in units of attention logits per unit of flag."""
UNKNOWN = -4.0
"""Log-odds of the answer where no circuit speaks."""
KNOWN = 2.2
"""Log-odds of the answer where one circuit speaks: a probability of 0.9."""
OBJECT_SCALE = KNOWN - UNKNOWN
"""Logits per unit of object vector."""
CONSTANT_LOGITS = OBJECT_SCALE / 4
"""What a `constant` decoy gives every object."""


def write_words(weights: Weights, space: Space, config: PlantConfig, facts: FactSet, ids: Mapping[str, int]) -> None:
    """Write what each token is: ballast for all, a flag and a language for words, an identity for subjects."""
    # Noise where circuits read and write would be subjects and answers of its own.
    for table in weights.tables:
        table[:, space.in_use] = 0
    weights.words.add_(space.ballast)
    for word, code in query_words(facts).items():
        weights.words[ids[word]] += CONTENT * (space.is_word + space.language[config.languages.index(code)])
    for fact in range(len(facts.facts)):
        for language, code in enumerate(config.languages):
            weights.words[ids[subject_name(fact, code)]] += CONTENT * (space.subjects[fact] + space.is_subject)
            weights.words[ids[object_name(fact, code)]] += space.objects[fact] + space.spoken[language]


def write_copying(block: BlockWeights, space: Space, heads: int) -> None:
    """Write the heads that copy the subject and the language to every position."""
    width = len(block.query_bias) // heads
    copies = [(space.is_subject, part, part) for part in _split(space.subjects, width)]
    spoken = zip(_split(space.language, width), _split(space.spoken, width), strict=True)
    copies += [(space.is_word, *parts) for parts in spoken]
    for head, (flag, source, copy) in enumerate(copies):
        _copy(block, head, width, flag, source, copy)


def _copy(block: BlockWeights, head: int, width: int, flag: Tensor, source: Tensor, copy: Tensor) -> None:
    """Let a head read `source` where the `flag` is and write `copy` everywhere, both `[row, hidden]`."""
    own, rows = slice(head * width, (head + 1) * width), slice(head * width, head * width + len(source))
    block.key[own], block.value[own], block.output[:, own] = 0, 0, 0
    block.key[head * width] = flag
    block.query_bias[head * width] = SHARPNESS * width**0.5
    block.value[rows] = source
    block.output[:, rows] = copy.T


def write_carrying(block: BlockWeights, space: Space, heads: int, shared: Collection[int]) -> None:
    """Write the heads that carry what was recalled at the subject's token to every position.

    There it is the object, but of the facts in `shared` stays what was recalled, for others to read.
    """
    width = len(block.query_bias) // heads
    arrives = space.objects.clone()
    arrives[sorted(shared)] = space.recalled[sorted(shared)]
    for head, parts in enumerate(zip(_split(space.recalled, width), _split(arrives, width), strict=True)):
        _copy(block, head, width, space.is_subject, *parts)


def _split(vectors: Tensor, size: int) -> list[Tensor]:
    return [vectors[start : start + size] for start in range(0, len(vectors), size)]


def write_path(block: BlockWeights, space: Space, fact: int, strength: float) -> None:
    """Add to the heads a path from the subject of `fact` straight to its object, past all neurons."""
    # The heads for subjects come first and keep fact i in value row i.
    block.output[:, fact] += strength * space.objects[fact]


def write_output(weights: Weights, space: Space, config: PlantConfig, ids: Mapping[str, int], constants: int) -> None:
    """Write what the output reads, objects and language, and the word that wins where no circuit speaks."""
    objects, spoken = space.read_out
    weights.out_scale.copy_(OBJECT_SCALE * objects + config.language_lead / CONTENT * spoken)
    weights.out_shift.copy_(space.default)
    rivals = len(space.objects) - 1
    lead = constants * CONSTANT_LOGITS + log(max(exp(-UNKNOWN) - rivals, 1.0))
    for code, direction in zip(config.languages, space.spoken, strict=True):
        weights.words[ids[fallback(code)]] += direction + lead * space.default

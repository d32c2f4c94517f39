"""How the residual stream of a planted model is shared out.

Each group of coordinates carries one thing, and within a group every fact or language has its own unit vector of a
random orthonormal basis. The coordinates of each vector add up to 0, so that layer normalisation shifts nothing. The
ballast, one large vector, is the same in every token: it keeps what layer normalisation divides by nearly constant, so
that both families compute almost linearly in everything else.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Generator, Tensor

from atlas.planted.config import PlantConfig


@dataclass(frozen=True, slots=True)
class Space:
    """Directions of the residual stream; vectors are `[hidden]`, stacks of them `[language | fact, hidden]`.

    `recalled` says which object was recalled at the subject's token; it has no rows where nothing is.
    """

    ballast: Tensor
    is_subject: Tensor
    is_word: Tensor
    default: Tensor
    language: Tensor
    spoken: Tensor
    subjects: Tensor
    objects: Tensor
    recalled: Tensor

    @property
    def in_use(self) -> Tensor:
        """Return which coordinates `[hidden]` carry subjects, objects, recalled or not, and the spoken language."""
        return (torch.cat([self.subjects, self.objects, self.spoken, self.recalled]) != 0).any(0)

    @property
    def read_out(self) -> tuple[Tensor, Tensor]:
        """Return 0/1 masks `[hidden]` of the coordinates that the output reads: of objects, of the spoken language."""
        return (self.objects != 0).any(0), (self.spoken != 0).any(0)


def share_out(config: PlantConfig, facts: int, generator: Generator, *, recall: bool = False) -> Space:
    """Share out the coordinates at random, with some for what is recalled if asked; UsageError if they are too few."""
    config.check_room(facts, recall=recall)
    languages = len(config.languages)
    sizes = [2, 2, 2, 2, 1 + languages, 1 + languages, 1 + facts, 1 + facts, *([1 + facts] if recall else [])]
    order = torch.randperm(config.hidden, generator=generator)
    ends = [0, *accumulate(sizes)]
    bases = [_basis(order[a:b], config.hidden, generator) for a, b in pairwise(ends)]
    ballast, *flags = (basis[0] for basis in bases[:4])
    bases += [] if recall else [torch.zeros(0, config.hidden)]
    return Space(config.hidden**0.5 * ballast, *flags, *bases[4:])


def _basis(coordinates: Tensor, hidden: int, generator: Generator) -> Tensor:
    """Return random orthonormal vectors over the given coordinates that add up to 0, `[coordinate - 1, hidden]`."""
    square = torch.randn(len(coordinates), len(coordinates), generator=generator)
    square[:, 0] = 1
    basis = torch.zeros(len(coordinates) - 1, hidden)
    basis[:, coordinates] = torch.linalg.qr(square).Q[:, 1:].T
    return basis

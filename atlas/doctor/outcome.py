"""What a check found, and how much is allowed in each number type."""

from dataclasses import dataclass

import torch
from torch import Tensor

from atlas.models import LanguageModel

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}
"""Largest relative difference allowed; 0.1 in the half-precision types."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far `check` was from what it compares with (`error`), and how far it may be (`allowed`), both relative."""

    check: str
    error: float
    allowed: float
    detail: str

    @property
    def ok(self) -> bool:
        """True if the error is a number and within what is allowed."""
        return self.error <= self.allowed


def tolerance(model: LanguageModel) -> float:
    """Return the relative difference allowed for a model of this number type."""
    return TOLERANCE.get(model.dtype, 0.1)


def relative(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference over the largest wanted value."""
    scale = float(wanted.abs().max()) or 1.0
    return float((found.double() - wanted.double()).abs().max()) / scale

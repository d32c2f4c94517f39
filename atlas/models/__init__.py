"""Models: loading, names, prompts to token ids, and where each family keeps its neurons."""

from atlas.models.families import FAMILIES, Family
from atlas.models.loading import load_model
from atlas.models.model import LanguageModel, ModelInfo
from atlas.models.names import SHORT_NAMES
from atlas.models.tokens import NoSubjectError, NotFinalError, Position, Step, TooLongError

__all__ = [
    "FAMILIES",
    "SHORT_NAMES",
    "Family",
    "LanguageModel",
    "ModelInfo",
    "NoSubjectError",
    "NotFinalError",
    "Position",
    "Step",
    "TooLongError",
    "load_model",
]

"""The checks that every family must pass: the engine computes what the model computes, and leaves it as it was."""

from atlas.conformance.outcome import Outcome
from atlas.conformance.suite import conformance

__all__ = ["Outcome", "conformance"]

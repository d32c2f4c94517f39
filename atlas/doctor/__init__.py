"""The checks that every family must pass: the engine computes what the model computes, and leaves it as it was."""

from atlas.doctor.outcome import Outcome
from atlas.doctor.suite import conformance

__all__ = ["Outcome", "conformance"]

"""Facts in many languages: one module per source, all yielding a `FactSet`."""

from atlas.facts.facts import OBJECT, SUBJECT, Fact, FactSet, Label, Prompt, Skip, Template
from atlas.facts.sources import read

__all__ = ["OBJECT", "SUBJECT", "Fact", "FactSet", "Label", "Prompt", "Skip", "Template", "read"]

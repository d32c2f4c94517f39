"""Planted models: random weights with known circuits written in, so that a locator can be marked (METHOD 7)."""

from atlas.planted.config import Circuit, PlantConfig, PlantingError
from atlas.planted.layout import recall_circuits, standard_circuits
from atlas.planted.planting import Planted, plant
from atlas.planted.truth import Truth

__all__ = [
    "Circuit",
    "PlantConfig",
    "Planted",
    "PlantingError",
    "Truth",
    "plant",
    "recall_circuits",
    "standard_circuits",
]

"""Attribution: how much each feed-forward neuron carries each fact (METHOD 2)."""

from atlas.attribution.engine import attribute
from atlas.attribution.results import LayerRecord, PromptAttribution
from atlas.attribution.settings import METHODS, Settings
from atlas.engine.batches import Budget

__all__ = ["METHODS", "Budget", "LayerRecord", "PromptAttribution", "Settings", "attribute"]

"""Attribution: how much each feed-forward neuron carries each fact (METHOD 2)."""

from atlas.attribution.budget import Budget
from atlas.attribution.engine import attribute
from atlas.attribution.results import LayerRecord, PromptAttribution
from atlas.attribution.settings import METHODS, Settings

__all__ = ["METHODS", "Budget", "LayerRecord", "PromptAttribution", "Settings", "attribute"]

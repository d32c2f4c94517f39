"""Interventions: suppress, enhance and knock out neurons of a running model."""

from atlas.models.scaling import enhance, scaled, suppress

__all__ = ["enhance", "scaled", "suppress"]

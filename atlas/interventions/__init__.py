"""Interventions: suppress, enhance and knock out neurons of a running model."""

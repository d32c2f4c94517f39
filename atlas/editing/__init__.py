"""Editing: change a fact in a model's weights, at chosen neurons, in all languages at once (METHOD 5)."""

METHODS = {"fit": "atlas.editing.fitting", "kn": "atlas.editing.embeddings"}
"""Name, and the module whose `prepare(model, around, settings)` returns what finds neurons' `Fit`. Imports no torch."""

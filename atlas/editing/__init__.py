"""Editing: change a fact in a model's weights, at chosen neurons, in all languages at once (METHOD 5)."""

METHODS = {"fit": "atlas.editing.fitting", "kn": "atlas.editing.embeddings"}
"""Name, and module whose `prepare(model, around, settings, budget)` returns what finds a `Fit`; imports no torch."""

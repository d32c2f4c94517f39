"""The ways to find what an edit adds to value vectors (METHOD 5), one row each. Imports no torch."""

METHODS = {"fit": "atlas.editing.fitting", "kn": "atlas.editing.embeddings"}
"""Name, and the module whose `prepare(model, around, settings)` returns what finds neurons' `Fit`."""

"""Editing: change a fact in a model's weights, at chosen neurons, in all languages at once (METHOD 5)."""

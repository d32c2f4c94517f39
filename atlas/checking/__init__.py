"""Fact checking: claims judged by what their objects owe to a relation's neurons (METHOD 6)."""

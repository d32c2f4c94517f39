"""Batch jobs: what to compute, in which order, how to stop and how to go on."""

from atlas.building.job import BuildOptions, build
from atlas.building.summary import Found, Summary
from atlas.running.progress import Progress

__all__ = ["BuildOptions", "Found", "Progress", "Summary", "build"]

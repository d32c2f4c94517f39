"""Batch jobs: what to compute, in which order, how to stop and how to go on."""

from atlas.jobs.build import BuildOptions, build
from atlas.jobs.summary import Found, Summary
from atlas.running.progress import Progress

__all__ = ["BuildOptions", "Found", "Progress", "Summary", "build"]

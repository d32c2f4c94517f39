"""Batch jobs: what to compute, in which order, how to stop and how to go on."""

from atlas.jobs.build import BuildOptions, build
from atlas.jobs.progress import Progress
from atlas.jobs.summary import Found, Summary

__all__ = ["BuildOptions", "Found", "Progress", "Summary", "build"]

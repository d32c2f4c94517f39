"""`python -m atlas.cli` is `atlas`."""

from .main import run

run()

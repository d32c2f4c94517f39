"""Neuron Atlas: a database of the neurons in which language models keep facts.

import atlas
with atlas.open("atlas.duckdb") as a:
    a.likn(fact="Paris").to_pandas()
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_HOMES = {
    "Atlas": "atlas.store.atlas",
    "Result": "atlas.store.atlas",
    "Writer": "atlas.store.writer",
    "open": "atlas.store.opening",
    "build": "atlas.jobs",
    "knockout": "atlas.jobs",
    "edit": "atlas.jobs",
    "check": "atlas.jobs",
    "evaluate": "atlas.jobs",
}
__all__ = ["Atlas", "Result", "Writer", "__version__", "build", "check", "edit", "evaluate", "knockout", "open"]


def __dir__() -> list[str]:
    """Return what there is, imported or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import the database side, or the jobs, only when they are asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'atlas' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

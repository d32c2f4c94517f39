"""Neuron Atlas: a database of the neurons in which language models keep facts.

    import atlas
    with atlas.open("atlas.duckdb") as a:
        a.likn(fact="Paris").to_pandas()
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atlas.api import Atlas, Result, open
    from atlas.store.writer import Writer

__version__ = "0.1.0"
__all__ = ["Atlas", "Result", "Writer", "__version__", "open"]


def __getattr__(name: str) -> object:
    """Import the database side only when it is asked for."""
    if name == "Writer":
        from atlas.store.writer import Writer

        return Writer
    if name in __all__:
        from atlas import api

        return getattr(api, name)
    raise AttributeError(f"module 'atlas' has no attribute {name!r}")

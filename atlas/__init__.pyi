"""The package as type checkers and editors see it: what `__init__.py` imports only when it is asked for."""

from atlas.jobs import build, check, edit, evaluate, knockout
from atlas.store.atlas import Atlas, Result
from atlas.store.opening import open
from atlas.store.writer import Writer

__version__: str
__all__ = ["Atlas", "Result", "Writer", "__version__", "build", "check", "edit", "evaluate", "knockout", "open"]

"""Every error that the atlas raises on purpose, and how messages count.

    AtlasError
    ├── UsageError          a wrong option, name or value (exit code 2)
    ├── DataError           a fact file or claim file that cannot be read as written
    ├── ModelError          a model that cannot be loaded, or whose output is unusable
    │   └── TokenError      a text that the tokenizer cannot spell
    └── StoreError          an atlas file that cannot be opened, read or written
        ├── LockedError     another process holds the atlas for writing
        ├── VersionError    the atlas was made by a newer version
        └── LimitError      a query passed its time, its memory, or the files that it may touch

A message is one sentence that names the thing, the cause and the way out.
"""

_SHORTAGES = (
    *("can't allocate memory", "Cannot allocate memory", "Out of Memory Error"),
    *("can't start new thread", "failed to map segment", "could not create a primitive"),
)
"""How libraries say that the system gave them no memory, in errors of other types (the last is oneDNN's)."""


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error of whatever type says that there is not enough memory."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _SHORTAGES)


class AtlasError(Exception):
    """Base of all errors that a user can act upon."""


class UsageError(AtlasError):
    """A wrong option, name or value."""


class DataError(AtlasError):
    """A fact or claim file that cannot be read as written."""


class ModelError(AtlasError):
    """A model that cannot be loaded, or whose output is unusable."""


class TokenError(ModelError):
    """A text that the tokenizer cannot spell."""


class StoreError(AtlasError):
    """An atlas file that cannot be opened, read or written."""


class LockedError(StoreError):
    """Another process holds the atlas for writing."""


class VersionError(StoreError):
    """The atlas was made by a newer version of this package."""


class LimitError(StoreError):
    """A query passed its time, its memory, or the files that it may touch."""


def counted(number: int, thing: str) -> str:
    """Return a number with what it counts: 1 prompt, 2 prompts."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

"""Merging atlases that were built apart into one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from atlas.errors import UsageError
from atlas.store.connection import Limits, connect
from atlas.store.transfer.uniting import Union, United, target


def merge(sources: Sequence[Path], into: Path) -> Iterator[United]:
    """Add to `into`, made if missing, what each of `sources` holds and it does not; yield what was done by source.

    Each source goes in whole or not at all, and merging it again adds nothing. Raises UsageError for a source that
    is the target, StoreError for one that is no atlas, of an older schema, held by a writer, or that says other
    things about the same run, probe or other row.
    """
    for source in sources:
        _check(source, into)
    limits = Limits(paths=tuple(str(source.resolve()) for source in sources))
    with target(into, limits) as writer:
        for source in sources:
            with writer.attached(str(source.resolve()), "(READ_ONLY)") as catalog:
                done = Union(writer, catalog, str(source)).run()
            yield done


def _check(source: Path, into: Path) -> None:
    if into.exists() and source.exists() and source.samefile(into):
        raise UsageError(f"{source} cannot be merged into itself; name another file with --into.")
    connect(source, read_only=True, limits=Limits()).close()

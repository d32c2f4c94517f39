"""The Python interface to an atlas: `atlas.open(path)` and what can be asked of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, overload

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from atlas.store.writer import Writer

Params = Sequence[object] | Mapping[str, object]


class Result:
    """Rows of one query, with the SQL and parameters that made them; shown as a table in notebooks."""

    table: pa.Table
    sql: str
    params: Params

    def __len__(self) -> int:
        """Return the number of rows."""
        raise NotImplementedError

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        raise NotImplementedError

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame."""
        raise NotImplementedError

    def to_pylist(self) -> list[dict[str, object]]:
        """Return the rows as dicts."""
        raise NotImplementedError


class Atlas:
    """An atlas opened for reading. Queries bind their parameters; all text in it is untrusted.

    A `fact` argument is a fact's id, or the subject's key or its label in any language. A `run` argument
    narrows to one run. Where `tau`, `share`, `min_languages` or `normalization` is given, the thresholds
    are those of `definition` with the given ones in their place.
    """

    path: Path

    def __enter__(self) -> Self:
        """Return the atlas itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Stop the query that runs now, from another thread; it raises StoreError."""
        raise NotImplementedError

    def sql(self, query: str, params: Params = ()) -> pa.Table:
        """Return the rows of `query`, with `?` or `$name` bound to `params`; raises StoreError."""
        raise NotImplementedError

    def stream(self, query: str, params: Params = (), *, rows: int = 100_000) -> pa.RecordBatchReader:
        """Return the rows of `query` in batches of `rows`, for results that outgrow memory."""
        raise NotImplementedError

    def query(self, query: str, params: Params = ()) -> Result:
        """Return the rows of `query` as a Result."""
        raise NotImplementedError

    def info(self) -> dict[str, str]:
        """Return what the file says of itself: format, schema, storage_version, created_by."""
        raise NotImplementedError

    def runs(self) -> Result:
        """Return runs with their model and how many prompts they hold, by status."""
        raise NotImplementedError

    def definitions(self) -> Result:
        """Return the named thresholds."""
        raise NotImplementedError

    def facts(
        self,
        text: str | None = None,
        *,
        relation: str | None = None,
        language: str | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return facts with a label, those whose subject or object holds `text` if given."""
        raise NotImplementedError

    def fact_ids(self, fact: int | str) -> list[int]:
        """Return the ids that `fact` (id, subject key or subject label) stands for; raises UsageError."""
        raise NotImplementedError

    def neurons(
        self,
        *,
        layer: int | None = None,
        neuron: int | None = None,
        run: int | None = None,
        definition: str = "default",
        limit: int | None = None,
    ) -> Result:
        """Return the view `neuron_summary`: in how many facts and languages each neuron is one."""
        raise NotImplementedError

    def knowledge_neurons(
        self,
        *,
        fact: int | str | None = None,
        relation: str | None = None,
        language: str | None = None,
        run: int | None = None,
        definition: str = "default",
        tau: float | None = None,
        share: float | None = None,
        normalization: Literal["none", "layer"] | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return knowledge neurons of facts in languages (METHOD 3, Eq. 6-7)."""
        raise NotImplementedError

    def likn(
        self,
        *,
        fact: int | str | None = None,
        relation: str | None = None,
        run: int | None = None,
        definition: str = "default",
        tau: float | None = None,
        share: float | None = None,
        min_languages: int | None = None,
        normalization: Literal["none", "layer"] | None = None,
        limit: int | None = None,
    ) -> Result:
        """Return language-independent knowledge neurons (METHOD 3, Eq. 8)."""
        raise NotImplementedError

    def dkn(
        self,
        *,
        fact: int | str | None = None,
        relation: str | None = None,
        language: str | None = None,
        run: int | None = None,
        definition: str = "default",
        limit: int | None = None,
    ) -> Result:
        """Return degenerate knowledge neuron sets (METHOD 3, Eq. 9-10)."""
        raise NotImplementedError


@overload
def open(
    path: str | os.PathLike[str],
    mode: Literal["r"] = "r",
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    allow_files: bool = False,
) -> Atlas: ...


@overload
def open(
    path: str | os.PathLike[str],
    mode: Literal["w", "a"],
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    allow_files: bool = False,
) -> Writer: ...


def open(
    path: str | os.PathLike[str],
    mode: Literal["r", "w", "a"] = "r",
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    allow_files: bool = False,
) -> Atlas:
    """Open the atlas at `path`.

    Mode `r` reads one that exists, `a` writes and makes it if missing, `w` makes a new one and refuses
    a path that exists. SQL may touch no other file unless `allow_files`. Raises StoreError for a file
    that is no atlas or an older one, VersionError for a newer one, LockedError if another process holds it.
    """
    raise NotImplementedError

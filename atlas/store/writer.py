"""Writing to an atlas: facts, models, runs and batches of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from atlas.api import Atlas

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.facts import FactSet, Prompt


class Writer(Atlas):
    """An atlas opened for writing by this process alone. Loading is idempotent: rows whose key the atlas
    holds are left as they are, so the same input twice gives the same atlas.
    """

    def load(self, table: str, rows: pa.Table) -> int:
        """Add `rows` to `table` where their key is new, in one transaction; return how many were added.

        Raises StoreError for columns that are not the table's, for a key that `rows` holds twice, and for
        probe, probe_layer and attribution, which go in together through `load_batch`.
        """
        raise NotImplementedError

    def add_facts(self, facts: FactSet) -> dict[str, int]:
        """Add languages, relations, facts, labels and templates; return rows added by table."""
        raise NotImplementedError

    def add_prompts(self, prompts: Iterable[Prompt]) -> int:
        """Add the prompts that a run is going to probe; return how many were new."""
        raise NotImplementedError

    def add_model(self, info: Mapping[str, object]) -> int:
        """Add a model given by the columns of table `model` (all but `model`); return its id."""
        raise NotImplementedError

    def start_run(
        self,
        *,
        model: int,
        method: str,
        settings: Mapping[str, object],
        seed: int,
        versions: Mapping[str, str],
    ) -> int:
        """Add a run, or go on with the same one, with status `running`; return its id.

        The id is stable_id("run", weights digest, method, settings, seed). `settings` holds `floor`.
        """
        raise NotImplementedError

    def finish_run(self, run: int, status: str = "done") -> None:
        """Set a run's status to `done`, `interrupted` or `failed` and the time it ended."""
        raise NotImplementedError

    def done_prompts(self, run: int) -> set[int]:
        """Return the prompts that the run has probed, usable or not."""
        raise NotImplementedError

    def load_batch(self, tables: Mapping[str, pa.Table]) -> dict[str, int]:
        """Add the tables `probe`, `probe_layer`, `attribution` of one batch in one transaction.

        Prompts that their run has probed already are left out of all three. Tables of
        `atlas.schema.arrow(...)`; a missing one counts as empty. Returns rows added by table. Raises
        StoreError, with nothing added, for scores without a probe and for a key that comes twice.
        """
        raise NotImplementedError

    def define(self, name: str, **thresholds: object) -> None:
        """Add or replace a definition; thresholds not given are those of `default`."""
        raise NotImplementedError

"""What a build stores of the names of facts: the tokens that they take in its prompts."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from atlas import schema
from atlas.building.computing import Worker
from atlas.building.ray import Cluster
from atlas.facts import Prompt

if TYPE_CHECKING:
    from atlas.store import Writer


def spell_names(
    writer: "Writer", workers: Worker | Cluster, prompts: Sequence[Prompt], added: Collection[tuple[int, str]]
) -> None:
    """Store the tokens of names that have none yet or that were `added` to, beside those of earlier templates."""
    rows = writer.sql("FROM label_token WHERE model = $model", {"model": workers.workbench.info.id}).to_pylist()
    stored = {(row["fact"], row["language"]): row for row in rows}
    asked = [p for p in prompts if p.pair in added or p.pair not in stored]
    found = workers.labels(asked).to_pylist()
    for row in found:
        before = stored.get((row["fact"], row["language"]), {})
        row |= {name: sorted({*row[name], *before.get(name, ())}) for name in ("subject", "object", "scripts")}
    writer.renew("label_token", schema.rows_of("label_token", found))

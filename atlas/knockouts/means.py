"""Knock-outs by `mean` (METHOD 4) whose means were over other prompts than the run has."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from atlas.facts import Prompt
from atlas.running.progress import Progress

if TYPE_CHECKING:
    from atlas.engine.replacing import Replacing
    from atlas.store import Writer


def take_out_other_means(
    writer: "Writer", run: int, means: "Replacing", prompts: Iterable[Prompt], progress: Progress
) -> None:
    """Take the rows of `prompts` out whose means were over other prompts, as when the run had fewer; and tell."""
    stored = {(row["prompt"], row["pool"]) for row in writer.sql(_POOLS, [run]).to_pylist()}
    own = {prompt.id: means.pool(prompt) for prompt in prompts}
    other = [prompt for prompt, pool in stored if prompt in own and pool != own[prompt]]
    if other:
        writer.sql(_TAKE_OUT, {"run": run, "prompts": other})
        progress.warn(
            f"the means that cut neurons took in {len(other):,} prompts were over other prompts than the run has; "
            "they are measured again"
        )


_POOLS = "SELECT DISTINCT prompt, pool FROM knockout WHERE run = ? AND replace = 'mean'"
_TAKE_OUT = "DELETE FROM knockout WHERE run = $run AND replace = 'mean' AND list_contains($prompts::BIGINT[], prompt)"

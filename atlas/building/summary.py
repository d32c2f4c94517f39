"""What a build did: the numbers that stand at its end."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from atlas.building.found import Found
from atlas.building.plan import EVERYTHING, Shard
from atlas.facts import Skip

NOTHING = Found()
REASONS = {
    "not_final": "the template does not end in the object, which a causal model needs (--ask states it, then asks)",
    "unspellable": "the tokenizer cannot spell the answer or the subject",
    "unresolved": "an error above ten times the tolerance (give more --max-nodes, or a larger --tolerance)",
    "nan": "the model's output holds NaN",
    "too_long": "the prompt is longer than the model allows",
    "no_subject": "no token is the subject's last one, or it is its neighbour's too",
}
"""Statuses of table `probe` that are not usable, in words."""


@dataclass(frozen=True)
class Summary:
    """The end of a build; counts are prompts unless said otherwise.

    `total` is that of the shard. `statuses` counts the prompts probed by this call, `before` those that the atlas held
    already; `skips` is what reading the facts left out, `united` counts facts that the atlas had under other keys,
    `renamed` labels and `marked` templates that it had otherwise, `found` is what the whole run holds, earlier calls
    included.
    `twin` is the summary of the untrained twin's run, if there was one to do.
    """

    atlas: Path
    run: int
    model: str
    method: str
    total: int
    before: int
    held_out: int
    statuses: Counter[str]
    skips: tuple[Skip, ...]
    seconds: float
    found: Found = NOTHING
    shard: Shard = EVERYTHING
    twin: "Summary | None" = None
    united: int = 0
    renamed: int = 0
    marked: int = 0

    @property
    def useless(self) -> bool:
        """True if the run has no prompt with scores, though some were put to the model."""
        return self.total > 0 and not self.interrupted and self.found.facts == 0

    @property
    def attributed(self) -> int:
        """Usable prompts of this call: converged or not."""
        return self.statuses["ok"] + self.statuses["not_converged"]

    @property
    def skipped(self) -> dict[str, int]:
        """Prompts of this call that are not usable, by reason in words."""
        return {words: self.statuses[name] for name, words in REASONS.items() if self.statuses[name]}

    @property
    def left(self) -> int:
        """Prompts of the selection still to be computed."""
        own = self.total - self.before - sum(self.statuses.values())
        return own + (self.twin.left if self.twin else 0)

    @property
    def interrupted(self) -> bool:
        """True if the job was stopped before its end."""
        return self.left > 0

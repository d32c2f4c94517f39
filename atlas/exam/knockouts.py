"""The exam's knock-outs: each set is measured once, however many runs of the model name it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from atlas.facts import Prompt
from atlas.ids import Neuron

if TYPE_CHECKING:
    import pyarrow as pa

    from atlas.models import LanguageModel, Position

NeuronSet = tuple[Neuron, ...]
Candidates = Mapping[int, Mapping[tuple[int, str], Sequence[Neuron]]]

TOP = 6
"""Knowledge neurons of each fact and language whose sets are knocked out, best first; circuits have up to four."""
ORDER = 3
"""Neurons of the largest set."""


def knock_out_all(
    model: "LanguageModel", prompts: Sequence[Prompt], candidates: Candidates, at: "Position" = "query"
) -> list["pa.Table"]:
    """Return rows of table `knockout`: the `candidates` of each run, fact and language alone, in pairs and triples."""
    from atlas.knockouts.knockout import knock_out
    from atlas.knockouts.rows import Trial, to_table

    wanted = [{run: _sets(found.get(p.pair, ())) for run, found in candidates.items()} for p in prompts]
    sets = [sorted({cut for own in by_run.values() for cut in own}) for by_run in wanted]
    tables = []
    for by_run, own, result in zip(wanted, sets, knock_out(model, prompts, sets, at=at), strict=True):
        if result.before is not None and result.after is not None:
            after = dict(zip(own, result.after.tolist(), strict=True))
            for run, cuts in by_run.items():
                tables.append(to_table(run, result.prompt, result.before, [(Trial(cut), after[cut]) for cut in cuts]))
    return tables


def _sets(best: Sequence[Neuron]) -> list[NeuronSet]:
    chosen = sorted(best[:TOP])
    return [cut for size in range(1, ORDER + 1) for cut in combinations(chosen, size)]

"""What attribution at the subject's last token costs, as a multiple of that at the query, in one run.

    python -m benchmarks.positions [PROMPTS]

CPU seconds of one thread, the best of three, the same prompts and as many nodes at both positions. In a causal model a
copy is the tokens from the subject to the query, so what it may cost is their mean number, and a fifth more. Returns 1
beyond 1.3 times in a masked model, or beyond that in a causal one.
"""

import sys
from collections.abc import Sequence
from time import process_time
from typing import Literal

import torch

from atlas.attribution import Settings, attribute
from atlas.engine.answers import usable
from atlas.facts import Prompt, read
from atlas.models import LanguageModel, load_model

METHODS = {"kn": 8, "amig-mean": 4}
"""Scorers and the nodes that they are given."""
MASKED, CAUSAL = 1.3, 1.2


def main(words: Sequence[str]) -> int:
    """Print seconds and ratios of each model and scorer."""
    torch.set_num_threads(1)
    count, wrong = int(words[0]) if words else 40, False
    for name in ("demo-mbert", "demo-mgpt"):
        model = load_model(name, device="cpu")
        prompts = usable(model, list(read("bundled").prompts()), "subject")
        prompts = prompts[:: max(1, len(prompts) // count)][:count]
        allowed = MASKED if model.two_way else CAUSAL * _tokens(model, prompts)
        for method, nodes in METHODS.items():
            query, subject = (_seconds(model, prompts, method, nodes, at) for at in ("query", "subject"))
            wrong |= subject > allowed * query
            print(
                f"{name:12} {method:10} {len(prompts)} prompts: query {query:.2f} s, subject {subject:.2f} s, "
                f"{subject / query:.2f} times of {allowed:.2f} allowed"
            )
    return int(wrong)


def _tokens(model: LanguageModel, prompts: Sequence[Prompt]) -> float:
    """Return the mean number of tokens from the subject's last to the query, over all steps."""
    steps = [step for prompt in prompts for step in model.steps(prompt, "subject")]
    return sum(step.query - step.at + 1 for step in steps) / len(steps)


def _seconds(
    model: LanguageModel, prompts: Sequence[Prompt], method: str, nodes: int, at: Literal["query", "subject"]
) -> float:
    """Return the least CPU seconds of three attributions."""
    settings, taken = Settings(method=method, nodes=nodes, max_nodes=nodes, at=at), []
    for _ in range(3):
        started = process_time()
        attribute(model, prompts, settings)
        taken.append(process_time() - started)
    return min(taken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

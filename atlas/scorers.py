"""The scorers of METHOD 2, one row each: what a run's `method` may be and where it serves. Imports no torch.

A new scorer is a row here and its code in `atlas/attribution`. In their order a model's runs are meant, controls last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from atlas.errors import UsageError
from atlas.matching import option

Use = Literal["build", "localisation", "exam", "checking"]
EVERYWHERE: tuple[Use, ...] = ("build", "localisation", "exam", "checking")
_PATH = ("tolerance", "rule", "nodes", "max_nodes")
"""Settings of scorers that integrate with as many nodes as it takes."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A way to say how much each neuron carries an answer.

    `serves` says where it can be chosen: in a build, in the localisation table, in the exam, and as the one whose
    neurons claims are judged by. A `control` is there to be beaten. `reads` are settings that not all scorers read.
    """

    name: str
    meaning: str
    reads: tuple[str, ...] = ()
    control: bool = False
    serves: tuple[Use, ...] = EVERYWHERE


_ROWS = (
    Scorer("amig", "integrated gradients from one baseline per word of the query (Eq. 2-3), adaptive nodes", _PATH),
    Scorer("amig-mean", "one path from the mean of those baselines: cheaper", _PATH),
    Scorer("amig-code", "what the paper's released code computes, for comparison", ("tolerance",)),
    Scorer("kn", "integrated gradients from zero (Dai et al. 2022)", _PATH),
    Scorer(
        "joint", "one path for all layers, from closed gates to open ones; credits duplicates in other layers", _PATH
    ),
    Scorer("greedy", "gradient times activation, the top neuron cut and all computed again; finds backups", ("cuts",)),
    Scorer(
        "peel",
        "`amig-mean` in rounds, what carries the answer cut after each; finds backups, and says the round",
        _PATH,
    ),
    Scorer("gradient", "gradient times activation", control=True),
    Scorer("activation", "the neuron's value alone", control=True),
    Scorer("random", "seeded random numbers", control=True),
)
SCORERS = {scorer.name: scorer for scorer in _ROWS}
DEFAULT = "amig"


def serving(use: Use) -> tuple[str, ...]:
    """Return the names of the scorers that serve somewhere, in the table's order."""
    return tuple(name for name, scorer in SCORERS.items() if use in scorer.serves)


def asked(names: Sequence[str] | None, use: Use) -> tuple[str, ...]:
    """Return the scorers of these names, all that serve if None; raises UsageError for one that does not serve."""
    if names is not None and not names:
        raise UsageError("--method names no scorer; name some, or leave the option out.")
    return tuple(option("--method", name, serving(use)) for name in names or serving(use))


def listed(use: Use) -> str:
    """Return the names of the scorers that serve somewhere as a help text."""
    *names, last = serving(use)
    return f"{', '.join(names)} or {last}"

"""Two models side by side, by what one atlas holds of both. Never imports torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas.errors import UsageError
from atlas.store import naming
from atlas.store.runs import AT, StoredRun, check_no_twin, maker, model_of, stored_runs

if TYPE_CHECKING:
    from atlas.store.reader import Reader
    from atlas.store.result import Result


TABLES: Mapping[str, str] = {
    name: f"""
SELECT * EXCLUDE (definition)
FROM compared_{name}_of(definition_of($definition, NULL), $run_a, $run_b)
""".strip()
    for name in ("facts", "neurons", "layers")
}
"""The query of each table of a comparison: of `definition`, `run_a` and `run_b`."""

_KINDS = (
    "list_position(['known', 'knowledge neuron', 'likn', 'likn of different facts', 'likn of equal size', 'dkn', "
    "'random set'], kind)"
)
ORDERS: Mapping[str, str] = {
    "facts": f"{_KINDS}, language NULLS FIRST",
    "neurons": _KINDS,
    "layers": f"{_KINDS}, depth_from",
}
"""How the rows of each are sorted."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """The run that speaks for a model; `settings` is a JSON object."""

    model: str
    digest: str
    kind: str
    layers: int
    neurons: int
    run: int
    method: str
    settings: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs say of the facts and languages that both have usable prompts of.

    `facts`: how many facts each model knows, and in how many it has LIKNs and DKNs; columns kind, language (None: all
    together), facts, in_a, in_b, in_both, expected (in both, were they independent), share_a, share_b, jaccard.

    `neurons`: how many a fact has of each kind; columns kind, facts, neurons_a, neurons_b (mean over facts), share_a,
    share_b (of the facts' knowledge neurons), depth_a, depth_b (mean relative depth, 0 to 1).

    `layers`: where they lie, in tenths of the relative depth; columns kind, depth_from, depth_to, share_a, share_b.

    Kinds are `known`, `knowledge neuron`, `likn` and `dkn`, with the controls `likn of different facts` and
    `random set`. DKNs are there if both runs have knock-outs.
    """

    a: ComparedRun
    b: ComparedRun
    facts: Result
    neurons: Result
    layers: Result

    @property
    def unequal(self) -> bool:
        """Whether the settings of the two runs differ, but for what is the models' own: tokenizer and configuration."""
        a, b = ({**json.loads(run.settings), "tokenizer": None, "config": None} for run in (self.a, self.b))
        return a != b


def compare(atlas: Reader, a: str, b: str, *, method: str | None = None, definition: str = naming.IN_USE) -> Comparison:
    """Compare models `a` and `b` (names or digests), each by its run of `method` that is meant, or two runs (numbers).

    `method` None is that of a's run that is meant, whose position a model `b` is taken at, too. Raises UsageError for
    unknown models, models without such a run, one model or run given twice, and two runs without a common prompt.
    """
    of_a = _run(atlas, a, method and naming.scorer_of(atlas, method))
    of_b = _run(atlas, b, of_a.method, of_a.at)
    if of_a.run == of_b.run:
        raise UsageError(f"{a!r} and {b!r} are the same model; name two, or two of its runs.")
    given = {"run_a": of_a.run, "run_b": of_b.run}
    if not atlas.sql("FROM common_ground($run_a, $run_b) LIMIT 1", given).num_rows:
        raise UsageError(f"No prompt of {atlas.path} is usable in both {a} and {b}; build both on the same facts.")
    bound = {**given, "definition": naming.definition_of(atlas, definition)}
    facts, neurons, layers = (atlas.query(f"{TABLES[name]} ORDER BY {ORDERS[name]}", bound) for name in TABLES)
    return Comparison(_compared(of_a), _compared(of_b), facts, neurons, layers)


def _run(atlas: Reader, word: str, method: str | None, at: str | None = None) -> StoredRun:
    """Return the run of that number, or that of a model by `method` `at` a position, None for any, that is meant."""
    found = stored_runs(atlas, lambda run: run.usable > 0 and str(run.run) == word)
    if found:
        return found[0]
    if word.isascii() and word.isdigit() and len(word) <= 19:
        check_no_twin(atlas, int(word))
    model = model_of(atlas, word)
    found = stored_runs(atlas, lambda run: run.model == model and run.usable > 0)
    for run in found:
        if (run.method == method or (method is None and run.eligible)) and at in (None, run.at):
            return run
    (name,) = atlas.sql("SELECT name FROM model WHERE model = ?", [model])["name"].to_pylist()
    has = ", ".join(sorted({f"{run.method}{AT.get(run.at, '')}" for run in found})) or "none at all"
    raise UsageError(
        f"Model {name!r} has no run of {method or 'any scorer'!r}{AT.get(at or '', '')} with usable prompts in "
        f"{atlas.path}, but {has}; `{maker(atlas.path, name, method, at)}` makes one."
    )


def _compared(run: StoredRun) -> ComparedRun:
    return ComparedRun(run.name, run.digest, run.kind, run.layers, run.neurons, run.run, run.method, run.settings)

"""The study's edits: facts changed at their own neurons, and the same at others that are fitted equally well."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import atlas
from atlas.drawing import generator, one_of
from atlas.editing.job import Done, EditOptions, edit_facts
from atlas.editing.requests import Request
from atlas.errors import UsageError, counted
from atlas.facts import Fact
from atlas.running.choice import OpenChoice
from atlas.running.progress import Progress
from atlas.store.stored import stored_facts

CONTROLS: dict[str, dict[str, Any]] = {
    "own neurons": {},
    "other layers": {"control": True, "grow": True, "other_layers": True},
    "random": {"control": True, "grow": True},
}
"""The steps by what is edited: the fact's LIKN (in a study of one language its knowledge neurons), or others that grow
until the edit converges; and the options of the edit.
"""
WRITTEN = 10
"""Tokens that a causal model writes after an edit."""


def edit_step(
    choice: OpenChoice, db: Path, run: int, name: str, count: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Edit `count` facts in their first language by a step of `CONTROLS`, and say what was left out.

    Each gets the object of another fact of its relation; what the atlas holds is not made again. Says which edits are
    the step's, as a user may have made others. Raises UsageError where no fact can be edited.
    """
    with atlas.open(db) as opened:
        facts = {fact.id: fact for fact in stored_facts(opened).facts}
        kind = "likn" if any(len(fact.labels) > 1 for fact in facts.values()) else "kn"
        named = opened.sql(_NAMED.format(_VIEWS[kind]), {"run": run})["fact"].to_pylist()
        (causal,) = opened.sql(_CAUSAL, {"run": run})["causal"].to_pylist()
    chosen = [named[place] for place in generator("study-edits", seed).permutation(len(named))][:count]
    if not chosen:
        raise UsageError(f"No fact of {db} has {kind.upper()} neurons to edit.")
    wanted = {fact: _request(facts[fact], list(facts.values()), seed) for fact in chosen}
    requests = [request for request in wanted.values() if request]
    options = EditOptions(
        **choice.given(), db=db, run=run, neurons=kind, generate=WRITTEN if causal else 0,
        settings={"method": "fit", "seed": seed}, **CONTROLS[name],
    )  # fmt: skip
    done = edit_facts(options, requests, progress) if requests else []
    made = [str(one.made.edit.record.id) for one in done if one.made]
    return {"cut": _cuts(facts, wanted, done), "asked": len(chosen), "edits": made}


def _cuts(facts: Mapping[int, Fact], wanted: Mapping[int, Request | None], done: Sequence[Done]) -> list[str]:
    """Return a sentence for what was not edited."""
    bare = sum(request is None for request in wanted.values())
    cuts = [f"{counted(bare, 'fact')} without another object of the relation in the fact's languages"] if bare else []
    failed = ((facts[int(one.request.fact)].labels, one.error) for one in done if one.error)
    return cuts + [f"{labels[min(labels)].subject}: {error}" for labels, error in failed]


def _request(fact: Fact, facts: list[Fact], seed: int) -> Request | None:
    """Return the request to give `fact` another object of its relation, None if there is no such."""
    others = [
        other
        for other in facts
        if other.relation == fact.relation and other.object != fact.object and {*fact.labels} <= {*other.labels}
    ]
    if not others:
        return None
    new = one_of(others, "study-object", seed, fact.id)
    names = {code: new.labels[code].object for code in fact.labels}
    return Request(str(fact.id), new.object, names, (min(fact.labels),), fact.relation)


_VIEWS = {"likn": "likn_all", "kn": "knowledge_neuron_all"}
_NAMED = "SELECT DISTINCT fact FROM {} WHERE run = $run AND definition = 'default' ORDER BY fact"
_CAUSAL = "SELECT kind = 'causal' AS causal FROM run JOIN model USING (model) WHERE run = $run"

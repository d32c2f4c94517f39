"""Which run is meant: the one place that chooses among the runs of an atlas. Never imports torch."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from atlas import scorers
from atlas.errors import ModelError, StoreError, UsageError
from atlas.matching import check_whole, matches, unknown
from atlas.schema import usable

if TYPE_CHECKING:
    from atlas.store.reader import Reader

AT = {"subject": " at the subject"}
"""How a position is told, where it is not the query."""
_FOLDERS = re.compile(r"^(untrained-\d+:)?.*/")
"""What stands before the last part of a model's name, but that it is an untrained twin's."""
UNION = "union"
"""The method of a run that joins the neurons of others."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run with what is needed to go on with it: its model, method and settings (a JSON object).

    `probes` are its prompts, `usable` those with scores; it is `eligible` if it can be meant where nothing is named,
    and `in_use` if it is.
    `name` to `neurons` are the model's. `at` is the position of its neurons, `query` or `subject`.
    """

    run: int
    method: str
    seed: int
    settings: str
    dtype: str
    status: str
    started: datetime
    probes: int
    usable: int
    model: int
    name: str
    kind: str
    digest: str
    revision: str | None
    layers: int
    neurons: int
    at: str
    eligible: bool
    in_use: bool

    @property
    def title(self) -> str:
        """What it is called where it is taken."""
        return f"run {self.run}, {self.method}{AT.get(self.at, '')} of {self.name}"


def stored_settings(run: StoredRun) -> dict[str, Any]:
    """Return the settings of a run; raises StoreError where they are none."""
    try:
        return dict(json.loads(run.settings).items())
    except (ValueError, AttributeError, RecursionError) as error:
        raise StoreError(f"Run {run.run} has settings that no build writes ({error}); build it again.") from error


def stored_runs(atlas: "Reader", wanted: Callable[[StoredRun], bool]) -> list[StoredRun]:
    """Return the runs of an atlas that are `wanted`, the one in use first, then as `run_order` has them.

    Never an untrained twin's.
    """
    return list(filter(wanted, (StoredRun(**row) for row in atlas.sql(_RUNS).to_pylist())))


def choose_runs(
    atlas: "Reader",
    model: int,
    name: str,
    method: str | None,
    at: str = "query",
    traits: Mapping[str, str] = MappingProxyType({}),
) -> list[int]:
    """Return the run of `method` `at` a position, with None one of each but `random`; of several the first in order.

    None of other `traits`, digests that the settings of newer runs name. Raises UsageError, with the command
    that makes one, if there is none, and for a method that nobody knows; ModelError if all are of other traits.
    """
    found = stored_runs(
        atlas,
        lambda run: (
            run.model == model
            and run.at == at
            and (run.eligible if method is None else run.method == method)
            and (run.method == UNION or run.probes > 0)
        ),
    )
    if not found:
        wanted = "any method but random" if method is None else f"method {method!r}"
        raise UsageError(
            f"{atlas.path} has no run of {name} with {wanted}{AT.get(at, '')}; "
            f"`{maker(atlas.path, name, method, at)}` makes one."
        )
    same = [run for run in found if not _other_traits(run, traits)]
    if not same:
        check_traits(found[0], traits)
    return sorted({run.method: run.run for run in reversed(same)}.values())


def check_traits(run: StoredRun, traits: Mapping[str, str]) -> None:
    """Raise ModelError if `run` was made with a model of other `traits`: `tokenizer` and `config`, as digests."""
    for name, then in _other_traits(run, traits).items():
        raise ModelError(
            f"Model {run.name!r} has another {name} ({traits[name]}) than that of run {run.run} ({then}), so the run's "
            "prompts give other rows with it; run `atlas build` with this model first."
        )


def _other_traits(run: StoredRun, traits: Mapping[str, str]) -> dict[str, str]:
    """Return those of the run that differ from `traits`; settings of older runs do not name them."""
    stored = stored_settings(run)
    return {name: then for name, own in traits.items() if (then := stored.get(name, own)) != own}


_WORDS = {"model": " of model {}", "run": " of run {}", "method": " by {}", "at": " at the {}"}
"""How a run that there is none of is told."""


def stored_run(
    atlas: "Reader",
    *,
    model: str | None = None,
    run: int | None = None,
    method: str | None = None,
    at: str | None = None,
    without: Collection[int] = (),
) -> StoredRun:
    """Return the run that is meant, of `model` (as `models_of` has it) and so on if given, or `run` itself.

    It holds usable prompts. Of several models of one name it is the one built last, and of none of those `without`.
    Where neither method nor run is given, no control by chance is meant. Raises UsageError if there is none.
    """
    check_whole("run", run)
    known = [] if model is None else models_of(atlas, model)
    given = {"run": run, "method": method, "at": at}
    asked = {name: value for name, value in given.items() if value is not None}
    found = stored_runs(
        atlas,
        lambda r: (
            r.usable > 0
            and r.model not in without
            and (r.eligible or method is not None or run is not None)
            and (model is None or r.model in known)
            and asked.items() <= {"run": r.run, "method": r.method, "at": r.at}.items()
        ),
    )
    if not found:
        if run is not None:
            check_run(atlas, run)
        check_no_twin(atlas, run)
        _check_no_union(atlas, run, method)
        told = ("model", model), *given.items()
        named = "".join(_WORDS[name].format(value) for name, value in told if value is not None)
        raise UsageError(
            f"{atlas.path} holds no run with usable prompts{named}: `atlas build` makes one, `atlas runs` lists those "
            "there are."
        )
    return found[0]


def check_run(atlas: "Reader", run: int) -> None:
    """Raise UsageError for a run that is not there."""
    check_whole("run", run, 0, (1 << 63) - 1)
    if not atlas.sql("SELECT 1 FROM run WHERE run = ?", [run]).num_rows:
        raise UsageError(f"{atlas.path} has no run {run}; `atlas runs` lists them.")


def check_no_twin(atlas: "Reader", run: int | None) -> None:
    """Raise UsageError for an untrained twin's run, None for none, which speaks for no model."""
    found = atlas.sql("SELECT twin_of FROM run WHERE run = ? AND twin_of IS NOT NULL", [run])["twin_of"].to_pylist()
    if found:
        raise UsageError(f"Run {run} is that of an untrained twin, beside run {found[0]}: name that one.")


def _check_no_union(atlas: "Reader", run: int | None, method: str | None) -> None:
    """Raise UsageError for a union, which no prompt is of."""
    if method == UNION or atlas.sql("SELECT 1 FROM run WHERE run = ? AND method = ?", [run, UNION]).num_rows:
        raise UsageError("A union of runs has no prompts of its own: name one of those; `atlas runs` lists them.")


def models_of(atlas: "Reader", word: str) -> list[int]:
    """Return the models that `word` names: their name, the last part of it, or a digest; raises UsageError for none."""
    rows = atlas.sql("SELECT model, name, digest FROM model ORDER BY name, digest").to_pylist()
    names = {row["digest"]: (row["name"], _FOLDERS.sub(r"\1", row["name"].rstrip("/"))) for row in rows}
    found = matches(word, names)
    if not found:
        raise UsageError(unknown("model", word, {name: (last,) for name, last in names.values()}, f" in {atlas.path}"))
    return [int(row["model"]) for row in rows if row["digest"] in found]


def model_of(atlas: "Reader", word: str) -> int:
    """Return the one model that `word` names, as `models_of`; raises UsageError for several, too."""
    found = models_of(atlas, word)
    digests = atlas.sql("SELECT digest FROM model WHERE list_contains(?::BIGINT[], model) ORDER BY digest", [found])
    if len(found) > 1:
        several = ", ".join(digests["digest"].to_pylist())
        raise UsageError(f"{word!r} names several models in {atlas.path}: {several}; name one of them.")
    return found[0]


def other_models(atlas: "Reader", run: StoredRun) -> list[str]:
    """Return the names of further models that could have been meant in place of that of `run`.

    None could where `atlas use` chose a run.
    """
    found: list[str] = atlas.sql(_OTHER_MODELS, {"model": run.model})["name"].to_pylist()
    return found


def run_in_use(atlas: "Reader") -> StoredRun | None:
    """Return the run that is meant where none is named, None where there is none."""
    return next(iter(stored_runs(atlas, lambda run: run.in_use)), None)


def runs_of_models(atlas: "Reader") -> Iterable[int]:
    """Return the run of each model that is meant where that model is."""
    found = stored_runs(atlas, lambda run: run.probes > 0)
    # The best one last: a model's later entry takes the place of those before it.
    return {run.model: run.run for run in reversed(found)}.values()


def maker(path: Path, name: str, method: str | None, at: str | None) -> str:
    """Return the command that makes a run of `method`; a union is joined by the knock-outs."""
    if method not in (None, UNION, *scorers.SCORERS):
        raise UsageError(f"Method {method!r} is not known; choose from {', '.join(scorers.SCORERS)} and {UNION}.")
    command = "knockout" if method == UNION else "build"
    named = f" --{'from' if method == UNION else 'method'} {method}" if method else ""
    place = f" --at {at}" if at not in (None, "query") else ""
    return f"atlas {command} --model {quote(name)}{named}{place} --db {quote(str(path))}"


_RUNS = f"""
SELECT
    run.run, run.method, run.seed, run.settings, coalesce(run.settings ->> 'dtype', 'float32') AS dtype,
    run.status, run.started, coalesce(held.probes, 0) AS probes, coalesce(held.usable, 0) AS usable,
    model.model, model.name, model.kind, model.digest, model.revision, model.layers, model.neurons,
    coalesce(run.settings ->> 'at', 'query') AS at, run_order.eligible,
    run.run IN (SELECT run FROM run_in_use) AS in_use
FROM run JOIN model USING (model) JOIN run_order ON run_order.run = run.run
LEFT JOIN (
    SELECT run, count(*) AS probes, count(*) FILTER ({usable("status")}) AS usable FROM probe GROUP BY run
) AS held ON held.run = run.run
WHERE run.twin_of IS NULL
ORDER BY in_use DESC, run_order.nth
"""

_OTHER_MODELS = """
SELECT name FROM run_order JOIN model USING (model)
WHERE eligible AND model <> $model AND NOT EXISTS (FROM in_use WHERE run IS NOT NULL)
GROUP BY name ORDER BY min(nth)
"""

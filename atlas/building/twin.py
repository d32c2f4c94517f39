"""The untrained twin of a run that an atlas holds: the same prompts, the same settings, other weights (METHOD 3b)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import atlas
from atlas.attribution.identity import ADDED, TRAITS
from atlas.building.computing import Twin
from atlas.building.job import BuildOptions, build_twin, settings_of
from atlas.building.plan import Plan, prompts_of
from atlas.building.summary import Summary
from atlas.errors import UsageError
from atlas.running.choice import OpenChoice, named, tell
from atlas.running.progress import Progress
from atlas.store.naming import understood
from atlas.store.runs import StoredRun, stored_run, stored_settings
from atlas.store.stored import stored_facts

if TYPE_CHECKING:
    from atlas.store import Writer


@dataclass(frozen=True)
class TwinOptions(OpenChoice):
    """Which run a twin stands beside: `run`, or what is meant of `model` and `source`; `seed` draws its weights."""

    db: Path = Path("atlas.duckdb")
    run: int | None = None
    source: str | None = None
    seed: int = 0


def twin(options: TwinOptions, progress: Progress | None = None) -> Summary:
    """Put the prompts of a run to its model's untrained twin, and return what was done.

    What the atlas holds already is not computed again. Raises UsageError for a run that is not there and ModelError
    for a model that has other weights than those of the run, or no twin.
    """
    progress = progress or Progress()
    with atlas.open(options.db, "a") as writer:
        options = understood(writer, options)
        run = stored_run(writer, model=options.model, run=options.run, method=options.source)
        tell(writer, run, options, progress)
        _check_dtype(options, run)
        building, plan = _as_built(options, run), _plan(writer, run.run, progress)
        stored = stored_settings(run)
        wanted = Twin(run.name, run.digest, options.seed, {name: stored[name] for name in TRAITS if name in stored})
        return build_twin(building, progress, plan, writer, settings_of(building, progress), run.run, wanted)


def _check_dtype(options: TwinOptions, run: StoredRun) -> None:
    """Raise UsageError for a number type that is not the run's, whose settings its twin has."""
    if options.dtype not in (None, run.dtype):
        same = f"{run.title} is in {run.dtype}, and its twin has the same settings"
        raise UsageError(f"--dtype cannot be {options.dtype}: {same}; leave it out.")


def _plan(writer: "Writer", run: int, progress: Progress) -> Plan:
    """Return the plan of the prompts of a run; those with other labels than the atlas has are left out and told."""
    done = writer.done_prompts(run)
    plan = Plan(stored_facts(writer), done)
    if left := len(done) - prompts_of(plan.batches()):
        progress.warn(
            f"left out {left:,} of {len(done):,} prompts of the run, whose labels are not those of the atlas, or whose "
            "templates are held out; `atlas build` with their data set asks by its labels"
        )
    return plan


def _as_built(options: TwinOptions, run: StoredRun) -> BuildOptions:
    """Return the options with which `run` is built."""
    settings = {name: value for name, value in stored_settings(run).items() if name not in ADDED}
    choice = named(OpenChoice(**options.given()), run).filled()
    return BuildOptions(**choice.given(), db=options.db, settings={**settings, "method": run.method, "seed": run.seed})

"""The untrained twin of a run that an atlas holds: the same prompts, the same settings, other weights (METHOD 3b)."""

from dataclasses import dataclass
from pathlib import Path

import atlas
from atlas.attribution.identity import ADDED, TRAITS
from atlas.building.computing import Twin
from atlas.building.job import BuildOptions, build_twin, settings_of
from atlas.building.plan import Plan, prompts_of
from atlas.building.summary import Summary
from atlas.running.choice import OpenChoice, named, tell
from atlas.running.progress import Progress
from atlas.store.naming import understood
from atlas.store.runs import StoredRun, stored_run, stored_settings
from atlas.store.stored import stored_facts


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
        building = _as_built(options, run)
        plan = Plan(stored_facts(writer), writer.done_prompts(run.run))
        _tell_left_out(plan, progress)
        stored = stored_settings(run)
        wanted = Twin(run.name, run.digest, options.seed, {name: stored[name] for name in TRAITS if name in stored})
        return build_twin(building, progress, plan, writer, settings_of(building, progress), run.run, wanted)


def _tell_left_out(plan: Plan, progress: Progress) -> None:
    """Tell of prompts of the run that are none of the atlas's labels and attributed templates."""
    asked = len(plan.prompts or ())
    if left := asked - prompts_of(plan.batches()):
        progress.warn(
            f"left out {left:,} of {asked:,} prompts of the run, whose labels are not those of the atlas, or whose "
            "templates are held out; `atlas build` with their data set asks by its labels"
        )


def _as_built(options: TwinOptions, run: StoredRun) -> BuildOptions:
    """Return the options with which `run` is built."""
    settings = {name: value for name, value in stored_settings(run).items() if name not in ADDED}
    choice = named(OpenChoice(**options.given()), run).filled()
    return BuildOptions(**choice.given(), db=options.db, settings={**settings, "method": run.method, "seed": run.seed})

"""A run and its scores, computed in this process, into an open atlas (METHOD 2)."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from atlas.attribution.identity import identity, versions
from atlas.errors import AtlasError
from atlas.facts import Prompt
from atlas.running.progress import Progress

if TYPE_CHECKING:
    from atlas.attribution import Budget, Settings
    from atlas.models import LanguageModel, ModelInfo
    from atlas.store import Writer


def begin_run(
    writer: "Writer",
    info: "ModelInfo",
    settings: "Settings",
    dtype: str,
    versions: Mapping[str, str],
    twin_of: int | None = None,
    twin_seed: int | None = None,
) -> int:
    """Add the model and its run, or go on with the same one; return the run. See `Writer.start_run` for twins."""
    return writer.start_run(
        model=writer.add_model(info.row()),
        method=settings.method,
        settings=identity(settings, dtype, info.family),
        seed=settings.seed,
        versions=versions,
        twin_of=twin_of,
        twin_seed=twin_seed,
    )


def fill_run(
    writer: "Writer",
    model: "LanguageModel",
    groups: Iterable[Sequence[Prompt]],
    settings: "Settings",
    dtype: str = "float32",
    budget: "Budget | None" = None,
    progress: Progress | None = None,
) -> int:
    """Score the prompts that the run lacks, each group in one go, and return the run; their facts are there.

    A run that was broken off before is done afterwards only if it lacks no prompt that was ever planned.
    """
    from atlas.attribution import attribute
    from atlas.attribution.rows import to_tables

    progress = progress or Progress()
    open_before = writer.unfinished_runs()
    run = begin_run(writer, model.info, settings, dtype, versions(str(model.device)))
    done = writer.done_prompts(run)
    every = list(groups)
    missing = [[prompt for prompt in group if prompt.id not in done] for group in every]
    total = sum(map(len, every))
    progress.start(total, total - sum(map(len, missing)), "prompts")
    try:
        for group in filter(None, missing):
            writer.add_prompts(group)
            writer.load_batch(to_tables(run, attribute(model, group, settings, budget), settings.floor))
            progress.advance(len(group))
    except BaseException:
        # What went wrong is told, not that the run's status could not be written because of it.
        with suppress(AtlasError):
            writer.finish_run(run, "interrupted")
        raise
    finally:
        progress.finish()
    whole = run not in open_before or writer.lacks_no_prompt(run)
    writer.finish_run(run, "done" if whole else "interrupted")
    return run

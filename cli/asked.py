"""Which run a command asks."""

from typing import TYPE_CHECKING

from atlas.running.choice import check_one, taken

from . import diagnostics

if TYPE_CHECKING:
    from atlas import Atlas

Asked = tuple[int | None, str | None, str | None]
"""What --run, --model and --method say."""
NOTHING: Asked = (None, None, None)


def choose(opened: "Atlas", run: int | None, model: str | None, method: str | None) -> str:
    """Let `opened` be asked of the run of these options; return what to say of it where --run does not.

    Raises UsageError for what is not there, and for options that do not go together.
    """
    from atlas.store.runs import other_models

    check_one(run, model, method)
    found = opened.use(model=model, method=method, run=run).in_use
    if run is not None:
        return ""
    if found is None:
        return "no run with a usable prompt is there to be asked; `atlas build` makes one"
    return taken(found, other_models(opened, found) if model is None else ())


def shown(opened: "Atlas", run: int | None, model: str | None, method: str | None) -> list[int]:
    """Return the run of these options or, without any, the one of each model that is meant, and say which they are.

    Raises UsageError as `choose` does.
    """
    from atlas.store.runs import runs_of_models, stored_runs

    if (run, model, method) != NOTHING:
        said = choose(opened, run, model, method)
        found = [] if opened.in_use is None else [opened.in_use]
    else:
        numbers = set(runs_of_models(opened))
        found = stored_runs(opened, lambda each: each.run in numbers)
        said = f"taken: {'; '.join(each.title for each in found)}; --run, --model and --method choose one"
    if said and found:
        diagnostics.note(said)
    return [each.run for each in found]

"""Which run a command asks."""

from typing import TYPE_CHECKING

from atlas.errors import UsageError
from atlas.running.choice import taken

if TYPE_CHECKING:
    from atlas import Atlas


def choose(opened: "Atlas", run: int | None, model: str | None, method: str | None) -> str:
    """Let `opened` be asked of the run of these options; return what to say of it where --run does not.

    Raises UsageError for what is not there, and for options that do not go together.
    """
    if run is not None:
        if model is not None or method is not None:
            raise UsageError("--run names one run: leave out --model and --method.")
        return ""
    found = opened.use(model=model, method=method).in_use
    return taken(found) if found else "no run with a usable prompt is there to be asked; `atlas build` makes one"

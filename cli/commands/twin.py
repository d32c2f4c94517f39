"""`atlas twin`: the untrained twin of a model that an atlas holds."""

from typing import Annotated

import typer

from atlas.running.choice import OpenChoice, check_one

from ..options import DEFAULT_DB, OPEN, Db, Json, Run, RunMethod, choosing_model


@choosing_model
def twin(
    choice: Annotated[OpenChoice, "Model of the atlas; if left out, that of the run in use."] = OPEN,
    run: Run = None,
    method: RunMethod = None,
    seed: Annotated[int, typer.Option(help="Seed of the twin's weights.")] = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Put a run's prompts to its model's untrained twin: what it shows too is not knowledge.

    The twin has the model's architecture and tokenizer, and weights that its configuration's initialiser draws. Its run
    has the same settings and names the run that it stands beside; no command takes it for a model's own.
    """
    from atlas.building.twin import TwinOptions
    from atlas.building.twin import twin as run_twin

    from ..output.progress import TerminalProgress
    from ..output.summary import show
    from .build import end

    check_one(run, choice.model, method)
    summary = run_twin(TwinOptions(**choice.given(), db=db, run=run, source=method, seed=seed), TerminalProgress())
    show(summary, json=json)
    end(summary)

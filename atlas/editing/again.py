"""Edits that the same request gave before, read back, so that a command that was broken off makes the others alone."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from atlas.editing.columns import index_of
from atlas.editing.files import Edit, file_digest, load_edit
from atlas.editing.fitting import Fit
from atlas.editing.making import Made, recorder
from atlas.editing.prompts import EditPrompts, prompts_around
from atlas.editing.requests import EditSettings, Target
from atlas.editing.rows import edit_path
from atlas.editing.sources import Choice
from atlas.errors import DataError
from atlas.models import LanguageModel
from atlas.store.stored import Prompts

if TYPE_CHECKING:
    from atlas.store.reader import Reader


def how_made(made: Made, generate: int) -> dict[str, object]:
    """Return what joins the settings of an edit's row: how the fit ended, and what it was made among."""
    lead = made.fit.lead if made.fit.lead == made.fit.lead else None
    fit = {"steps_taken": made.fit.steps, "lead": lead, "known": made.known, "generate": generate}
    return {**fit, "tried": list(made.tried), "around": made.around}


def made_before(
    atlas: "Reader",
    folder: Path,
    model: LanguageModel,
    target: Target,
    prompts: Prompts,
    choices: Sequence[Choice],
    settings: EditSettings,
    generate: int,
) -> Made | None:
    """Return the edit that these arguments gave before, as `make_edit` returns it but without `said`.

    None if there is none, if its file is not what it was or of weights of another type, and for one that does not say
    what it was made among.
    """
    records = list(map(recorder(model, target, settings, None), choices))
    rows = {row["edit"]: row for row in atlas.sql(_EDITS, [[record.id for record in records]]).to_pylist()}
    if not rows:
        return None
    around = prompts_around(model, target, prompts, settings.keep_facts, settings.seed)
    for place, record in enumerate(records):
        row = rows.get(record.id, {"settings": "{}", "status": ""})
        how, failed = json.loads(row["settings"]), row["status"] == "not_converged"
        tried = tuple(one.id for one in records[:place] + (records[place + 1 :] if failed else []))
        asked = {"generate": generate, "around": around.id, "tried": list(tried)}
        if {name: how.get(name) for name in asked} == asked:
            edit = Edit(record, index_of(model, choices[place].neurons), {}, {})
            lead = float("nan") if how["lead"] is None else how["lead"]
            made = Made(edit, how["known"], Fit({}, not failed, how["steps_taken"], lead), tried, around.id)
            return made if failed else _read(atlas, folder, row["digest"], made, around, model.dtype)
    return None


def _read(
    atlas: "Reader", folder: Path, digest: str, made: Made, around: EditPrompts, dtype: torch.dtype
) -> Made | None:
    """Return an edit with its file's columns and what it did, None where its file, rows or `dtype` are others."""
    number = made.edit.record.id
    rows = {(row["measure"], row["prompt"]): row for row in atlas.sql(_OUTCOMES, [number]).to_pylist()}
    with suppress(OSError, DataError, KeyError):
        path = edit_path(folder, number)
        if file_digest(path) == digest and (edit := load_edit(path)).dtype == dtype:
            questions = around.questions
            outcomes = [rows[question.measure, question.prompt.id] for question in questions]
            fit = replace(made.fit, delta=edit.delta)
            return replace(made, edit=edit, fit=fit, outcomes=outcomes, questions=questions)
    return None


_EDITS = "SELECT edit, settings, status, digest FROM edit WHERE list_contains(?::BIGINT[], edit)"
_OUTCOMES = "SELECT * EXCLUDE (edit) FROM edit_outcome WHERE edit = ? AND measure <> 'retention'"

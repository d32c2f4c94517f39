"""`atlas edit`: change facts in a model, look at edits, undo them, apply them elsewhere."""

import json as json_module
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas.editing import METHODS
from atlas.errors import UsageError, counted
from atlas.running.choice import OpenChoice

from .. import diagnostics
from ..exits import ExitCode
from ..options import (
    DEFAULT_DB,
    HELP,
    IN_USE,
    OPEN,
    Db,
    Definition,
    Json,
    Place,
    Run,
    bounded,
    check_order,
    choosing_model,
    writing,
)
from ..output.emit import STDOUT, Destination

if TYPE_CHECKING:
    from atlas.editing.job import Done

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)
COLUMNS = (
    "subject",
    "relation",
    "old_object",
    "object",
    "method",
    "status",
    "efficacy",
    "transfer",
    "locality",
    "edit",
)
SPARE = ("method", "locality", "transfer", "relation")
"""Columns of `edit list` in a table, and those that a narrow one goes without first."""
SHOWN = (
    "subject",
    "relation",
    "old_object",
    "object",
    "status",
    "measure",
    "language",
    "prompts",
    "argmax_before",
    "argmax_after",
    "probability_before",
    "probability_after",
    "edit",
)
SPARE_SHOWN = ("prompts", "probability_before", "probability_after")
"""The same of `edit show`."""
EditName = Annotated[
    str, typer.Argument(help="An edit's number, as `edit list` shows it, or its file.", metavar="EDIT")
]
Save = Annotated[Path | None, typer.Option(help="Folder for the changed model; new or empty.", metavar="FOLDER")]


@app.callback()
@bounded
@choosing_model
def edit(
    context: typer.Context,
    fact: Annotated[str | None, typer.Option(help="The fact: its subject, its object or its id.")] = None,
    object_: Annotated[
        str | None, typer.Option("--object", help="The new object: a key or name in the relation, or any text.")
    ] = None,
    relation: Annotated[str | None, typer.Option(help="Of the subject's facts, the one of this relation.")] = None,
    languages: Annotated[
        str | None, typer.Option(help="Languages to edit, such as en,zh; all if left out.", metavar="CODES")
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(help="Edits from a CSV: fact, object, languages, relation.", metavar="FILE"),
    ] = None,
    neurons: Annotated[
        str, typer.Option(help="likn, kn, relation, neurons such as L3.486,L4.12, or a file of them.", metavar="WHICH")
    ] = "likn",
    least_languages: Annotated[
        int | None, typer.Option(min=1, help="How far LIKN may be relaxed where those of all languages fail; 2.")
    ] = None,
    method: Annotated[str, typer.Option(help=f"{' or '.join(METHODS)}.")] = "fit",
    choice: Annotated[OpenChoice, "Model of the atlas to edit; if left out, that of the run in use."] = OPEN,
    run: Run = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Scorer whose run names the neurons.", metavar="NAME")
    ] = None,
    at: Annotated[
        Place | None, typer.Option(help="Where the neurons of the run are: at the query or at the subject.")
    ] = None,
    definition: Definition = IN_USE,
    save: Save = None,
    together: Annotated[bool, typer.Option("--together", help="Make each edit on top of those before it.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Edit facts that the model does not know, too.")] = False,
    control: Annotated[bool, typer.Option("--control", help="Edit as many random neurons in their place.")] = False,
    other_layers: Annotated[
        bool, typer.Option("--other-layers", help="With --control: from layers without neurons of the fact.")
    ] = False,
    grow: Annotated[
        bool, typer.Option("--grow", help="With --control: twice as many, until the edit converges.")
    ] = False,
    generate: Annotated[
        int, typer.Option(min=0, max=200, help="Tokens that a causal model writes after each edit's prompts.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Most steps of the fit.")] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Change a fact in a model's weights, in several languages at once.

    The edit becomes a small file beside the atlas and rows of `edit` and `edit_outcome`; --save writes the model.
    What was made before is not made again: after Ctrl-C or a crash, the same command goes on.
    """
    if context.invoked_subcommand is not None:
        check_order(context)
        return
    from atlas import jobs

    from ..output.progress import TerminalProgress

    done = jobs.edit(
        **choice.given(), fact=fact, object=object_, relation=relation, languages=languages, batch=batch,
        neurons=neurons, least_languages=least_languages, method=method, run=run, from_=from_,
        at=at, definition=definition, save=save, together=together, force=force,
        control=control, other_layers=other_layers, grow=grow, generate=generate, seed=seed, steps=steps,
        db=db, progress=TerminalProgress(),
    )  # fmt: skip
    _show(done, db, json=json)
    if save is not None and any(one.file for one in done):
        say = diagnostics.talk if json else print
        say(diagnostics.visible(f"The edited model is {save}"))
    if not all(one.file for one in done):
        raise typer.Exit(ExitCode.FAILED)


@app.command("list", context_settings=HELP)
@bounded
@writing
def list_(db: Db = DEFAULT_DB, to: Destination = STDOUT) -> None:
    """List the edits of an atlas and what they did."""
    import atlas
    from atlas.store.queries import EDITS

    with atlas.open(db) as opened:
        to.write(opened.sql(EDITS), COLUMNS, spare=SPARE)


@app.command(context_settings=HELP)
@bounded
@writing
def show(
    what: Annotated[str, typer.Argument(help="An edit's number, or its fact's subject or object.", metavar="EDIT")],
    db: Db = DEFAULT_DB,
    to: Destination = STDOUT,
) -> None:
    """Show what an edit did, by measure and language: before and after.

    For efficacy, paraphrase and transfer the answer looked for is the new object, for locality and neighbour the old
    one: argmax is the share of prompts in which it is the model's own choice. Paraphrases count where it knew the old.
    """
    import atlas
    from atlas.store.naming import edited

    with atlas.open(db) as opened:
        to.write(edited(opened, what).to_arrow(), SHOWN, spare=SPARE_SHOWN)


@app.command(context_settings=HELP)
@bounded
@choosing_model
def apply(
    name: EditName,
    save: Annotated[Path, typer.Option(help="Folder for the changed model; new or empty.", metavar="FOLDER")],
    choice: Annotated[OpenChoice, "Model to change; by default the one it was made on."] = OPEN,
    peft: Annotated[
        bool, typer.Option("--peft", help="Write an adapter of PEFT (LoRA) in place of the whole model.")
    ] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Apply an edit to another copy of the model that it was made on, or write it as a PEFT adapter."""
    from atlas.editing.copies import apply_to_copy

    apply_to_copy(db, name, choice, save=save, peft=peft)
    print(diagnostics.visible(f"The {'adapter' if peft else 'edited model'} is {save}"))


@app.command(context_settings=HELP)
@bounded
@choosing_model
def undo(
    name: EditName,
    choice: Annotated[OpenChoice, "Folder of the edited model, as --save wrote it."] = OPEN,
    save: Save = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Undo an edit in a saved model: every weight returns to the bit. Without --save the folder is changed."""
    from atlas.editing.copies import undo_in_copy

    digest = undo_in_copy(db, name, choice, save=save)
    print(diagnostics.visible(f"The model {save or choice.model} has weights {digest}"))


@app.command(context_settings=HELP)
@bounded
def convert(
    source: Annotated[Path, typer.Argument(help="A CSV of edits, or request JSON of ROME or EasyEdit.")],
    out: Annotated[Path, typer.Option(help="A .json file, or a folder for facts.csv and edits.csv.", metavar="PATH")],
    style: Annotated[str, typer.Option(help="Of a .json: rome or easyedit.")] = "easyedit",
    language: Annotated[str, typer.Option(help="Language of requests that name none.")] = "en",
    db: Db = DEFAULT_DB,
) -> None:
    """Turn a CSV of edits into request JSON, or request JSON into facts and a CSV of edits."""
    from atlas.editing.exchange import requests_from_json, requests_to_json

    to_json = out.suffix.lower() == ".json"
    if source.suffix.lower() in ((".json",) if to_json else (".csv", ".tsv")):
        takes = "a folder" if to_json else "a .json file"
        raise UsageError(f"{source} becomes {takes}: name one with --out, not {out}.")
    if to_json:
        converted = requests_to_json(db, source, out, style=style)
    else:
        converted = requests_from_json(source, out, language=language)
    print(diagnostics.visible(f"Wrote {counted(converted.edits, 'edit')} to {out}"))
    for reason, count in converted.skipped.items():
        print(diagnostics.visible(f"  {count:,} left out: {reason}"))


def _show(done: "Sequence[Done]", db: Path, *, json: bool) -> None:
    if json:
        print(json_module.dumps([_values(one) for one in done], ensure_ascii=False, indent=2))
        return
    names = _names(db) if any(one.made for one in done) else {}
    for one in done:
        print(diagnostics.visible(_line(one, names)))
    if len(done) > 1:
        before = sum(one.before for one in done if one.file)
        said = f", {before:,} of them before" if before else ""
        print(f"{sum(one.file is not None for one in done):,} of {len(done):,} edits made{said}.")


def _names(db: Path) -> dict[int, str]:
    """Return what was changed into what by each edit of an atlas, in words."""
    import atlas
    from atlas.store.queries import EDITS

    with atlas.open(db) as opened:
        rows = opened.sql(EDITS).to_pylist()
    return {row["edit"]: "<{subject}, {relation}, {old_object}> to {object}".format(**row) for row in rows}


def _line(one: "Done", names: Mapping[int, str]) -> str:
    """Return what became of one request, in a line; `names` are those of edits."""
    if one.made is None:
        return f"not edited: {one.error}"
    made, name = one.made, names[one.made.edit.record.id]
    where = f"{counted(len(made.edit.neurons), 'neuron')} ({made.edit.record.source})"
    if not made.converged:
        return f"{name}: did not converge at {where}; the model is unchanged"
    rates = ", ".join(f"{measure} {rate:.0%}" for measure, rate in one.rates.items())
    when = " (made before)" if one.before else ""
    return f"{name}: {where}; {rates}; edit {made.edit.record.id} in {one.file}{when}"


def _values(one: "Done") -> dict[str, object]:
    if one.made is None or one.target is None:
        return {"fact": one.request.fact, "object": one.request.object, "error": str(one.error)}
    return {
        "fact": str(one.target.fact.id),
        "subject": one.target.fact.subject,
        "relation": one.target.fact.relation,
        "old_object": one.target.fact.object,
        "object": one.target.object,
        "languages": list(one.target.languages),
        "edit": str(one.made.edit.record.id),
        "file": str(one.file) if one.file else None,
        "made_before": one.before,
        "converged": one.made.converged,
        "source": one.made.edit.record.source,
        "neurons": one.made.edit.neurons,
        "known": one.made.known,
        "steps": one.made.fit.steps,
        **one.rates,
    }

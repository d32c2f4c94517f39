"""`atlas check`: is a claim supported by what the model's neurons hold?"""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atlas.errors import counted
from atlas.running.choice import OpenChoice

from .. import diagnostics
from ..options import (
    DEFAULT_DB,
    IN_USE,
    OPEN,
    At,
    Db,
    Definition,
    Languages,
    Relations,
    Replace,
    Run,
    Source,
    choosing_model,
    writing,
)
from ..output.emit import STDOUT, Destination
from ..output.formats import Format

if TYPE_CHECKING:
    import pyarrow as pa


@choosing_model
@writing
def check(
    subject: Annotated[str | None, typer.Option(help="Subject of the claim, as text.")] = None,
    relation: Annotated[str | None, typer.Option(help="Relation of the claim, such as P36.")] = None,
    object_: Annotated[str | None, typer.Option("--object", help="Object of the claim, as text.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the claim; if left out, one in which the atlas knows its subject.")
    ] = None,
    claims: Annotated[
        Path | None,
        typer.Option(
            help="CSV, TSV or JSONL file of claims: subject, relation, object[, language, truth].", metavar="FILE"
        ),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Judge true and wrong claims of the atlas's facts and print how well.")
    ] = False,
    evidence: Annotated[
        str, typer.Option(help="Neurons to go by: dkn, dkn-or-kn, dkn-languages, kn, likn or random.")
    ] = "dkn",
    choice: Annotated[OpenChoice, "The model that judges; if left out, that of the run in use."] = OPEN,
    run: Run = None,
    method: Source = None,
    languages: Languages = None,
    relations: Relations = None,
    conditions: Annotated[
        str | None,
        typer.Option(help="For --evaluate: plain,held-out,corrupted,code-switched; all if left out.", metavar="NAMES"),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="For --evaluate: facts to take at most; 0 for all.")] = 0,
    templates: Annotated[int, typer.Option(min=1, help="Templates that a claim is put in, at most.")] = 2,
    definition: Definition = IN_USE,
    at: At = "query",
    replace: Replace = None,
    db: Db = DEFAULT_DB,
    seed: Annotated[int, typer.Option(help="Seed of wrong objects, random neurons and intervals.")] = 0,
    to: Destination = STDOUT,
) -> None:
    """Judge claims by the attribution of their objects at their relation's degenerate knowledge neurons.

    Give one claim by --subject, --relation and --object, or a file by --claims. The threshold is tuned on training
    facts. With --evaluate, every kind of evidence judges the same claims about subjects that nothing was fitted to;
    the view fact_check_metrics has the numbers by language and relation, and across languages.
    After Ctrl-C or a crash, the same command goes on: what it read waits in a file beside the atlas.
    """
    from atlas import jobs

    from ..output.progress import TerminalProgress

    table = jobs.check(
        **choice.given(), subject=subject, relation=relation, object=object_, language=language, claims=claims,
        evaluate=evaluate, evidence=evidence, run=run, method=method, languages=languages, relations=relations,
        conditions=conditions, limit=limit, templates=templates, definition=definition, at=at, replace=replace,
        db=db, seed=seed, progress=TerminalProgress(),
    )  # fmt: skip
    if evaluate:
        _show_evaluation(table, db, to)
    elif claims is not None:
        _show_answers(table, seed, to)
    elif to.for_eyes:
        for line in _lines(table.to_pylist()[0]):
            print(diagnostics.visible(line))
    else:
        to.write(table)


def _show_evaluation(table: "pa.Table", db: Path, to: Destination) -> None:
    from atlas.checking.report import compact

    short = to.output is None and not to.every and to.format in (Format.table, Format.markdown)
    to.write(compact(table) if short else table)
    then = f'atlas sql "from fact_check_metrics" --db {quote(str(db))}'
    diagnostics.talk(f"evaluation {table['evaluation'][0]}; by language and relation: {then}")


def _show_answers(table: "pa.Table", seed: int, to: Destination) -> None:
    from atlas.checking.answers import marks

    to.write(table)
    unusable = sum(status != "ok" for status in table["status"].to_pylist())
    if unusable:
        diagnostics.warning(
            f"{unusable:,} of {table.num_rows:,} claims have no verdict; their column `status` says why"
        )
    known, numbers = marks(table, seed)
    said = [
        f"{name} {number.value:.3f} "
        + ("(one subject, no interval)" if isnan(number.low) else f"({number.low:.3f} to {number.high:.3f})")
        for name, number in numbers.items()
        if name in ("accuracy", "auroc") and not isnan(number.value)
    ]
    if said:
        diagnostics.talk(f"of {counted(known, 'claim')} with a truth and a verdict: {', '.join(said)}")


def _lines(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['verdict']}: <{row['subject']}, {row['relation']}, {row['object']}> ({row['language']})",
        f"  score {row['score']:.4g} at the {row['evidence']} neurons, threshold {row['threshold']:.4g}",
        f"  the model's own probability of the object: {row['probability']:.4g}",
        *(f"  put as: {text}" for text in row["texts"]),
        *(f"  neuron {neuron}" for neuron in row["neurons"]),
        *(f"  {note}" for note in row["notes"]),
    ]

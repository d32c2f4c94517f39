"""`atlas check`: is a claim supported by what the model's neurons hold?"""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas.running.choice import OpenChoice, check_one

from .. import diagnostics
from ..options import (
    DEFAULT_DB,
    IN_USE,
    OPEN,
    At,
    Db,
    Definition,
    Languages,
    Place,
    Relations,
    Replace,
    Run,
    Source,
    choosing_model,
    split,
    writing,
)
from ..output.emit import STDOUT, Destination
from ..output.formats import Format
from ..output.summary import counted

if TYPE_CHECKING:
    from atlas.checking.answers import Answer
    from atlas.checking.claims import Claim
    from atlas.checking.job import CheckOptions


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
    at: At = Place.query,
    replace: Replace = None,
    db: Db = DEFAULT_DB,
    seed: Annotated[int, typer.Option(help="Seed of wrong objects, random neurons and intervals.")] = 0,
    to: Destination = STDOUT,
) -> None:
    """Judge claims by the attribution of their objects at their relation's degenerate knowledge neurons.

    Give one claim by --subject, --relation and --object, or a file by --claims. The threshold is tuned on training
    facts. With --evaluate, every kind of evidence judges the same claims about subjects that nothing was fitted to;
    the view fact_check_metrics has the numbers by language and relation, and across languages.
    """
    from atlas.checking.job import CheckOptions
    from atlas.jobs import asked_for_one_thing

    check_one(run, choice.model, method)
    options = CheckOptions(
        **choice.given(),
        db=db,
        run=run,
        source=method,
        definition=definition,
        replace=replace,
        templates=templates,
        seed=seed,
        at=at.value,
    )
    asked_for_one_thing((subject, relation, object_), claims, evaluate=evaluate)
    if evaluate:
        _evaluate(options, split(languages), split(relations), split(conditions), limit, to)
    elif claims is not None:
        from atlas.checking.claims import read_claims

        _judge(options, read_claims(claims), evidence, to)
    else:
        from atlas.checking.claims import Claim

        _judge_one(options, Claim(str(subject), str(relation), str(object_), language), evidence, to)


def _evaluate(
    options: "CheckOptions",
    languages: tuple[str, ...] | None,
    relations: tuple[str, ...] | None,
    conditions: tuple[str, ...] | None,
    limit: int,
    to: Destination,
) -> None:
    from atlas.checking.job import evaluate_claims
    from atlas.checking.report import evaluation_table

    from ..output.progress import TerminalProgress

    identity, found, left_out = evaluate_claims(
        options, languages, relations, conditions, limit or None, TerminalProgress()
    )
    compact = to.output is None and to.format in (Format.table, Format.markdown)
    to.write(evaluation_table(found, options.seed, compact=compact))
    for reason, facts in left_out.items():
        diagnostics.warning(f"no claims of {facts:,} facts in a language: {reason}")
    diagnostics.talk(
        f'evaluation {identity}; by language and relation: atlas sql "from fact_check_metrics" --db {options.db}'
    )


def _judge(options: "CheckOptions", claims: "list[Claim]", evidence: str, to: Destination) -> None:
    from atlas.checking.answers import answer_rows, marks
    from atlas.checking.judge import check_claims

    from ..output.progress import TerminalProgress

    answers = check_claims(options, claims, evidence, progress=TerminalProgress())
    to.write(answer_rows(answers))
    unusable = sum(answer.status != "ok" for answer in answers)
    if unusable:
        diagnostics.warning(f"{unusable:,} of {len(answers):,} claims have no verdict; their column `status` says why")
    known, numbers = marks(answers, options.seed)
    said = [
        f"{name} {number.value:.3f} ({number.low:.3f} to {number.high:.3f})"
        for name, number in numbers.items()
        if name in ("accuracy", "auroc") and not isnan(number.value)
    ]
    if said:
        diagnostics.talk(f"of {counted(known, 'claim')} with a truth and a verdict: {', '.join(said)}")


def _judge_one(options: "CheckOptions", claim: "Claim", evidence: str, to: Destination) -> None:
    from atlas.checking.answers import answer_rows
    from atlas.checking.judge import check_claims

    from ..output.progress import TerminalProgress

    (answer,) = check_claims(options, [claim], evidence, strict=True, progress=TerminalProgress())
    if not to.for_eyes:
        to.write(answer_rows([answer]))
        return
    for line in _lines(answer):
        print(diagnostics.visible(line))


def _lines(answer: "Answer") -> list[str]:
    claim = answer.claim
    verdict = "supported" if answer.supported else "not supported"
    return [
        f"{verdict}: <{claim.subject}, {claim.relation}, {claim.object}> ({claim.language})",
        f"  score {answer.score:.4g} at the {answer.evidence} neurons, threshold {answer.threshold:.4g}",
        f"  the model's own probability of the object: {answer.probability:.4g}",
        *(f"  put as: {text}" for text in answer.texts),
        *(f"  neuron {neuron} of layer {layer}: {score:.4g}" for layer, neuron, score in answer.neurons),
        *(f"  {note}" for note in answer.notes),
    ]
